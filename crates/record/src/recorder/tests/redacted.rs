//! What patterns find is neither in the journal nor in the store, however a process ends.

use std::path::Path;

use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use crate::model::{Decision, End, Event, Heads, RawHeads};
use crate::recorder::{Recorder, RecorderConfig};
use crate::redact::Redactor;
use crate::testing::{Db, Home, answered, decision, end, event, id, messages, start, stored};

async fn redacting(home: &Home) -> Recorder {
    let redactor = Redactor::new([("canary", r"\bcanary-\w{4,}")]).expect("a pattern");
    Recorder::open(RecorderConfig { redactor, ..home.config() }).await.expect("a recorder")
}

fn frame(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn delta(text: &str) -> String {
    frame(&json!({"type": "content_block_delta", "index": 0, "delta": {"text": text}}))
}

fn journal(folder: &Path) -> String {
    let files = std::fs::read_dir(folder.join("journal")).expect("the journal");
    files
        .map(|file| String::from_utf8_lossy(&std::fs::read(file.expect("a file").path()).expect("bytes")).into_owned())
        .collect()
}

fn heads() -> RawHeads {
    let heads = |url: &str| Heads {
        method: "POST".to_owned(),
        url: url.to_owned(),
        request_headers: vec![("x-a".to_owned(), "canary-header".to_owned())],
        response_headers: Vec::new(),
        started_at: Some(Timestamp::UNIX_EPOCH),
        completed_at: None,
    };
    RawHeads { inbound: heads("/v1/messages?x=canary-query"), outbound: Some(heads("http://up")) }
}

async fn begun(home: &Home) -> (Recorder, crate::recorder::InFlight) {
    let recorder = redacting(home).await;
    let body = messages(&[json!({"role": "user", "content": "say canary-request"})]);
    let flight = answered(&recorder, start(1, Some("s"), body), b"");
    flight.heads(|kept| *kept = heads());
    let told = Decision { reason: Some("it says canary-reason".into()), ..decision("judge", "pass") };
    flight.decision(told);
    flight.event(Event { data: json!({"text": "canary-event"}), ..event("policy.a.b") });
    (recorder, flight)
}

#[rstest]
#[tokio::test]
async fn nothing_is_kept_of_what_comes_in_pieces(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let home = Home::new(db);
    let (recorder, flight) = begun(&home).await;
    let (open, close) = (
        frame(&json!({"type": "content_block_start", "index": 0})),
        frame(&json!({"type": "content_block_stop", "index": 0})),
    );
    for piece in
        [&open, &delta("first canary"), &delta("-answer"), &close, &open, &delta("more canary-"), &delta("tail")]
    {
        flight.upstream_bytes(piece.as_bytes());
        recorder.inner.shared.tick();
        assert!(!journal(home.folder.path()).contains("-answer") && !journal(home.folder.path()).contains("canary"));
    }
    let left = home.killed_before_it_stored();
    let first = [open.clone(), delta("first [redacted]"), delta(""), close.clone()].concat();

    let again = redacting(&left).await;
    let found = stored(&again, 1).await.expect("stored");
    assert_eq!(found.upstream_response, first);
    assert_eq!(found.request, messages(&[json!({"role": "user", "content": "say [redacted]"})]));
    assert_eq!(found.decisions[0].reason.as_deref(), Some("it says [redacted]"));
    assert_eq!(found.events[0].data, json!({"text": "[redacted]"}));

    flight.finish(End { error: Some("canary-error".into()), ..end(1) });
    recorder.settled().await;
    let found = stored(&recorder, 1).await.expect("stored");
    assert_eq!(found.upstream_response, [first, open, delta("more [redacted]"), delta("")].concat());
    assert_eq!((found.error.as_deref(), found.id), (Some("[redacted]"), id(1)));
    assert!(!format!("{found:?}").contains("canary"));
}

#[rstest]
#[tokio::test]
async fn a_request_that_is_asked_anew_keeps_nothing_of_the_first_answer(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let home = Home::new(db);
    let recorder = redacting(&home).await;
    let start = start(1, None, "{\"a\":\"canary-first\"}");
    let body = start.request.clone();
    let flight = answered(&recorder, start, b"");
    flight.upstream_bytes(frame(&json!({"type": "ping", "first": true})).as_bytes());
    recorder.inner.shared.tick();
    crate::testing::send(&flight, "second", luthien_wire::Dialect::Messages, &body);
    recorder.inner.shared.tick();
    flight.upstream_bytes(b"whole canary-answer");
    let left = home.killed_before_it_stored();
    flight.finish(end(1));
    recorder.settled().await;
    // What the kill cut off had no whole line yet.
    for (recorder, answer) in [(&recorder, "whole [redacted]"), (&redacting(&left).await, "")] {
        let found = stored(recorder, 1).await.expect("stored");
        assert_eq!(found.request, "{\"a\":\"[redacted]\"}");
        assert_eq!(found.upstream_response, answer);
        let sent = found.upstream_request.expect("sent");
        assert_eq!((sent.upstream.as_str(), sent.body), ("second", found.request));
    }
}

#[rstest]
#[tokio::test]
async fn late_decisions_are_looked_at_too(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let home = Home::new(db);
    let recorder = redacting(&home).await;
    answered(&recorder, start(1, None, "{}"), b"").finish(end(1));
    recorder.late_decision(id(1), Decision { reason: Some("canary-late".into()), ..decision("shadow", "pass") });
    recorder.settled().await;
    let found = stored(&recorder, 1).await.expect("stored");
    assert_eq!(found.decisions[0].reason.as_deref(), Some("[redacted]"));
}
