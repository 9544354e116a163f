//! Whatever the upstream sends and however it is cut: what is blocked does not get out, what passes keeps its bytes.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use luthien_testkit::fixtures::{self, Fixture};
use luthien_testkit::{Asked, Chunking, Reply, Script, Step};
use luthien_wire::Dialect;
use luthien_wire::sse::Splitter;
use serde_json::{Value, json};

use crate::support::{BAD, GOOD, JUDGE, Rig, chain, decisions, fixture_of, judge, judged, read, response, turn};
use crate::words::{found, names, only_in_calls, only_in_texts};

fn with_calls() -> Vec<&'static Fixture> {
    Dialect::ALL
        .into_iter()
        .flat_map(fixtures::all)
        .filter(|fixture| {
            fixture.has_tool_calls || fixture.name.ends_with("unknown_block") || fixture.name.ends_with("unknown_item")
        })
        .collect()
}

/// The fixture in pieces of 1 to 40 bytes; which, depends on the number of the request alone.
fn in_random_pieces(asked: &Asked) -> Reply {
    let fixture = fixtures::named(asked.dialect, asked.model()).expect("a fixture of that name");
    if !fixture.streamed {
        return Reply::fixture(fixture);
    }
    let mut steps = Vec::new();
    let mut rest = fixture.bytes;
    while !rest.is_empty() {
        let mut hasher = DefaultHasher::new();
        (asked.number, rest.len()).hash(&mut hasher);
        let size = usize::try_from(hasher.finish() % 40).expect("a small number") + 1;
        let (piece, more) = rest.split_at(size.min(rest.len()));
        steps.push(Step::Send(bytes::Bytes::copy_from_slice(piece)));
        rest = more;
    }
    Reply::frames(steps)
}

fn whole(asked: &Asked) -> Reply {
    fixture_of(asked).chunking(Chunking::Whole)
}

fn byte_by_byte(asked: &Asked) -> Reply {
    fixture_of(asked).chunking(Chunking::Bytes(1))
}

