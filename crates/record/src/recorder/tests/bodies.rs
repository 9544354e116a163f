//! Bodies come back byte for byte, and a history that grows is stored once.

use bytes::Bytes;
use luthien_wire::Dialect;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::model::Start;
use crate::recorder::Recorder;
use crate::testing::{answer, answered, end, messages, recorder, send, start, stored};

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

#[test]
fn every_body_comes_back_byte_for_byte() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (_folder, recorder) = runtime.block_on(recorder());
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

/// A turn of an agent whose cache mark moves along its history.
fn marked(history: &[Value]) -> Vec<Value> {
    let mut out = history.to_vec();
    if let Some(last) = out.last_mut() {
        last["content"][0]["cache_control"] = json!({"type": "ephemeral"});
    }
    out
}

#[tokio::test]
async fn a_growing_history_is_stored_once() {
    let (folder, recorder) = recorder().await;
    let mut history = Vec::new();
    let mut last = 0;
    let mut sent = Vec::new();
    for number in 0..100 {
        let words = ["file", "line", "error", "struct", "return", "because", "0x3f", "test", "the", "of"];
        let text: String = (0..400_u64)
            .map(|word| words[usize::try_from((number * 97 + word * word * 31 + word / 7) % 10).expect("small")])
            .flat_map(|word| [word, " "])
            .collect();
        history
            .push(json!({"role": "user", "content": [{"type": "text", "text": format!("question {number} {text}")}]}));
        let request = messages(&marked(&history));
        let reply = answer(&format!("answer {number} {text}"));
        last = request.len() + reply.len();
        sent.push((request.clone(), Bytes::from(reply.clone())));
        let number = u32::try_from(number).expect("small");
        answered(&recorder, start(number, Some("s"), request), &reply).finish(end(number));
        history.push(
            json!({"role": "assistant", "content": [{"type": "text", "text": format!("answer {number} {text}")}]}),
        );
    }
    recorder.settled().await;
    let session = recorder.store().session("s").await.expect("a query").expect("a session");
    let found: Vec<_> =
        session.transactions.iter().map(|call| (call.request.clone(), call.upstream_response.clone())).collect();
    assert!(found == sent, "every body as it was");
    assert_eq!(session.transactions[99].identities.len(), 199);
    assert_eq!(session.transactions[99].identities[..197], session.transactions[98].identities[..]);
    let grown = size(&folder, &recorder).await - empty().await;
    assert!(grown <= 2 * last, "{grown} bytes for a last turn of {last}");
}

/// Bytes of a database with nothing in it.
async fn empty() -> usize {
    let (folder, recorder) = recorder().await;
    size(&folder, &recorder).await
}

/// Bytes of the database once the recorder has stopped.
async fn size(folder: &TempDir, recorder: &Recorder) -> usize {
    recorder.shutdown(std::time::Duration::from_secs(10)).await;
    let path = folder.path().join("luthien.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.expect("a checkpoint");
    usize::try_from(std::fs::metadata(&path).expect("a file").len()).expect("small")
}

/// Letters that do not compress well, another text for each number.
fn noise(number: u64, length: usize) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state % 26).expect("a letter"))
    };
    std::iter::repeat_with(letter).take(length).collect()
}

#[tokio::test]
async fn a_codex_session_is_stored_once() {
    let (folder, recorder) = recorder().await;
    let mut input = vec![
        json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": noise(0, 20_000)}]}),
    ];
    let (mut last, mut sent) = (0, Vec::new());
    for number in 1..61_u64 {
        input.push(json!({"type": "function_call_output", "call_id": format!("call_{number}"), "output": noise(number, 2_000)}));
        let request = json!({"model": "gpt-5", "stream": true, "store": false, "input": input}).to_string();
        let items = [
            json!({"type": "reasoning", "id": format!("rs_{number}"), "summary": [], "encrypted_content": noise(number + 1_000, 1_000)}),
            json!({"type": "function_call", "id": format!("fc_{number}"), "call_id": format!("call_{}", number + 1), "name": "exec_command", "arguments": json!({"cmd": noise(number + 2_000, 1_000)}).to_string(), "status": "completed"}),
        ];
        let events: String = items
            .iter()
            .flat_map(|item| {
                ["response.output_item.added", "response.output_item.done"]
                    .map(|kind| json!({"type": kind, "item": item}))
            })
            .chain([json!({"type": "response.completed", "response": {"status": "completed", "output": items}})])
            .fold(String::new(), |events, event| events + "data: " + &event.to_string() + "\n\n");
        last = request.len() + events.len();
        sent.push((Bytes::from(request.clone()), Bytes::from(events.clone())));
        let number = u32::try_from(number).expect("small");
        let start = Start { dialect: Dialect::Responses, ..start(number, Some("s"), request) };
        answered(&recorder, start, events.as_bytes()).finish(end(number));
        input.extend(items);
    }
    recorder.settled().await;
    let session = recorder.store().session("s").await.expect("a query").expect("a session");
    let calls = session.transactions.iter();
    let found: Vec<_> = calls.map(|call| (call.request.clone(), call.upstream_response.clone())).collect();
    assert!(found == sent, "every body as it was");
    assert_eq!(session.transactions[59].identities[..176], session.transactions[58].identities[..]);
    let grown = size(&folder, &recorder).await - empty().await;
    assert!(grown <= 2 * last, "{grown} bytes for a last turn of {last}");
}

#[tokio::test]
async fn what_is_resent_costs_no_rows() {
    let (folder, recorder) = recorder().await;
    let body = messages(&[json!({"role": "user", "content": "x".repeat(3000)})]);
    for number in 0..20 {
        answered(&recorder, start(number, None, body.clone()), &answer(&"y".repeat(3000))).finish(end(number));
    }
    recorder.settled().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("luthien.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a connection");
    let counts: (i64, i64) = sqlx::query_as("SELECT (SELECT COUNT(*) FROM contents), (SELECT COUNT(*) FROM nodes)")
        .fetch_one(&mut connection)
        .await
        .expect("counts");
    assert_eq!(counts, (2, 1));

    // With a cache mark it is another node, and no other content.
    let text = json!({"type": "text", "text": "x".repeat(3000)});
    let request = |last: &serde_json::Value| messages(&[json!({"role": "user", "content": [last]})]);
    let (plain, marked) = (request(&text), request(&marked(&[json!({"content": [text]})])[0]["content"][0]));
    answered(&recorder, start(20, None, plain), b"").finish(end(20));
    answered(&recorder, start(21, None, marked.clone()), b"").finish(end(21));
    recorder.settled().await;
    let counts: (i64, i64) = sqlx::query_as("SELECT (SELECT COUNT(*) FROM contents), (SELECT COUNT(*) FROM nodes)")
        .fetch_one(&mut connection)
        .await
        .expect("counts");
    assert_eq!(counts, (3, 3));
    let (first, second) = (stored(&recorder, 20).await.expect("stored"), stored(&recorder, 21).await.expect("stored"));
    assert_eq!(second.request, marked);
    assert_eq!(first.identities, second.identities);
}
