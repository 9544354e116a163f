//! An upstream of another dialect: both sides are kept, each to be read in its own.

use bytes::Bytes;
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::json;

use crate::model::Start;
use crate::recorder::{Recorder, SentRequest};
use crate::testing::{Db, answer, config, end, killed, messages, recorder, recorder_on, send, start, stored};

fn asked(text: &str) -> Bytes {
    json!({"model": "gpt-5", "input": [{"role": "user", "content": text}]}).to_string().into()
}

fn of_codex(number: u32) -> Start {
    Start {
        dialect: Dialect::Responses,
        path: "/v1/responses".into(),
        ..start(number, Some("s"), asked("my key is 123"))
    }
}

fn converted<'a>(edited: &'a Bytes, body: &'a Bytes) -> SentRequest<'a> {
    let (upstream, method, url) = ("anthropic", "POST", "http://up/v1/messages");
    SentRequest { upstream, method, url, dialect: Dialect::Messages, edited, body }
}

#[rstest]
#[tokio::test]
async fn an_upstream_of_another_dialect_is_read_in_its_own(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let body = messages(&[json!({"role": "user", "content": "my key is ***"})]);
    let edited = asked("my key is ***");
    let flight = recorder.begin(of_codex(1)).expect("begun");
    flight.upstream_request(&converted(&edited, &body));
    flight.upstream_bytes(&answer("hi"));
    flight.client_bytes(b"{\"object\":");
    flight.own_client_copy(7);
    flight.client_bytes(b"\"response\"}");
    flight.finish(end(1));

    let flight = recorder.begin(of_codex(2)).expect("begun");
    flight.upstream_request(&converted(&asked("my key is 123"), &body));
    flight.upstream_bytes(&answer("hi"));
    flight.finish(end(2));
    recorder.settled().await;

    let found = stored(&recorder, 1).await.expect("stored");
    assert_eq!((found.dialect, found.upstream_dialect()), (Dialect::Responses, Dialect::Messages));
    assert!(found.converted());
    assert_eq!((&found.request, &found.edited_request), (&asked("my key is 123"), &Some(edited.clone())));
    assert_eq!((found.final_request(), &found.upstream_request.as_ref().expect("sent").body), (&edited, &body));
    assert_eq!(found.client_response(), &"{\"object\":\"response\"}");
    assert_eq!(found.upstream_response, answer("hi"));

    let found = stored(&recorder, 2).await.expect("stored");
    assert_eq!((&found.edited_request, found.final_request()), (&None, &asked("my key is 123")));
    assert_eq!(found.client_response(), &"", "the client had got nothing");
}

#[rstest]
#[tokio::test]
async fn a_model_renamed_for_the_upstream_is_no_edit_of_the_request(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let asked = messages(&[json!({"role": "user", "content": "hi"})]);
    let renamed = Bytes::from(String::from_utf8_lossy(&asked).replace("claude-x", "other"));
    let flight = recorder.begin(start(1, None, asked.clone())).expect("begun");
    flight.upstream_request(&converted(&asked, &renamed));
    flight.finish(end(1));
    recorder.settled().await;
    let found = stored(&recorder, 1).await.expect("stored");
    assert_eq!((found.converted(), found.final_request(), &found.edited_request), (false, &asked, &None));
    assert_eq!(found.upstream_request.expect("sent").body, renamed);
}

#[rstest]
#[tokio::test]
async fn another_attempt_may_be_in_another_dialect(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    for (number, [first, second]) in
        (1..).zip([[Dialect::Chat, Dialect::Responses], [Dialect::Responses, Dialect::Chat]])
    {
        let flight = recorder.begin(of_codex(number)).expect("begun");
        send(&flight, "one", first, &asked("1"));
        flight.upstream_bytes(b"busy");
        recorder.inner.shared.tick();
        send(&flight, "two", second, &asked("2"));
        flight.upstream_bytes(b"fine");
        recorder.inner.shared.tick();
        flight.finish(end(number));
    }
    recorder.settled().await;
    let [one, two] = [stored(&recorder, 1).await.expect("stored"), stored(&recorder, 2).await.expect("stored")];
    assert_eq!((one.upstream_dialect(), one.own_response), (Dialect::Responses, None));
    assert_eq!((two.upstream_dialect(), two.own_response.as_deref()), (Dialect::Chat, Some(&b""[..])));
    assert_eq!((one.upstream_response, two.upstream_response), ("fine".into(), "fine".into()));
}

#[tokio::test]
async fn a_journal_brings_both_sides_back() {
    let (folder, recorder) = recorder().await;
    let body = messages(&[json!({"role": "user", "content": "converted"})]);
    let edited = asked("edited");
    let flight = recorder.begin(of_codex(1)).expect("begun");
    send(&flight, "one", Dialect::Responses, &asked("first"));
    flight.upstream_bytes(b"busy");
    recorder.inner.shared.tick();
    flight.upstream_request(&converted(&edited, &body));
    flight.upstream_bytes(b"half");
    recorder.inner.shared.tick();
    let copy = killed(folder.path());
    let after = Recorder::open(config(copy.path())).await.expect("a recorder");
    after.settled().await;
    let found = stored(&after, 1).await.expect("stored");
    assert_eq!((found.upstream_dialect(), found.final_request()), (Dialect::Messages, &edited));
    assert_eq!(found.upstream_request.as_ref().expect("sent").body, body);
    assert_eq!((found.upstream_response.as_ref(), found.own_response.as_deref()), (&b"half"[..], Some(&b""[..])));
}
