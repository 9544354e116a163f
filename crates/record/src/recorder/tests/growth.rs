//! A history that grows with every turn is stored once, on either database.

use bytes::Bytes;
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::model::Start;
use crate::recorder::Recorder;
use crate::testing::{Db, Home, answered, end, recorder_on, start};

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

/// Text of so many words, as compressible as prose and code are.
fn prose(number: u64, words: u64) -> String {
    let vocabulary = noise(7, 4_000);
    let mut state = number.wrapping_add(1).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let word = |at: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Of 500 words, some are said often.
        let which = usize::try_from((state >> 33) % 500 * ((state >> 45) % 500) / 500).expect("small");
        let end = if at % 12 == 11 { "\n" } else { " " };
        [&vocabulary[which * 8..which * 8 + 2 + which % 7], end].concat()
    };
    (0..words).map(word).collect()
}

/// What Claude Code sends with every turn: system prompt and tools, with its cache marks.
fn outline() -> (Value, Value) {
    let mark = json!({"type": "ephemeral"});
    let system = json!([
        {"type": "text", "text": "You are an agent that writes code.", "cache_control": mark},
        {"type": "text", "text": prose(1, 2_500), "cache_control": mark},
    ]);
    let tool = |number: u64| {
        let path = json!({"type": "string", "description": prose(number + 200, 20)});
        let schema = json!({"type": "object", "properties": {"file_path": path, "command": path}, "required": ["file_path"], "additionalProperties": false});
        json!({"name": format!("Tool{number}"), "description": prose(number + 100, 300), "input_schema": schema})
    };
    (system, (0..16).map(tool).collect())
}

/// What the model answers in this turn: thoughts now and then, a text, a tool call.
fn said(number: u64) -> Vec<Value> {
    let thought =
        json!({"type": "thinking", "thinking": prose(number + 10_000, 60), "signature": noise(number + 20_000, 400)});
    let text = json!({"type": "text", "text": prose(number + 30_000, 40)});
    let input = json!({"file_path": format!("/src/{}.rs", noise(number, 8)), "command": prose(number + 40_000, 60)});
    let call =
        json!({"type": "tool_use", "id": format!("toolu_{}", noise(number, 24)), "name": "Tool3", "input": input});
    let thoughts = number.is_multiple_of(3).then_some(thought);
    thoughts.into_iter().chain([text, call]).collect()
}

/// The stream of an answer, in pieces of some words.
fn stream(number: u64, content: &[Value]) -> Bytes {
    let frame = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().expect("a type"));
    let usage = json!({"input_tokens": 9, "cache_read_input_tokens": 90_000, "cache_creation_input_tokens": 900, "output_tokens": 1});
    let message = json!({"id": format!("msg_{}", noise(number, 24)), "type": "message", "role": "assistant", "model": "claude-x", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage});
    let mut out = frame(json!({"type": "message_start", "message": message}));
    for (index, block) in content.iter().enumerate() {
        let kind = block["type"].as_str().expect("a type");
        let (begun, key, whole) = match kind {
            "thinking" => {
                (json!({"type": kind, "thinking": "", "signature": ""}), "thinking", block["thinking"].clone())
            }
            "text" => (json!({"type": kind, "text": ""}), "text", block["text"].clone()),
            _ => {
                let begun = json!({"type": kind, "id": block["id"], "name": block["name"], "input": {}});
                (begun, "partial_json", block["input"].to_string().into())
            }
        };
        let delta = |delta: Value| frame(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        out += &frame(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        let named = if key == "partial_json" { "input_json_delta".to_owned() } else { format!("{key}_delta") };
        for piece in whole.as_str().expect("text").as_bytes().chunks(24) {
            out += &delta(json!({"type": named, key: String::from_utf8_lossy(piece)}));
        }
        if let Some(signature) = block.get("signature") {
            out += &delta(json!({"type": "signature_delta", "signature": signature}));
        }
        out += &frame(json!({"type": "content_block_stop", "index": index}));
    }
    out += &frame(
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 300}}),
    );
    (out + &frame(json!({"type": "message_stop"}))).into()
}

