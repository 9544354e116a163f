//! Bodies come back byte for byte, and what is sent again is stored once.

use bytes::Bytes;
use luthien_wire::Dialect;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use serde_json::json;

use crate::model::Start;
use crate::recorder::Recorder;
use crate::sql::Query;
use crate::testing::{Db, answer, answered, end, messages, recorder_on, send, start, stored};

/// JSON-ish text with odd spacing, repeated members and messages, and now and then bytes that are no JSON or no UTF-8.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let space = prop_oneof![Just(""), Just(" "), Just("\n\t "), Just("\r\n")];
    let text = prop_oneof![
        Just("\"a\"".to_owned()),
        "\"[a-z \\\\n]{0,20}\"",
        (1_usize..900).prop_map(|n| format!("\"{}\"", "long ".repeat(n)))
    ];
    let value = prop_oneof![
        text.clone(),
        Just("[1, 2]".to_owned()),
        Just("{\"x\": [\"}\", \"\\\\\"]}".to_owned()),
        Just("null".to_owned())
    ];
    let message =
        (text, space.clone()).prop_map(|(text, space)| format!("{{\"role\":{space}\"user\", \"content\": {text}}}"));
    let messages = (proptest::collection::vec(message, 0..6), space.clone())
        .prop_map(|(list, space)| format!("[{space}{}{space}]", list.join(&format!("{space},{space}"))));
    let key =
        prop_oneof![Just("model"), Just("system"), Just("tools"), Just("messages"), Just("input"), Just("\\u006d")];
    let members = proptest::collection::vec((key, value, space.clone()), 0..4);
    let list = prop_oneof![Just("messages"), Just("input")];
    let object = (members, list, messages, space).prop_map(|(members, list, messages, space)| {
        let mut parts: Vec<_> =
            members.iter().map(|(key, value, space)| format!("\"{key}\"{space}:{space}{value}{space}")).collect();
        parts.push(format!("\"{list}\":{space}{messages}"));
        format!("{space}{{{}}}{space}", parts.join(","))
    });
    (object, any::<prop::sample::Index>(), 0..5_u8, any::<u8>()).prop_map(|(object, at, what, byte)| {
        let mut bytes = object.into_bytes();
        let at = at.index(bytes.len());
        match what {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            _ => {}
        }
        bytes
    })
}

#[rstest]
fn every_body_comes_back_byte_for_byte(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (_home, recorder) = runtime.block_on(recorder_on(db));
    let mut number = 0;
    let cases = proptest::collection::vec((bodies(), bodies(), proptest::collection::vec(any::<u8>(), 0..2000)), 8);
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let cell = std::cell::RefCell::new(&mut number);
    let outcome = runner.run(&cases, |batch| {
        let mut number = cell.borrow_mut();
        let first = **number;
        for (request, sent, response) in &batch {
            let dialect = Dialect::ALL[**number as usize % 3];
            let start = Start { dialect, ..start(**number, None, request.clone()) };
            let flight = recorder.begin(start).expect("begun");
            send(&flight, "up", dialect, &Bytes::from(sent.clone()));
            flight.upstream_bytes(response);
            flight.own_client_copy(response.len() / 2);
            flight.client_bytes(request);
            flight.finish(end(**number));
            **number += 1;
        }
        runtime.block_on(recorder.settled());
        for (index, (request, sent, response)) in (first..).zip(&batch) {
            let found = runtime.block_on(stored(&recorder, index)).expect("stored");
            prop_assert_eq!(&found.request[..], &request[..]);
            prop_assert_eq!(&found.final_request()[..], &sent[..]);
            prop_assert_eq!(&found.upstream_response[..], &response[..]);
            prop_assert_eq!(found.client_response(), &[&response[..response.len() / 2], &request[..]].concat());
        }
        Ok(())
    });
    outcome.expect("every body as it was");
}

/// How many contents and nodes there are.
async fn counts(recorder: &Recorder) -> (i64, i64) {
    let mut connection = recorder.store().readers().acquire().await.expect("a connection");
    let contents = connection.sql().number(Query::new("SELECT COUNT(*) FROM contents")).await.expect("a count");
    let nodes = connection.sql().number(Query::new("SELECT COUNT(*) FROM nodes")).await.expect("a count");
    (contents, nodes)
}

#[rstest]
#[tokio::test]
async fn what_is_resent_costs_no_rows(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let body = messages(&[json!({"role": "user", "content": "x".repeat(3000)})]);
    let long: Vec<_> = (0..2000).map(|number| (number * 7919 % 10_007).to_string()).collect();
    let reply = answer(&long.join(" "));
    for number in 0..20 {
        answered(&recorder, start(number, None, body.clone()), &reply).finish(end(number));
    }
    recorder.settled().await;
    assert_eq!(counts(&recorder).await, (2, 1));

    // With a cache mark it is another node, and no other content.
    let text = json!({"type": "text", "text": "x".repeat(3000)});
    let mut marked = text.clone();
    marked["cache_control"] = json!({"type": "ephemeral"});
    let (plain, marked) = [text, marked].map(|block| messages(&[json!({"role": "user", "content": [block]})])).into();
    answered(&recorder, start(20, None, plain), b"").finish(end(20));
    answered(&recorder, start(21, None, marked.clone()), b"").finish(end(21));
    recorder.settled().await;
    assert_eq!(counts(&recorder).await, (3, 3));
    let (first, second) = (stored(&recorder, 20).await.expect("stored"), stored(&recorder, 21).await.expect("stored"));
    assert_eq!(second.request, marked);
    assert_eq!(first.identities, second.identities);
}
