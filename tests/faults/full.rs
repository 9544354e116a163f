//! Database and disk are full or away at once.

use luthien_testkit::Upstream;
use luthien_testkit::client::post;
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::rig::{Rig, until};
use crate::said;

/// The smallest journal that can be set.
const SMALL: (&str, &str) = ("JOURNAL_MAX_BYTES", "1MiB");
const DIALECTS: [(Dialect, &str); 3] = [
    (Dialect::Messages, "/v1/messages"),
    (Dialect::Chat, "/v1/chat/completions"),
    (Dialect::Responses, "/v1/responses"),
];

/// Makes request `number` with a hundred kilobytes to it. Gives status and body.
async fn ask(rig: &Rig, number: u64, (dialect, path): (Dialect, &str)) -> (u16, Value) {
    let mut body = said::request(number, "quick", dialect, false);
    // No two are alike, or the record would keep them once.
    body["metadata"] = json!({"user_id": format!("{number:010}").repeat(10_000)});
    let url = format!("{}{path}", rig.gateway.url());
    let keys = [("x-api-key", "sk-callers"), ("authorization", "Bearer sk-callers")];
    let answer = post(&url, &keys, body.to_string()).await.expect("an answer");
    let status = answer.status;
    (status, serde_json::from_slice(&answer.rest().await.expect("a body")).expect("JSON"))
}

async fn on_record(rig: &Rig) -> u64 {
    let calls = rig.gateway.api("/api/debug/calls?limit=1").await;
    calls["total"].as_u64().expect("a total")
}

async fn recorder(rig: &Rig, figure: &str) -> u64 {
    rig.health().await["checks"]["recorder"][figure].as_u64().expect("a figure")
}

#[rstest]
#[case::sqlite(Fault::Locked)]
#[case::postgres(Fault::Stopped)]
#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted(#[case] fault: Fault) {
    let mut rig = Rig::new(fault, &[SMALL]).await;
    rig.suffer();
    let mut asked = 0;
    // Twice what fits, and on until the database is known to be away.
    until("drop", async || {
        for dialect in DIALECTS.iter().cycle().take(20) {
            assert_eq!(ask(&rig, asked, *dialect).await.0, 200);
            asked += 1;
        }
        (recorder(&rig, "dropped").await > 0).then_some(())
    })
    .await;
    assert_eq!(rig.health().await["status"], "degraded");
    rig.mend();
    until("database", async || (rig.health().await["checks"]["database"] == "ok").then_some(())).await;
    assert_eq!(ask(&rig, asked, DIALECTS[0]).await.0, 200);
    asked += 1;
    until("record", async || (on_record(&rig).await + recorder(&rig, "dropped").await == asked).then_some(())).await;
    rig.stop().await;
}

#[tokio::test]
async fn who_wants_to_hear_of_dropped_records_is_told() {
    let hook = Upstream::start().await.expect("a receiver");
    let url = format!("{}/hook", hook.base_url());
    let mut rig =
        Rig::new(Fault::Locked, &[SMALL, ("WEBHOOK_URL", &url), ("WEBHOOK_EVENTS", "recorder.dropped")]).await;
    rig.suffer();
    let mut asked = 0;
    until("notification", async || {
        for dialect in DIALECTS.iter().cycle().take(20) {
            assert_eq!(ask(&rig, asked, *dialect).await.0, 200);
            asked += 1;
        }
        (!hook.requests().is_empty()).then_some(())
    })
    .await;
    let told = until("word of all", async || {
        let told: Vec<Value> =
            hook.requests().iter().map(|one| serde_json::from_slice(&one.body).expect("JSON")).collect();
        let sum: u64 = told.iter().filter_map(|one| one["data"]["dropped"].as_u64()).sum();
        (sum == recorder(&rig, "dropped").await).then_some(told)
    })
    .await;
    let first = &told[0];
    assert_eq!((&first["kind"], &first["transaction"]), (&json!("recorder.dropped"), &Value::Null));
    assert_eq!(first["data"]["dropped"], first["data"]["dropped_since_start"]);
    let words = format!("{} records were lost: the journal is full or cannot be written", first["data"]["dropped"]);
    assert_eq!(first["text"], words);
    rig.mend();
    rig.stop().await;
    hook.stop().await;
}

#[rstest]
#[case::sqlite(Fault::Locked)]
#[case::postgres(Fault::Stopped)]
#[tokio::test]
async fn what_a_full_disk_does_not_take_waits_in_memory(#[case] fault: Fault) {
    let mut rig = Rig::on_small_disk(fault, &[]).await;
    rig.suffer();
    let mut asked = 0;
    until("full disk", async || {
        for dialect in DIALECTS.iter().cycle().take(10) {
            assert_eq!(ask(&rig, asked, *dialect).await.0, 200);
            asked += 1;
        }
        (rig.gateway.log().contains("No space left on device") && recorder(&rig, "queued").await > 0).then_some(())
    })
    .await;
    rig.is("degraded").await;
    let failing = "failing; a kill would lose what is in flight";
    until("word of the disk", async || (rig.health().await["checks"]["journal"] == failing).then_some(())).await;
    rig.mend();
    until("records", async || (on_record(&rig).await == asked).then_some(())).await;
    rig.is("healthy").await;
    assert_eq!(recorder(&rig, "dropped").await, 0);
    rig.stop().await;
}

#[rstest]
#[case::sqlite(Fault::Locked)]
#[case::postgres(Fault::Stopped)]
#[tokio::test]
async fn traffic_is_refused_where_the_record_is_required(#[case] fault: Fault) {
    let mut rig = Rig::new(fault, &[SMALL, ("RECORDING_REQUIRED", "true")]).await;
    rig.suffer();
    let (mut number, mut accepted) = (0, 0);
    let why = "the gateway cannot record this request and is set to refuse it then (RECORDING_REQUIRED)";
    until("refusal", async || {
        let (status, _) = ask(&rig, number, DIALECTS[0]).await;
        number += 1;
        accepted += u64::from(status == 200);
        (status == 503).then_some(())
    })
    .await;
    for (dialect, path) in DIALECTS {
        let (status, body) = ask(&rig, number, (dialect, path)).await;
        assert_eq!(status, 503, "{body}");
        assert_eq!(body["error"]["message"].as_str().map(|message| message.contains(why)), Some(true), "{body}");
        assert_eq!(body["type"] == "error", dialect == Dialect::Messages, "{body}");
    }
    rig.mend();
    until("acceptance", async || {
        let (status, _) = ask(&rig, number, DIALECTS[0]).await;
        number += 1;
        accepted += u64::from(status == 200);
        (status == 200).then_some(())
    })
    .await;
    until("records", async || (on_record(&rig).await == accepted).then_some(())).await;
    assert_eq!(recorder(&rig, "dropped").await, 0);
    rig.stop().await;
}
