//! What is handed to the recorder is in the store.

use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::model::{End, Evaluation, Status};
use crate::store::SessionFilter;
use crate::testing::{
    Db, answered, config, decision, end, event, id, messages, recorder, recorder_on, second, send, start, stored,
};

mod bodies;
mod complete;
mod converted;
mod crash;
mod growth;
mod outage;
mod redacted;

#[rstest]
#[tokio::test]
async fn a_transaction_is_stored_as_it_was(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let body = messages(&[json!({"role": "user", "content": "hello"})]);
    let flight = answered(&recorder, start(1, Some("s"), body.clone()), b"");
    flight.set_start(|start| start.user_id = Some("ada".into()));
    send(&flight, "local", Dialect::Messages, &"{\"model\": \"other\"}".into());
    flight.upstream_response(201, vec![("x-a".into(), "1".into()), ("x-a".into(), "2".into())]);
    flight.upstream_bytes(b"first ");
    flight.own_client_copy(5);
    flight.upstream_bytes(b"second");
    flight.client_bytes(b"|mine");
    flight.first_byte(second(2));
    flight.first_byte(second(3));
    flight.decision(decision("tool_call_judge", "block"));
    flight.event(event("policy.judge.tool_call_blocked"));
    flight.finish(End { error: Some("why".into()), evaluation: Evaluation::Intervened, ..end(1) });
    recorder.late_decision(id(1), decision("shadow", "pass"));
    recorder.settled().await;

    let found = stored(&recorder, 1).await.expect("stored");
    assert_eq!((found.id, found.session_id.as_str(), found.user_id.as_deref()), (id(1), "s", Some("ada")));
    assert_eq!((found.at, found.first_byte, found.ended), (second(1), Some(second(2)), second(2)));
    assert_eq!((found.status, found.http_status, found.error.as_deref()), (Status::Completed, Some(200), Some("why")));
    assert_eq!((found.evaluation, found.turn, found.streamed), (Evaluation::Intervened, true, false));
    assert_eq!(found.request, body);
    let sent = found.upstream_request.clone().expect("sent");
    assert_eq!((sent.upstream.as_str(), sent.url.as_str()), ("local", "http://up"));
    assert_eq!(sent.body, "{\"model\": \"other\"}");
    assert_eq!(found.upstream_status, Some(201));
    assert_eq!(found.upstream_headers, [("x-a".into(), "1".into()), ("x-a".into(), "2".into())]);
    assert_eq!(found.upstream_response, "first second");
    assert_eq!(found.client_response(), "first|mine");
    assert_eq!(found.decisions, [decision("tool_call_judge", "block"), decision("shadow", "pass")]);
    assert_eq!(found.events, [event("policy.judge.tool_call_blocked")]);
    assert_eq!(found.identities.len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_transaction_that_is_dropped_is_recorded_as_left_by_the_client(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let flight = answered(&recorder, start(1, None, "{}"), b"half");
    flight.note_http_status(200);
    flight.note_evaluation(Evaluation::Passed);
    drop(flight);
    recorder.settled().await;
    let found = stored(&recorder, 1).await.expect("stored");
    assert_eq!(
        (found.status, found.http_status, found.evaluation),
        (Status::ClientDisconnected, Some(200), Evaluation::Passed)
    );
    assert_eq!(found.upstream_response, "half");
    assert_eq!(found.own_response, None);
    assert_eq!(found.session_id, id(1).to_string());
}

#[rstest]
#[tokio::test]
async fn another_attempt_drops_the_answer_of_the_first(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let flight = answered(&recorder, start(1, None, "{}"), b"busy");
    recorder.inner.shared.tick();
    send(&flight, "anthropic", Dialect::Messages, &"{}".into());
    flight.upstream_response(200, Vec::new());
    flight.upstream_bytes(b"fine");
    flight.finish(end(1));
    recorder.settled().await;
    let found = stored(&recorder, 1).await.expect("stored");
    assert_eq!(found.upstream_response, "fine");
}

#[tokio::test]
async fn what_reaches_the_database_in_time_never_touches_the_journal() {
    let (folder, recorder) = recorder().await;
    for number in 0..600 {
        answered(&recorder, start(number, None, "{}"), b"fine").finish(end(number));
    }
    recorder.settled().await;
    recorder.inner.shared.tick();
    assert_eq!(
        recorder.health(),
        RecorderHealth {
            in_flight: 0,
            queued: 0,
            journal_bytes: 0,
            dropped: 0,
            database: Ok(()),
            journal: Ok(()),
            accepting: true
        }
    );
    assert_eq!(recorder.store().calls(1).await.expect("calls").total, 600);
    let names: Vec<_> = std::fs::read_dir(folder.path().join("journal"))
        .expect("a folder")
        .map(|e| e.expect("e").file_name())
        .collect();
    assert_eq!(names, ["lock"]);
}

#[tokio::test]
async fn a_folder_has_one_recorder() {
    let (folder, _recorder) = recorder().await;
    let second = Recorder::open(config(folder.path())).await;
    assert!(matches!(second, Err(OpenError::InUse(_))));
}

#[tokio::test]
async fn a_shutdown_stores_what_is_queued_and_keeps_what_is_in_flight() {
    let (folder, recorder) = recorder().await;
    answered(&recorder, start(1, None, "{}"), b"fine").finish(end(1));
    let late = answered(&recorder, start(2, None, "{}"), b"later");
    let open = answered(&recorder, start(3, None, "{}"), b"never");
    recorder.shutdown(Duration::from_secs(10)).await;
    late.finish(end(2));
    let left = crate::testing::killed(folder.path());
    drop((open, recorder));
    let again = Recorder::open(config(left.path())).await.expect("a recorder");
    let status = |detail: Option<crate::store::TransactionDetail>| detail.map(|detail| detail.status);
    assert_eq!(status(stored(&again, 1).await), Some(Status::Completed));
    assert_eq!(status(stored(&again, 2).await), Some(Status::Completed));
    assert_eq!(status(stored(&again, 3).await), Some(Status::Interrupted));
}

#[tokio::test]
async fn a_store_can_be_read_beside_its_recorder() {
    let (folder, recorder) = recorder().await;
    answered(&recorder, start(1, None, "{}"), b"fine").finish(end(1));
    recorder.settled().await;
    let url = config(folder.path()).database;
    let store = Store::open(&url, DatabaseOptions::default()).await.expect("a store");
    assert_eq!(store.calls(5).await.expect("calls").total, 1);
    assert!(store.transaction(id(2)).await.expect("a query").is_none());
    let nowhere = Store::open("sqlite:///nowhere/at/all.db", DatabaseOptions::default()).await;
    assert!(matches!(nowhere, Err(OpenError::Database { .. })));
}

#[test]
fn late_decisions_that_are_alike_have_keys_of_their_own() {
    let keys = [(); 3].map(|()| late_key(id(1), &decision("shadow", "pass"))[8..].to_vec());
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
}

#[rstest]
#[tokio::test]
async fn late_decisions_are_events_of_their_session(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let body = messages(&[json!({"role": "user", "content": "hello"})]);
    for (number, session) in [(1, "a"), (2, "b")] {
        answered(&recorder, start(number, Some(session), body.clone()), b"fine").finish(end(number));
    }
    recorder.settled().await;
    let listed = async || {
        let filter = SessionFilter { limit: 50, ..SessionFilter::default() };
        recorder.store().sessions(&filter).await.expect("a page").sessions
    };
    let before = listed().await;
    // Of sessions to which nothing else is added, and of one to which something is.
    for number in [2, 1, 1, 3] {
        recorder.late_decision(id(number), decision("shadow", "pass"));
    }
    answered(&recorder, start(3, Some("c"), body), b"fine").finish(end(3));
    recorder.settled().await;
    let after = listed().await;
    let [c, b, a] = &after[..] else { panic!("three sessions: {after:?}") };
    assert_eq!((a.events, b.events), (before[1].events + 2, before[0].events + 1));
    assert_eq!(c.events, before[0].events + 1);
    assert_eq!((a.turns, a.first, a.last), (before[1].turns, before[1].first, before[1].last));
    assert_eq!(a.preview, before[1].preview);
}

#[rstest]
#[tokio::test]
async fn a_session_is_found_by_the_name_that_it_is_shown_under(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let body = messages(&[json!({"role": "user", "content": "hello"})]);
    answered(&recorder, start(1, Some("a\0b"), body), b"fine").finish(end(1));
    recorder.settled().await;
    let filter = SessionFilter { limit: 50, ..SessionFilter::default() };
    let listed = recorder.store().sessions(&filter).await.expect("a page").sessions;
    assert_eq!(listed[0].session_id, "a\u{fffd}b");
    assert!(recorder.store().cursor("a\u{fffd}b").await.expect("read").is_some());
}