/// The history with the cache marks that move along it: on its last two messages of the user.
fn marked(history: &[Value]) -> Vec<Value> {
    let mut out = history.to_vec();
    for message in out.iter_mut().rev().step_by(2).take(2) {
        let last = message["content"].as_array_mut().and_then(|blocks| blocks.last_mut()).expect("a block");
        last["cache_control"] = json!({"type": "ephemeral"});
    }
    out
}

#[rstest]
#[tokio::test]
async fn a_claude_code_session_is_stored_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    let (system, tools) = outline();
    let reminder = json!({"type": "text", "text": format!("<system-reminder>{}</system-reminder>", prose(2, 500))});
    let asked = json!({"type": "text", "text": prose(3, 50)});
    let mut history = vec![json!({"role": "user", "content": [reminder, asked]})];
    let (mut last, mut sent) = (0, Vec::new());
    for number in 0..100_u32 {
        let request = json!({"model": "claude-x", "max_tokens": 32_000, "stream": true, "system": system, "tools": tools,
            "metadata": {"user_id": "user_1_account__session_s"}, "messages": marked(&history)});
        let request = Bytes::from(request.to_string());
        let content = said(number.into());
        let reply = stream(number.into(), &content);
        last = request.len() + reply.len();
        sent.push((request.clone(), reply.clone()));
        let start = Start { streamed: true, ..start(number, Some("s"), request) };
        answered(&recorder, start, &reply).finish(end(number));
        // As an agent's turns come: one by one.
        recorder.settled().await;
        let call = content.last().expect("a call")["id"].clone();
        history.push(json!({"role": "assistant", "content": content}));
        let found =
            json!({"type": "tool_result", "tool_use_id": call, "content": prose(u64::from(number) + 50_000, 500)});
        history.push(json!({"role": "user", "content": [found]}));
    }
    let session = recorder.store().session("s").await.expect("a query").expect("a session");
    let calls = session.transactions.iter();
    let found: Vec<_> = calls.map(|call| (call.request.clone(), call.upstream_response.clone())).collect();
    assert!(found == sent, "every body as it was");
    assert_eq!(session.transactions[99].identities.len(), 199);
    assert_eq!(session.transactions[99].identities[..197], session.transactions[98].identities[..]);
    assert_grown_by_at_most_twice(last, &home, &recorder, db).await;
}

/// Compares the database with one that has nothing in it, all of it: rows, indexes and what is searched.
async fn assert_grown_by_at_most_twice(last: usize, home: &Home, recorder: &Recorder, db: Db) {
    let (nothing, idle) = recorder_on(db).await;
    let (empty, full) = (size(&nothing, &idle, db).await, size(home, recorder, db).await);
    let grown = full - empty;
    assert!(grown <= 2 * last, "{grown} bytes for a last turn of {last}");
}

/// How many bytes the database has once the recorder has stopped, without free pages and dead rows.
async fn size(home: &Home, recorder: &Recorder, db: Db) -> usize {
    recorder.shutdown(std::time::Duration::from_secs(10)).await;
    match db {
        Db::Sqlite => {
            let path = home.folder.path().join("luthien.db");
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
            let mut connection = SqliteConnection::connect_with(&options).await.expect("a connection");
            let checkpoint = sqlx::raw_sql("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
            checkpoint.execute(&mut connection).await.expect("a checkpoint");
            usize::try_from(std::fs::metadata(&path).expect("a file").len()).expect("small")
        }
        Db::Postgres => {
            home.server().query("VACUUM FULL").expect("no dead rows");
            home.server().query(TABLES).expect("a sum").parse().expect("a number")
        }
    }
}

/// The tables of a database with their indexes and what is kept outside of their pages.
const TABLES: &str = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";

#[rstest]
#[tokio::test]
async fn a_codex_session_is_stored_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
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
        recorder.settled().await;
        input.extend(items);
    }
    let session = recorder.store().session("s").await.expect("a query").expect("a session");
    let calls = session.transactions.iter();
    let found: Vec<_> = calls.map(|call| (call.request.clone(), call.upstream_response.clone())).collect();
    assert!(found == sent, "every body as it was");
    assert_eq!(session.transactions[59].identities[..176], session.transactions[58].identities[..]);
    assert_grown_by_at_most_twice(last, &home, &recorder, db).await;
}
