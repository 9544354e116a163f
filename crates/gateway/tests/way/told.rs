//! What the activity stream tells of a transaction has the names that its record has, and says what a watcher wants to know.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use luthien_gateway::activity::{Activity, ActivityEvent, Seen};
use luthien_policy::judge::JudgeRoute;
use luthien_record::history;
use luthien_record::model::TransactionId;
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Reply, Script, Step};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::policies::{Judged, with_judge};
use crate::support::{GATEWAY_KEY, KEY, Rig, id, path, turn, turn_in};

/// All that has been told of a transaction so far.
fn told(activity: &Activity, id: &str) -> Vec<Arc<ActivityEvent>> {
    let mut watcher = activity.watch(Some(Timestamp::UNIX_EPOCH));
    let all = std::iter::from_fn(|| watcher.next().now_or_never());
    let events = all.map(|seen| match seen {
        Seen::Event(event) => event,
        Seen::Dropped(missed) => panic!("{missed} events were missed"),
    });
    events.filter(|event| event.transaction_id == id).collect()
}

fn names(events: &[Arc<ActivityEvent>]) -> Vec<&str> {
    events.iter().map(|event| &*event.event_type).collect()
}

/// The names in the record, in their order.
async fn recorded(rig: &Rig, id: &str) -> Vec<String> {
    rig.record(id).await;
    let call = history::call(rig.recorder.store(), TransactionId(id.parse().unwrap())).await.unwrap().unwrap();
    call.events.into_iter().map(|event| event.event_type).collect()
}

/// The record's names are those that were told, the policies' own in whatever place.
async fn are_the_records(rig: &Rig, id: &str) {
    let (mut record, events) = (recorded(rig, id).await, told(&rig.activity, id));
    let mut live = names(&events);
    let steps = |names: &[&str]| -> Vec<String> {
        names.iter().filter(|name| !name.starts_with("policy.")).map(|name| (*name).to_owned()).collect()
    };
    let recorded: Vec<&str> = record.iter().map(String::as_str).collect();
    assert_eq!(steps(&live), steps(&recorded));
    live.sort_unstable();
    record.sort_unstable();
    assert_eq!(live, record);
    for event in events {
        assert!(serde_json::to_string(&*event).unwrap().len() <= 4096);
    }
}

#[rstest]
#[tokio::test]
async fn a_turn_is_told_as_it_is_recorded(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(true, false)] stream: bool,
) {
    let rig = Rig::new(Answer::text("hi")).await;
    let exchange = rig.ask(path(dialect), &turn_in(dialect, stream)).await;
    let id = id(&exchange);
    exchange.rest().await.unwrap();
    are_the_records(&rig, &id).await;
    let events = told(&rig.activity, &id);
    let response = if stream { "streaming" } else { "non_streaming" };
    assert_eq!(
        names(&events),
        [
            "pipeline.client_request",
            "transaction.request_recorded",
            "pipeline.backend_request",
            &format!("transaction.{response}_response_recorded"),
            "pipeline.client_response"
        ]
    );
    for event in &events {
        assert_eq!(event.call_id, id);
        assert_eq!((&event.data["model"], &event.data["streamed"]), (&json!("m"), &json!(stream)));
        assert_eq!((&event.data["dialect"], &event.data["path"]), (&json!(dialect.name()), &json!(path(dialect))));
    }
    assert_eq!(events[2].data["upstream"], if dialect == Dialect::Messages { "anthropic" } else { "openai" });
    assert_eq!((&events[4].data["http_status"], &events[4].data["evaluation"]), (&json!(200), &json!("none")));
    assert_eq!(events[4].data["status"], "completed");
    assert!(events[4].data["first_byte_ms"].is_number() && events[4].data["sent_bytes"].as_u64() > Some(0));
    rig.stop().await;
}

#[tokio::test]
async fn a_preview_is_there_while_somebody_watches() {
    let rig = Rig::new(Answer::text("hi")).await;
    let preview = async || {
        let exchange = rig.ask("/v1/messages", &turn(false)).await;
        let id = id(&exchange);
        exchange.rest().await.unwrap();
        rig.record(&id).await;
        told(&rig.activity, &id)[0].data["preview"].clone()
    };
    assert_eq!(preview().await, Value::Null);
    let watcher = rig.activity.watch(None);
    assert_eq!(preview().await, "hi");
    drop(watcher);
    rig.stop().await;
}

#[tokio::test]
async fn what_policies_decide_is_told_with_the_session() {
    let call = Answer::new().call("run", &json!({"command": "rm -rf /"}));
    let rig = Rig::with(with_judge("bad", call), vec![Arc::new(Judged(JudgeRoute::default()))], |_| {}).await;
    let headers = [KEY, ("x-session-id", "s-1")];
    let exchange = post(&rig.url("/v1/messages"), &headers, turn(true).to_string()).await.unwrap();
    let id = id(&exchange);
    exchange.rest().await.unwrap();
    are_the_records(&rig, &id).await;
    let events = told(&rig.activity, &id);
    let decision = events.iter().find(|event| event.event_type == "policy.judged.decision").unwrap();
    assert_eq!((&decision.data["action"], &decision.data["session_id"]), (&json!("block"), &json!("s-1")));
    assert_eq!(events.last().unwrap().data["evaluation"], "intervened");
    rig.stop().await;
}

#[tokio::test]
async fn what_is_refused_fails_under_its_names() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| config.client_key = Some(GATEWAY_KEY.into())).await;
    let cases: [(&[(&str, &str)], &str); 2] = [(&[], "{}"), (&[KEY], "{\"model\": 3")];
    for (headers, body) in cases {
        let exchange = post(&rig.url("/v1/messages"), headers, body.to_owned()).await.unwrap();
        assert!(exchange.status == 401 || exchange.status == 400);
        let (id, status) = (id(&exchange), exchange.status);
        exchange.rest().await.unwrap();
        are_the_records(&rig, &id).await;
        let events = told(&rig.activity, &id);
        let last = events.last().unwrap();
        assert_eq!((&*last.event_type, &last.data["http_status"]), ("transaction.failed", &json!(status)));
        assert!(last.data["error"].is_string());
    }
    rig.stop().await;
}

#[tokio::test]
async fn an_upstreams_error_and_a_client_that_goes_are_told() {
    let rig = Rig::new(Script::in_turn([
        luthien_testkit::Play::from(Reply::json(529, &json!({"error": "busy"}))),
        Reply::frames(vec![Step::Stall]).into(),
    ]))
    .await;
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    let failed = id(&exchange);
    exchange.rest().await.unwrap();
    are_the_records(&rig, &failed).await;
    assert_eq!(told(&rig.activity, &failed).last().unwrap().event_type, "transaction.failed");
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let gone = id(&exchange);
    drop(exchange);
    rig.upstream.ended(1).await.unwrap();
    while told(&rig.activity, &gone).last().is_none_or(|event| event.event_type != "transaction.client_disconnected") {
        tokio::task::yield_now().await;
    }
    are_the_records(&rig, &gone).await;
    rig.stop().await;
}

#[tokio::test]
async fn no_body_and_no_credential_is_told() {
    let rig = Rig::new(Answer::text("the model's secret")).await;
    let exchange = rig.ask("/v1/messages?key=sk-in-the-query", &turn(false)).await;
    let id = id(&exchange);
    exchange.rest().await.unwrap();
    rig.record(&id).await;
    let all = serde_json::to_string(&told(&rig.activity, &id)).unwrap();
    assert!(!all.contains("the model's secret") && !all.contains(KEY.1) && !all.contains("sk-in-the-query"), "{all}");
    rig.stop().await;
}
