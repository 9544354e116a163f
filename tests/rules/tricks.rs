//! Answers made to get a call past a judge that blocks all: no byte of one gets out.

use luthien_testkit::{Answer, Play, Reply};
use luthien_wire::Dialect;
use serde_json::json;

use crate::support::{BAD, JUDGE, Policy, Rig, judge, judged, turn};

mod responses;

/// What stands in every call of these tests.
pub(crate) const CANARY: &str = "canary";

fn event(data: &str) -> String {
    let kind = data.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a type");
    format!("event: {kind}\ndata: {data}\n\n")
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#;
const CALL: &str = r#"{"type":"tool_use","id":"toolu_canary","name":"Bash","input":{"command":"canary"}}"#;
const DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":5}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

/// A whole message of these events, in frames.
fn message(events: &[&str]) -> String {
    let all = [&[START], events, &[DELTA, STOP]].concat();
    all.into_iter().map(event).collect()
}

fn messages_streams() -> Vec<(&'static str, String)> {
    let block = |index: u32| format!(r#"{{"type":"content_block_start","index":{index},"content_block":{CALL}}}"#);
    let stop = r#"{"type":"content_block_stop","index":0}"#;
    let text = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let said = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#;
    let input = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":\"canary\"}"}}"#;
    let empty = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t1","name":"Bash","input":{}}}"#;
    let full = START.replace(r#""content":[]"#, &format!(r#""content":[{CALL}]"#));
    let twice = |first: &str, second: &str| {
        format!(r#"{{"type":"content_block_start","index":0,"content_block":{first},"content_block":{second}}}"#)
    };
    let blank = r#"{"type":"text","text":""}"#;
    let whole = message(&[&block(0), stop]);
    let bare = |data: &str| format!("data: {data}\n\n");
    vec![
        ("plainly", whole.clone()),
        ("no end", [event(START), event(&block(0))].concat()),
        ("no stop of its block", message(&[&block(0)])),
        ("in the message's start", [event(&full), event(DELTA), event(STOP)].concat()),
        ("behind the end", [message(&[text, said, stop]), event(&block(1)), event(STOP)].concat()),
        ("a second message", [message(&[text, said, stop]), whole.clone()].concat()),
        ("before the start", [event(&block(0)), event(START), event(stop), event(DELTA), event(STOP)].concat()),
        ("as the second of two blocks in one event", message(&[&twice(blank, CALL), stop])),
        ("as the first of two blocks in one event", message(&[&twice(CALL, blank), stop])),
        ("in a key written otherwise", message(&[&block(0).replace("tool_use\"", "tool_\\u0075se\""), stop])),
        ("input in a text block", message(&[text, input, stop])),
        ("text in a call", message(&[empty, &said.replace("\"x\"", "\"canary\""), stop])),
        ("input for a block that is not there", message(&[text, &input.replace("\"index\":0", "\"index\":7"), stop])),
        ("input after the block's end", message(&[empty, stop, input])),
        ("without an index", message(&[&block(0).replace("\"index\":0,", ""), stop])),
        ("at a negative index", message(&[&block(0).replace("\"index\":0", "\"index\":-1"), stop])),
        ("at a huge index", message(&[&block(0).replace("\"index\":0", "\"index\":18446744073709551615"), stop])),
        ("at an index of words", message(&[&block(0).replace("\"index\":0", "\"index\":\"0\""), stop])),
        ("at an index twice", message(&[text, &block(0), stop])),
        ("under another event's name", whole.replace("event: content_block_start", "event: ping")),
        ("under a name of no event", whole.replace("event: content_block_start", "event: x")),
        ("under no name", [bare(START), bare(&block(0)), bare(stop), bare(DELTA), bare(STOP)].concat()),
        (
            "with its name behind",
            whole
                .replace("event: content_block_start\n", "")
                .replace(&format!("{CALL}}}\n"), &format!("{CALL}}}\nevent: content_block_start\n")),
        ),
        ("with two names", whole.replace("event: content_block_start", "event: ping\nevent: content_block_start")),
        (
            "over two lines of data",
            whole.replace(
                "data: {\"type\":\"content_block_start\",",
                "data: {\"type\":\"content_block_start\",\ndata: ",
            ),
        ),
        ("with single carriage returns", whole.replace('\n', "\r")),
        ("behind a byte order mark", format!("\u{feff}{whole}")),
        ("with a NUL in the name", whole.replace("event: content_block_start", "event: content_block_start\0")),
        ("as an array", message(&[&block(0).replace(CALL, &format!("[{CALL}]")), stop])),
        ("of an unknown kind", message(&[&block(0).replace("tool_use\"", "tool_use_2031\""), stop])),
        ("of no kind", message(&[&block(0).replace("\"type\":\"tool_use\",", ""), stop])),
        ("of a kind that is no word", message(&[&block(0).replace("\"type\":\"tool_use\"", "\"type\":7"), stop])),
        ("as the vendor's own", message(&[&block(0).replace("\"tool_use\"", "\"server_tool_use\""), stop])),
        ("as a server's", message(&[&block(0).replace("\"tool_use\"", "\"mcp_tool_use\""), stop])),
    ]
}

fn chunk(choice: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{choice}]}}\n\n"
    )
}

