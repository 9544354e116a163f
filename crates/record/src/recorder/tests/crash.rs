//! What a kill leaves behind.

use std::io::Write as _;

use rstest::rstest;
use serde_json::json;

use crate::model::{Status, TransactionId};
use crate::recorder::Recorder;
use crate::testing::{Db, Home, answered, decision, end, event, id, messages, recorder_on, second, start, stored};

#[rstest]
#[tokio::test]
async fn what_was_in_flight_at_a_kill_is_interrupted_with_all_it_had(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    let body = messages(&[json!({"role": "user", "content": "hello"})]);
    let flight = answered(&recorder, start(1, Some("s"), body.clone()), b"one ");
    recorder.inner.shared.tick();
    flight.upstream_bytes(b"two ");
    flight.own_client_copy(4);
    flight.client_bytes(b"mine ");
    flight.decision(decision("judge", "pass"));
    flight.event(event("policy.a.b"));
    flight.note_http_status(200);
    recorder.inner.shared.tick();
    flight.upstream_bytes(b"three");
    flight.client_bytes(b"more");
    recorder.inner.shared.tick();
    flight.upstream_bytes(b" lost: no tick after it");
    let left = home.killed_before_it_stored();

    let again = Recorder::open(left.config()).await.expect("a recorder");
    let found = stored(&again, 1).await.expect("stored");
    assert_eq!((found.status, found.http_status), (Status::Interrupted, Some(200)));
    assert_eq!(found.request, body);
    assert_eq!(found.upstream_response, "one two three");
    assert_eq!(found.client_response(), "one mine more");
    assert_eq!(found.decisions, [decision("judge", "pass")]);
    assert_eq!(found.events, [event("policy.a.b")]);
    assert!(found.ended > second(0) || found.ended >= found.at);
    assert_eq!(again.health().journal_bytes, 0);

    // The first process goes on, ends it, and its journal is empty too.
    flight.finish(end(1));
    recorder.settled().await;
    assert_eq!(stored(&recorder, 1).await.expect("stored").status, Status::Completed);
    assert_eq!(recorder.health().journal_bytes, 0);
}

#[rstest]
#[tokio::test]
async fn what_was_stored_before_a_kill_is_not_recorded_again(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    let done = answered(&recorder, start(1, None, "{}"), b"one");
    let open = answered(&recorder, start(2, None, "{}"), b"two");
    recorder.inner.shared.tick();
    done.finish(end(1));
    recorder.settled().await;
    let left = home.killed();
    let again = Recorder::open(left.config()).await.expect("a recorder");
    assert_eq!(stored(&again, 1).await.expect("stored").status, Status::Completed);
    assert_eq!(stored(&again, 2).await.expect("stored").status, Status::Interrupted);
    assert_eq!(again.store().calls(10).await.expect("calls").total, 2);
    drop(open);
}

#[rstest]
#[tokio::test]
async fn a_torn_tail_loses_only_itself(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    let flights: Vec<_> = (0..3).map(|number| answered(&recorder, start(number, None, "{}"), b"whole")).collect();
    recorder.inner.shared.tick();
    let left = home.killed();
    let segment = left.folder.path().join("journal/0000000000000000.journal");
    let whole = std::fs::read(&segment).expect("a segment");
    for cut in [1, 7, 60] {
        let torn = left.killed_before_it_stored();
        let path = torn.folder.path().join("journal/0000000000000000.journal");
        std::fs::write(&path, &whole[..whole.len() - cut]).expect("written");
        let again = Recorder::open(torn.config()).await.expect("a recorder");
        let found: Vec<_> = again.store().calls(10).await.expect("calls").calls.iter().map(|call| call.id).collect();
        let all: Vec<TransactionId> = [2, 1, 0].map(id).into();
        assert_eq!(found, all);
    }
    let mut file = std::fs::OpenOptions::new().append(true).open(&segment).expect("a segment");
    file.write_all(b"\xff\x00\x00\x00 half a record").expect("written");
    let again = Recorder::open(left.config()).await.expect("a recorder");
    assert_eq!(again.store().calls(10).await.expect("calls").total, 3);
    assert_eq!(stored(&again, 2).await.expect("stored").upstream_response, "whole");
    drop(flights);
}

#[rstest]
#[tokio::test]
async fn a_damaged_record_in_the_middle_costs_only_itself(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    let answers = [&b"first answer"[..], b"second answer", b"third answer"];
    let mut flights = Vec::new();
    for (number, answer) in (0..).zip(answers) {
        flights.push(answered(&recorder, start(number, None, "{}"), answer));
        recorder.inner.shared.tick();
    }
    let left = home.killed();
    let segment = left.folder.path().join("journal/0000000000000000.journal");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let at = bytes.windows(13).position(|words| words == b"second answer").expect("there");
    bytes[at] = b'S';
    std::fs::write(&segment, bytes).expect("written");

    let again = Recorder::open(left.config()).await.expect("a recorder");
    for (number, answer) in [(0, "first answer"), (1, ""), (2, "third answer")] {
        let found = stored(&again, number).await.expect("stored");
        assert_eq!(found.upstream_response, answer);
        let told = found.error.expect("interrupted").contains("damaged in the journal");
        assert_eq!(told, number == 1);
    }
    assert!(segment.with_extension("damaged").exists());
    assert!(!segment.exists());
}

#[rstest]
#[tokio::test]
async fn a_segment_that_cannot_be_read_is_passed_over_and_not_thrown_away(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let home = Home::new(db);
    let segment = home.folder.path().join("journal/0000000000000003.journal");
    // No file: reading it fails, and not because it is missing.
    std::fs::create_dir_all(&segment).expect("a folder in its place");
    let recorder = Recorder::open(home.config()).await.expect("a recorder");
    assert_eq!(recorder.health().dropped, 1);
    assert!(segment.with_extension("damaged").exists() && !segment.exists());
    answered(&recorder, start(1, None, "{}"), b"kept").finish(end(1));
    recorder.settled().await;
    assert_eq!(stored(&recorder, 1).await.expect("stored").upstream_response, "kept");
}