/// A client tool call is left in this answer.
fn holds_a_call(answer: &Value) -> bool {
    let block = |block: &Value| block["type"].as_str().is_some_and(|kind| kind.ends_with("tool_use"));
    let message = |choice: &Value| {
        choice["message"]["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty())
            || choice["message"].get("function_call").is_some_and(|call| !call.is_null())
            || matches!(choice["finish_reason"].as_str(), Some("tool_calls" | "function_call"))
    };
    let item = |item: &Value| {
        let kind = item["type"].as_str().unwrap_or_default();
        kind.ends_with("_call") || kind == "mcp_approval_request" || kind == "sketch"
    };
    answer["stop_reason"] == "tool_use"
        || answer["output"].as_array().is_some_and(|items| items.iter().any(item))
        || answer["content"].as_array().is_some_and(|blocks| blocks.iter().any(block))
        || answer["choices"].as_array().is_some_and(|choices| choices.iter().any(message))
}

/// The words that must not get out. Of a call that nobody can read, the gateway says its name.
fn hidden(fixture: &Fixture) -> BTreeSet<String> {
    let words = only_in_calls(fixture);
    if is_unreadable(fixture) { words.difference(&names(fixture)).cloned().collect() } else { words }
}

async fn nothing_leaks(script: Script, fixtures: &[&Fixture]) {
    let nothing: [(&str, Value); 1] = [("dogfood_safety", json!({}))];
    let rig = Rig::new(script, Some(chain(&[nothing[0].clone(), judge()]))).await;
    let mut leaks = Vec::new();
    for fixture in fixtures {
        let words = hidden(fixture);
        assert!(words.len() > 1, "{}: {words:?}", fixture.name);
        rig.upstream.clear();
        let told = rig.told(fixture.dialect, &turn(fixture.dialect, fixture.name, fixture.streamed)).await;
        assert_eq!(told.status, 200, "{}", fixture.name);
        if let Some(word) = found(&words, &told.body, fixture.streamed) {
            leaks.push(format!("{} {}: '{word}' in {}", fixture.dialect, fixture.name, told.text()));
            continue;
        }
        assert_eq!(rig.turns().len(), 1, "{}: one request for a blocked turn", fixture.name);
        if fixture.well_formed {
            let answer = if fixture.streamed { read(fixture.dialect, &told.body) } else { Ok(told.json()) };
            let answer = answer.unwrap_or_else(|why| panic!("{}: {why}\n{}", fixture.name, told.text()));
            assert!(!holds_a_call(&answer), "{}: {answer}", fixture.name);
            let call = rig.gateway.call(told.id()).await;
            assert_eq!(response(&call)["evaluation"], "intervened", "{}", fixture.name);
            let blocks = decisions(&call).into_iter().filter(|decision| decision["action"] == "block").count();
            assert!(blocks > 0, "{}: {call}", fixture.name);
            let (original, last) = (&response(&call)["original_response"], &response(&call)["final_response"]);
            assert_eq!(found(&words, last.to_string().as_bytes(), false), None, "{}", fixture.name);
            assert!(found(&words, original.to_string().as_bytes(), false).is_some(), "{}", fixture.name);
        }
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n\n"));
    rig.stop().await;
}

#[tokio::test]
async fn no_byte_of_a_blocked_call_gets_out_in_one_piece() {
    nothing_leaks(judged(BAD, whole), &with_calls()).await;
}

#[tokio::test]
async fn no_byte_of_a_blocked_call_gets_out_byte_by_byte() {
    nothing_leaks(judged(BAD, byte_by_byte), &with_calls()).await;
}

#[tokio::test]
async fn no_byte_of_a_blocked_call_gets_out_in_random_pieces() {
    // The pieces differ with the number of the request.
    nothing_leaks(judged(BAD, in_random_pieces), &with_calls().repeat(3)).await;
}

/// Calls on whose arguments nobody can rely: no judge can allow them.
const UNREADABLE: [&str; 18] = [
    "tool_eager_invalid",
    "tool_duplicate_keys",
    "max_tokens_tool",
    "body_max_tokens_tool",
    "tool_invalid_json",
    "length_in_tool",
    "body_length_in_tool",
    "body_tool_invalid_json",
    "event_unlike_type",
    "tool_id_contradicts",
    "function_call_invalid_json",
    "body_function_call_invalid_json",
    "function_call_duplicate_keys",
    "body_function_call_duplicate_keys",
    "incomplete_in_function_call",
    "body_incomplete_in_function_call",
    "done_unlike_deltas",
    "item_unlike_deltas",
];

/// Answers that end within a call, or are odd in other ways.
const BROKEN: [&str; 6] = [
    "error_in_tool",
    "cut_in_tool",
    "error_in_function_call",
    "failed_in_function_call",
    "cut_in_custom_tool_call",
    "body_odd_json",
];

/// No judge allows the calls of this fixture as they stand.
fn is_unreadable(fixture: &Fixture) -> bool {
    UNREADABLE.contains(&fixture.name) || BROKEN.contains(&fixture.name)
}

/// The content of a Messages stream, block by block, as text.
fn blocks(fixture: &Fixture, bytes: &[u8]) -> Vec<String> {
    let message = read(fixture.dialect, bytes).expect("well-formed");
    let place = if fixture.dialect == Dialect::Messages { "content" } else { "output" };
    message[place].as_array().expect("blocks").iter().map(ToString::to_string).collect()
}

/// The bytes without the pings and comments of a stream, which do not wait for what is held.
fn said(bytes: &[u8]) -> String {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(bytes);
    let mut out = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        if frame.data.is_some() && frame.event != "ping" && frame.event != "keepalive" {
            out.extend_from_slice(&frame.raw);
        }
    }
    out.extend(splitter.finish().into_iter().flat_map(|frame| frame.raw));
    String::from_utf8(out).expect("UTF-8")
}

/// Text follows a call of the vendor's own, or a block that may be one, and goes out before it while the call is held.
fn overtaken(fixture: &Fixture) -> bool {
    if fixture.dialect == Dialect::Chat || !fixture.streamed {
        return false;
    }
    let kinds = blocks(fixture, fixture.bytes);
    let is_text = |block: &str| {
        let said = block.contains("\"type\":\"text\"") || block.contains("\"type\":\"message\"");
        said && !block.contains("tool_use_id")
    };
    let is_thinking = |block: &str| block.contains("thinking\"") || block.contains("\"type\":\"reasoning\"");
    let call = kinds.iter().position(|block| !is_text(block) && !is_thinking(block));
    call.is_some_and(|call| kinds[call..].iter().any(|block| is_text(block)))
}

/// What is held of this stream goes out in other bytes that say the same.
fn written_anew(fixture: &Fixture) -> bool {
    let anew = match fixture.dialect {
        Dialect::Messages => false,
        // A role that comes with a call goes out before it, and calls that come in turns one after the other.
        Dialect::Chat => fixture.has_tool_calls,
        // What follows a keep-alive that went out before a held call has another number; the last event has LF.
        Dialect::Responses => ["keepalive", "crlf"].contains(&fixture.name),
    };
    fixture.streamed && anew
}

#[tokio::test]
async fn what_is_allowed_keeps_every_byte() {
    let rig = Rig::new(judged(GOOD, in_random_pieces), Some(judge())).await;
    for fixture in Dialect::ALL.into_iter().flat_map(fixtures::all) {
        if !fixture.well_formed || is_unreadable(fixture) {
            continue;
        }
        let told = rig.told(fixture.dialect, &turn(fixture.dialect, fixture.name, fixture.streamed)).await;
        if overtaken(fixture) {
            let (mut before, mut after) = (blocks(fixture, fixture.bytes), blocks(fixture, &told.body));
            before.sort_unstable();
            after.sort_unstable();
            assert_eq!(after, before, "{}", fixture.name);
        } else if written_anew(fixture) {
            assert_eq!(read(fixture.dialect, &told.body), read(fixture.dialect, fixture.bytes), "{}", fixture.name);
        } else {
            assert_eq!(said(&told.body), said(fixture.bytes), "{}", fixture.name);
        }
        let call = rig.gateway.call(told.id()).await;
        assert_eq!(response(&call)["evaluation"], "passed", "{}", fixture.name);
        let unlike = decisions(&call).into_iter().find(|decision| decision["action"] != "pass");
        assert_eq!(unlike, None, "{}", fixture.name);
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_nobody_can_read_is_blocked_whatever_the_judge_says() {
    let rig = Rig::new(judged(GOOD, in_random_pieces), Some(judge())).await;
    let unreadable = with_calls().into_iter().filter(|fixture| UNREADABLE.contains(&fixture.name));
    let mut count = 0;
    for fixture in unreadable {
        count += 1;
        let words = hidden(fixture);
        let told = rig.told(fixture.dialect, &turn(fixture.dialect, fixture.name, fixture.streamed)).await;
        assert_eq!(found(&words, &told.body, fixture.streamed), None, "{}: {}", fixture.name, told.text());
        let call = rig.gateway.call(told.id()).await;
        assert_eq!(response(&call)["evaluation"], "intervened", "{}", fixture.name);
    }
    assert_eq!(count, UNREADABLE.len() + 1, "event_unlike_type is in two dialects");
    assert!(rig.upstream.turns().iter().all(|turn| turn.json()["model"] != JUDGE || !turn.body.is_empty()));
    rig.stop().await;
}

#[tokio::test]
async fn who_only_looks_leaves_every_byte() {
    let rig = Rig::new(Script::new(in_random_pieces), Some(("debug_logging", json!({})))).await;
    for fixture in Dialect::ALL.into_iter().flat_map(fixtures::all).filter(|fixture| fixture.well_formed) {
        let told = rig.told(fixture.dialect, &turn(fixture.dialect, fixture.name, fixture.streamed)).await;
        assert_eq!(told.text(), String::from_utf8_lossy(fixture.bytes), "{}", fixture.name);
    }
    rig.stop().await;
}

#[tokio::test]
async fn no_word_of_a_blocked_text_gets_out() {
    const NOTHING: &str = "{\"action\": \"replace\", \"blocks\": []}";
    let policy = ("simple_llm", json!({"instructions": "Let nothing out.", "model": JUDGE, "on_error": "block"}));
    let rig = Rig::new(judged(NOTHING, in_random_pieces), Some(policy)).await;
    let mut tried = 0;
    for fixture in Dialect::ALL.into_iter().flat_map(fixtures::all).filter(|fixture| fixture.status == 200) {
        let words = only_in_texts(fixture);
        if words.is_empty() || fixture.name.contains("unknown") {
            continue;
        }
        tried += 1;
        let told = rig.told(fixture.dialect, &turn(fixture.dialect, fixture.name, fixture.streamed)).await;
        assert_eq!(found(&words, &told.body, fixture.streamed), None, "{}: {}", fixture.name, told.text());
    }
    assert!(tried > 40, "only {tried} fixtures have texts");
    rig.stop().await;
}

#[tokio::test]
async fn no_changed_text_stands_in_its_log_probabilities() {
    const NOTHING: &str = "{\"action\": \"replace\", \"blocks\": []}";
    let blocking = ("simple_llm", json!({"instructions": "Let nothing out.", "model": JUDGE, "on_error": "block"}));
    for policy in [blocking, ("all_caps", json!({}))] {
        let rig = Rig::new(judged(NOTHING, fixture_of), Some(policy)).await;
        for (dialect, name, stream, token) in [
            (Dialect::Chat, "logprobs", true, "\"Yes\""),
            (Dialect::Chat, "body_logprobs", false, "\"Yes\""),
            (Dialect::Responses, "text_logprobs", true, "\" good\""),
            (Dialect::Responses, "body_logprobs", false, "\" good\""),
        ] {
            let fixture = fixtures::named(dialect, name).expect("a fixture of that name");
            assert!(String::from_utf8_lossy(fixture.bytes).contains(token), "{name}");
            let told = rig.told(dialect, &turn(dialect, name, stream)).await;
            assert!(!told.text().contains(token), "{name}: {}", told.text());
        }
        rig.stop().await;
    }
}