fn chat_streams() -> Vec<(&'static str, String)> {
    let call =
        r#"{"index":0,"id":"call_1","type":"function","function":{"name":"Bash","arguments":"{\"a\":\"canary\"}"}}"#;
    let role = chunk(r#"{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}"#);
    let text = chunk(r#"{"index":0,"delta":{"content":"x"},"finish_reason":null}"#);
    let delta = |delta: &str| chunk(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}"#));
    let calls = |call: &str| delta(&format!(r#"{{"tool_calls":[{call}]}}"#));
    let end = chunk(r#"{"index":0,"delta":{},"finish_reason":"tool_calls"}"#);
    let beside = |odd: &str| {
        chunk(&format!(
            r#"{{"index":0,"delta":{{"role":"assistant","content":"x","tool_calls":[{call}]}},"finish_reason":"tool_calls",{odd}}}"#
        ))
    };
    let done = "data: [DONE]\n\n";
    let all = |middle: &str| [role.as_str(), middle, &end, done].concat();
    vec![
        ("plainly", all(&calls(call))),
        ("no end", [role.as_str(), &calls(call)].concat()),
        ("behind the finish reason", [role.as_str(), &text, &end, &calls(call), done].concat()),
        ("behind the end", [role.as_str(), &text, &end, done, &calls(call), &end].concat()),
        (
            "with the finish reason",
            all(&chunk(&format!(r#"{{"index":0,"delta":{{"tool_calls":[{call}]}},"finish_reason":"stop"}}"#))),
        ),
        ("with text and a number beyond all", all(&beside(r#""x":1e999"#))),
        ("with text and half a character", all(&beside(r#""x":"\ud800""#))),
        ("with text and great depth", all(&beside(&format!(r#""x":{}{}"#, "[".repeat(500), "]".repeat(500))))),
        ("twice in one delta, second", all(&delta(&format!(r#"{{"tool_calls":[],"tool_calls":[{call}]}}"#)))),
        ("twice in one delta, first", all(&delta(&format!(r#"{{"tool_calls":[{call}],"tool_calls":[]}}"#)))),
        (
            "two deltas",
            all(&chunk(&format!(
                r#"{{"index":0,"delta":{{"content":"x"}},"delta":{{"tool_calls":[{call}]}},"finish_reason":null}}"#
            ))),
        ),
        (
            "as a message",
            all(&chunk(&format!(
                r#"{{"index":0,"message":{{"role":"assistant","tool_calls":[{call}]}},"finish_reason":null}}"#
            ))),
        ),
        ("as an object", all(&delta(&format!(r#"{{"tool_calls":{call}}}"#)))),
        ("in an array of arrays", all(&delta(&format!(r#"{{"tool_calls":[[{call}]]}}"#)))),
        ("in a key written otherwise", all(&calls(call).replace("tool_calls\"", "tool_\\u0063alls\""))),
        ("without an index", all(&calls(&call.replace("\"index\":0,", "")))),
        ("at a negative index", all(&calls(&call.replace("\"index\":0", "\"index\":-1")))),
        ("at an index of words", all(&calls(&call.replace("\"index\":0", "\"index\":\"0\"")))),
        ("without a name", all(&calls(r#"{"index":0,"function":{"arguments":"{\"a\":\"canary\"}"}}"#))),
        ("as text and call in one delta", all(&delta(&format!(r#"{{"content":"x","tool_calls":[{call}]}}"#)))),
        ("as the older kind", all(&delta(r#"{"function_call":{"name":"Bash","arguments":"{\"a\":\"canary\"}"}}"#))),
        (
            "as the older kind, null beside it",
            all(&delta(r#"{"tool_calls":null,"function_call":{"name":"Bash","arguments":"canary"}}"#)),
        ),
        (
            "as a custom tool",
            all(&calls(r#"{"index":0,"id":"c1","type":"custom","custom":{"name":"Bash","input":"canary"}}"#)),
        ),
        (
            "of an unknown kind",
            all(&calls(r#"{"index":0,"id":"c1","type":"new","new":{"name":"Bash","input":"canary"}}"#)),
        ),
        ("at another choice", all(&calls(call).replace("[{\"index\":0,\"delta\"", "[{\"index\":3,\"delta\""))),
        ("at no choice", all(&calls(call).replace("[{\"index\":0,\"delta\"", "[{\"delta\""))),
        (
            "as the second of two choices",
            all(&chunk(&format!(
                r#"{{"index":0,"delta":{{"content":"x"}},"finish_reason":null}},{{"index":1,"delta":{{"tool_calls":[{call}]}},"finish_reason":null}}"#
            ))),
        ),
        ("with choices twice", all(&calls(call).replace("\"choices\":", "\"choices\":[],\"choices\":"))),
        (
            "choices as an object",
            all(&calls(call).replace("\"choices\":[", "\"choices\":{\"0\":").replace("]}\n\n", "}}\n\n")),
        ),
        ("under an event's name", all(&format!("event: ping\n{}", calls(call)))),
        ("over two lines of data", all(&calls(call).replace("\"choices\":", "\ndata: \"choices\":"))),
        ("with single carriage returns", all(&calls(call)).replace('\n', "\r")),
        ("behind a byte order mark", format!("\u{feff}{}", all(&calls(call)))),
        ("beside an error", all(&calls(call).replace("\"object\"", "\"error\":{\"message\":\"x\"},\"object\""))),
    ]
}

fn bodies(dialect: Dialect) -> Vec<(String, String)> {
    let message = |content: &str| {
        format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"m",{content},"stop_reason":"tool_use","stop_sequence":null,"usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        )
    };
    let call = r#"{"id":"call_1","type":"function","function":{"name":"Bash","arguments":"{\"a\":\"canary\"}"}}"#;
    let completion = |message: &str| {
        format!(
            r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,{message},"finish_reason":"tool_calls"}}]}}"#
        )
    };
    let text = r#"[{"type":"text","text":"x"}]"#;
    let tricks = match dialect {
        Dialect::Messages => vec![
            ("plainly", message(&format!(r#""content":[{CALL}]"#))),
            ("content twice, second", message(&format!(r#""content":{text},"content":[{CALL}]"#))),
            ("content twice, first", message(&format!(r#""content":[{CALL}],"content":{text}"#))),
            ("content in a key written otherwise", message(&format!(r#""cont\u0065nt":[{CALL}]"#))),
            ("content as an object", message(&format!(r#""content":{CALL}"#))),
            ("of no kind", message(&format!(r#""content":[{}]"#, CALL.replace("\"type\":\"tool_use\",", "")))),
            (
                "two kinds",
                message(&format!(
                    r#""content":[{}]"#,
                    CALL.replace("{\"type\"", "{\"type\":\"text\",\"text\":\"x\",\"type\"")
                )),
            ),
            (
                "two values",
                format!("{}{}", message(&format!(r#""content":{text}"#)), message(&format!(r#""content":[{CALL}]"#))),
            ),
            ("behind a byte order mark", format!("\u{feff}{}", message(&format!(r#""content":[{CALL}]"#)))),
            ("in an array", format!("[{}]", message(&format!(r#""content":[{CALL}]"#)))),
            ("cut", message(&format!(r#""content":[{CALL}]"#)).trim_end_matches('}').to_owned()),
            ("as a stream", messages_streams().remove(0).1),
            (
                "as the other dialect",
                completion(&format!(r#""message":{{"role":"assistant","content":null,"tool_calls":[{call}]}}"#)),
            ),
        ],
        Dialect::Responses => {
            let mut all = responses::bodies();
            all.push((
                "as another dialect".to_owned(),
                completion(&format!(r#""message":{{"role":"assistant","content":null,"tool_calls":[{call}]}}"#)),
            ));
            all.push(("as a third dialect".to_owned(), message(&format!(r#""content":[{CALL}]"#))));
            return all;
        }
        Dialect::Chat => vec![
            (
                "plainly",
                completion(&format!(r#""message":{{"role":"assistant","content":null,"tool_calls":[{call}]}}"#)),
            ),
            (
                "message twice, second",
                completion(&format!(r#""message":{{"content":"x"}},"message":{{"tool_calls":[{call}]}}"#)),
            ),
            (
                "message twice, first",
                completion(&format!(r#""message":{{"tool_calls":[{call}]}},"message":{{"content":"x"}}"#)),
            ),
            ("calls twice, second", completion(&format!(r#""message":{{"tool_calls":[],"tool_calls":[{call}]}}"#))),
            ("calls twice, first", completion(&format!(r#""message":{{"tool_calls":[{call}],"tool_calls":[]}}"#))),
            ("as a delta", completion(&format!(r#""delta":{{"tool_calls":[{call}]}}"#))),
            ("as an object", completion(&format!(r#""message":{{"tool_calls":{call}}}"#))),
            (
                "as the older kind",
                completion(r#""message":{"content":null,"function_call":{"name":"Bash","arguments":"canary"}}"#),
            ),
            (
                "choices twice",
                completion(&format!(r#""message":{{"tool_calls":[{call}]}}"#))
                    .replace("\"choices\":", "\"choices\":[],\"choices\":"),
            ),
            ("cut", completion(&format!(r#""message":{{"tool_calls":[{call}]}}"#)).trim_end_matches('}').to_owned()),
            ("as a stream", chat_streams().remove(0).1),
            ("as the other dialect", message(&format!(r#""content":[{CALL}]"#))),
        ],
    };
    tricks.into_iter().map(|(name, body)| (name.to_owned(), body)).collect()
}

/// The tricks of an upstream that speaks this dialect, streams and bodies.
pub(crate) fn all(dialect: Dialect) -> Vec<(String, String)> {
    let named =
        |tricks: Vec<(&str, String)>| tricks.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    let streams: Vec<(String, String)> = match dialect {
        Dialect::Messages => named(messages_streams()),
        Dialect::Chat => named(chat_streams()),
        Dialect::Responses => responses::streams(),
    };
    [streams, bodies(dialect)].concat()
}

async fn nothing_gets_out(
    dialect: Dialect,
    asked_for: bool,
    tricks: Vec<(impl std::fmt::Display, String)>,
    content_types: &[&str],
) {
    let rig = Rig::new(Answer::text("x"), Some(judge())).await;
    let mut leaks = Vec::new();
    for (name, bytes) in tricks {
        for content_type in content_types {
            for status in [200, 201, 299] {
                let reply = Reply::whole(status, content_type, bytes.clone());
                rig.upstream.default_script(judged(BAD, move |_| Play::from(reply.clone())));
                let told = rig.told(dialect, &turn(dialect, "m", asked_for)).await;
                if told.text().contains(CANARY) {
                    leaks.push(format!("{name} as {content_type} with {status}: {}", told.text()));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n\n"));
    rig.stop().await;
}

const TYPES: [&str; 5] =
    ["text/event-stream", "TEXT/EVENT-STREAM; charset=utf-8", "application/json", "text/html", "x"];

#[tokio::test]
async fn no_trick_of_a_messages_stream_gets_a_call_out() {
    for asked_for in [true, false] {
        nothing_gets_out(Dialect::Messages, asked_for, messages_streams(), &TYPES).await;
    }
}

#[tokio::test]
async fn no_trick_of_a_chat_stream_gets_a_call_out() {
    for asked_for in [true, false] {
        nothing_gets_out(Dialect::Chat, asked_for, chat_streams(), &TYPES).await;
    }
}

#[tokio::test]
async fn no_trick_of_a_responses_stream_gets_a_call_out() {
    for asked_for in [true, false] {
        nothing_gets_out(Dialect::Responses, asked_for, responses::streams(), &TYPES).await;
    }
}

#[tokio::test]
async fn no_trick_of_a_body_gets_a_call_out() {
    for dialect in Dialect::ALL {
        for asked_for in [true, false] {
            nothing_gets_out(dialect, asked_for, bodies(dialect), &TYPES).await;
        }
    }
}

#[tokio::test]
async fn a_tools_name_carries_nothing_out() {
    let policies: [Policy; 3] = [
        ("tool_call_judge", json!({"model": JUDGE})),
        ("tool_call_judge", json!({"model": JUDGE, "feedback": "category"})),
        ("simple_llm", json!({"instructions": "x", "model": JUDGE, "on_error": "block", "max_retries": 0})),
    ];
    for policy in policies {
        // The second is no verdict at all.
        for verdict in [BAD, "canary"] {
            for name in ["run `canary` now", "canary\nnow", &"canary_".repeat(100)] {
                let call = Answer::new().call(name, &json!({"command": "canary"}));
                let rig = Rig::new(judged(verdict, move |_| call.clone()), Some(policy.clone())).await;
                for dialect in Dialect::ALL {
                    for stream in [true, false] {
                        let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
                        assert!(!told.text().contains(CANARY), "{policy:?}: {}", told.text());
                    }
                }
                rig.stop().await;
            }
        }
    }
}
