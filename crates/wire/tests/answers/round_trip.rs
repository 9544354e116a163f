//! An answer that goes to another dialect and back says what it said.

use luthien_testkit::fixtures;
use luthien_wire::Dialect;
use luthien_wire::convert::whole;
use luthien_wire::turn::{Block, StopReason};
use luthien_wire::whole::decode;
use serde_json::Value;

use crate::support::{context, pairs};

/// What every dialect can say: the text, the calls, why it stopped and what it cost.
#[derive(Debug, PartialEq)]
struct Said {
    text: String,
    calls: Vec<(String, String, Result<Value, String>)>,
    stop: Option<StopReason>,
    cost: [u64; 3],
}

fn said(dialect: Dialect, body: &[u8]) -> Said {
    let read: Value = serde_json::from_slice(body).unwrap_or_default();
    let decoded = decode(dialect, body);
    assert!(decoded.is_ok(), "{dialect}: {decoded:?}\n{}", String::from_utf8_lossy(body));
    let mut all = Said { text: String::new(), calls: Vec::new(), stop: None, cost: cost(dialect, &read["usage"]) };
    for choice in decoded.into_iter().flat_map(|whole| whole.choices).take(1) {
        all.stop = choice.stop;
        for part in choice.parts {
            match part.block {
                Block::Text(text) => all.text.push_str(&text),
                // A server's own calls are nothing that others could run.
                Block::ToolCall(call) if matches!(call.form, luthien_wire::turn::ToolForm::Client) => {
                    all.calls.push((call.id, call.name, call.arguments.map_err(|_| call.raw)));
                }
                _ => {}
            }
        }
    }
    all
}

/// The prompt with what was cached, what was read from the cache, and the answer.
fn cost(dialect: Dialect, usage: &Value) -> [u64; 3] {
    let count = |place: &str| usage.pointer(place).and_then(Value::as_u64).unwrap_or(0);
    match dialect {
        Dialect::Messages => {
            let (read, written) = (count("/cache_read_input_tokens"), count("/cache_creation_input_tokens"));
            [count("/input_tokens") + read + written, read, count("/output_tokens")]
        }
        Dialect::Chat => {
            [count("/prompt_tokens"), count("/prompt_tokens_details/cached_tokens"), count("/completion_tokens")]
        }
        Dialect::Responses => {
            [count("/input_tokens"), count("/input_tokens_details/cached_tokens"), count("/output_tokens")]
        }
    }
}

/// What the way changes, and rightly: other choices, stop reasons without a counterpart, text behind a call that Messages
/// takes in front, free text that is no JSON, calls that other vendors' clients cannot run.
const CHANGES: [&str; 17] = [
    "body_choices_two",
    "body_pause_turn",
    "body_stop_sequence",
    "body_context_window_exceeded",
    "body_refusal",
    "body_custom",
    "body_custom_tool_call",
    "body_function_call",
    "body_shell_call",
    "body_local_shell_call",
    "body_apply_patch_call",
    "body_computer_call",
    "body_program",
    "body_mcp_approval_request",
    "body_unknown_block",
    "body_unknown_item",
    "body_max_tokens_tool",
];

#[test]
fn there_and_back_nothing_is_lost() {
    let mut wrong = Vec::new();
    for (from, to) in pairs() {
        let bodies = fixtures::all(from).iter().filter(|fixture| !fixture.streamed && fixture.well_formed);
        for fixture in bodies.filter(|fixture| !CHANGES.contains(&fixture.name)) {
            let Ok(there) = whole(&context(from, to), fixture.bytes) else { continue };
            if there.failed.is_some() {
                continue;
            }
            let back = whole(&context(to, from), &there.body);
            assert!(back.is_ok(), "{from} {} in {to}", fixture.name);
            let back = back.map(|back| back.body).unwrap_or_default();
            let (given, came) = (said(from, fixture.bytes), said(from, &back));
            if given != came {
                wrong.push(format!("{from} {} by {to}\n{given:?}\n{came:?}", fixture.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
