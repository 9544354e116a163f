//! Built-in policies on real answers: what the engine makes of them, streamed under any division and whole.

mod groups;
mod rows;
mod table;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use luthien_testkit::accumulate::accumulate_messages;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use crate::catalogue::{LoadEnv, PolicySpec, load};
use crate::contract::ReviewContext;
use crate::engine::UpstreamEnd;
use crate::plan::{Decision, DecisionSink, Options, Plan, Reviews};
use crate::scripted::{self, Scripted};

struct Unrecorded;

impl DecisionSink for Unrecorded {
    fn decided(&self, _decision: Decision) {}
}

fn open(policies: &Value, context: &Arc<ReviewContext>) -> Reviews {
    let spec = PolicySpec::new("serial", json!({"policies": policies}));
    let plan = Plan::new(load(&spec, &LoadEnv::default()).unwrap().tree);
    let options = Options {
        policy_timeout: Duration::from_mins(1),
        person_timeout: Duration::from_mins(4),
        person_timeout_streamed: Duration::from_mins(10),
        held_limit: 64 << 20,
        event_limit: 16 << 20,
    };
    plan.open(Arc::clone(context), Arc::new(Unrecorded), TaskTracker::new(), options)
}

/// A block of an answer, as the upstream says it.
#[derive(Clone, Debug)]
enum Said {
    Text(String),
    Call(&'static str, Value),
}

fn whole(blocks: &[Said]) -> Value {
    let content: Vec<Value> = blocks
        .iter()
        .enumerate()
        .map(|(n, block)| match block {
            Said::Text(text) => json!({"type": "text", "text": text}),
            Said::Call(name, input) => {
                json!({"type": "tool_use", "id": format!("toolu_{n}"), "name": name, "input": input})
            }
        })
        .collect();
    let stop = if blocks.iter().any(|b| matches!(b, Said::Call(..))) { "tool_use" } else { "end_turn" };
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2}})
}

/// The same answer as a stream, with texts and arguments in deltas of so many characters.
fn stream(blocks: &[Said], size: usize) -> String {
    let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let mut message = whole(blocks);
    let content = std::mem::take(&mut message["content"]);
    let stop = std::mem::take(&mut message["stop_reason"]);
    message["content"] = json!([]);
    let mut out = event(&json!({"type": "message_start", "message": message}));
    for (index, block) in content.as_array().unwrap().iter().enumerate() {
        let mut begun = block.clone();
        let (kind, field, full) = if block["type"] == "text" {
            begun["text"] = json!("");
            ("text_delta", "text", block["text"].as_str().unwrap().to_owned())
        } else {
            begun["input"] = json!({});
            ("input_json_delta", "partial_json", block["input"].to_string())
        };
        out += &event(&json!({"type": "content_block_start", "index": index, "content_block": begun}));
        for piece in full.chars().collect::<Vec<_>>().chunks(size) {
            let piece: String = piece.iter().collect();
            out +=
                &event(&json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: piece}}));
        }
        out += &event(&json!({"type": "content_block_stop", "index": index}));
    }
    out += &event(&json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
        "usage": {"output_tokens": 2}}));
    out + &event(&json!({"type": "message_stop"}))
}

async fn through(reviews: &Reviews, input: &str, chunk: usize) -> String {
    let mut review = reviews.stream();
    let mut out = Vec::new();
    for piece in input.as_bytes().chunks(chunk) {
        review.push(piece);
    }
    review.finish(UpstreamEnd::Clean);
    while let Some(bytes) = poll_fn(|cx| review.poll_output(cx)).await {
        out.extend_from_slice(&bytes);
    }
    reviews.end();
    String::from_utf8(out).unwrap()
}

fn contents(message: &Value) -> Vec<(String, String)> {
    let content = message["content"].as_array().unwrap();
    let shown = |block: &Value| match block["type"].as_str().unwrap() {
        "text" => ("text".to_owned(), block["text"].as_str().unwrap().to_owned()),
        _ => (block["name"].as_str().unwrap().to_owned(), block["input"].to_string()),
    };
    content.iter().map(shown).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        "[abcdß ]{1,20}".prop_map(Said::Text),
        prop::sample::select(vec!["ls", "docker compose down", "rm -rf target", "pkill luthien"])
            .prop_map(|command| Said::Call("Bash", json!({"command": command}))),
        "[abc ]{0,5}".prop_map(|text| Said::Call("Write", json!({"text": text}))),
    ]
}

fn chain() -> impl Strategy<Value = Vec<Value>> {
    let one = prop::sample::select(vec![
        json!({"class": "no_op"}),
        json!({"class": "all_caps"}),
        json!({"class": "dogfood_safety"}),
        json!({"class": "string_replacement", "config": {"replacements": [["ab", "xy"], ["y c", ""], ["SS", "z"]]}}),
        json!({"class": "string_replacement",
            "config": {"replacements": [["bc", "cab"]], "match_capitalization": true}}),
        json!({"class": "all_caps", "mode": "off"}),
        json!({"class": "rules", "config": {"rules": [
            {"name": "gone", "when": "tool.command.startsWith('pkill')", "action": "drop"},
            {"name": "no", "when": "tool.effects.deletes()", "action": "block", "message": "no {tool_name}"},
            {"name": "long", "when": "tool.command == 'ls'", "action": {"rewrite": {"args": "{'command': 'ls -l'}"}}},
            {"name": "b", "on": "text", "action": {"rewrite": {"regex": [["b+", "<$0>"]]}}},
            {"name": "d", "on": "text", "when": "text.contains('dd')", "action": "notice", "message": "two of them"},
        ]}}),
        json!({"class": "rules", "config": {"default_action": "block", "rules": [
            {"name": "write", "tools": ["Wri*"], "action": "allow"},
            {"name": "all", "on": "turn", "when": "turn.calls.size() > 3", "action": "block"},
        ]}}),
    ]);
    prop::collection::vec(one, 0..4)
}

proptest! {
    #[test]
    fn a_streamed_answer_says_what_a_whole_one_says(
        blocks in prop::collection::vec(said(), 1..5),
        policies in chain(),
        size in 1usize..7,
        chunk in 1usize..200,
    ) {
        let mut blocks = blocks;
        blocks.sort_by_key(|block| matches!(block, Said::Call(..)));
        let context = scripted::context();
        let policies = Value::from(policies);
        let (streamed, outcome) = block_on(async {
            let streamed = through(&open(&policies, &context), &stream(&blocks, size), chunk).await;
            let body = Bytes::from(whole(&blocks).to_string());
            (streamed, open(&policies, &context).whole(body).await)
        });
        let streamed = accumulate_messages(streamed.as_bytes()).map_err(TestCaseError::fail)?;
        let whole: Value = serde_json::from_slice(&outcome.body).unwrap();
        prop_assert_eq!(joined(&contents(&streamed)), joined(&contents(&whole)));
        prop_assert_eq!(&streamed["stop_reason"], &whole["stop_reason"]);
    }

    #[test]
    fn no_byte_of_a_judged_call_gets_out(size in 1usize..7, chunk in 1usize..300, at in 0usize..3) {
        let calls = ["first", "second", "third"].map(|name| Said::Call("Bash", json!({"command": format!("rm {name}")})));
        let mut blocks = vec![Said::Text("hello".to_owned())];
        blocks.extend(calls);
        let verdicts = (0..3).map(|n| Ok(if n == at { r#"{"probability": 0.9}"# } else { r#"{"probability": 0}"# }));
        let context = scripted::judged_by(Scripted::new(verdicts));
        let out = block_on(async {
            through(&open(&json!([{"class": "tool_call_judge"}]), &context), &stream(&blocks, size), chunk).await
        });
        let message = accumulate_messages(out.as_bytes()).map_err(TestCaseError::fail)?;
        let kept: Vec<_> = contents(&message).into_iter().filter(|(kind, _)| kind == "Bash").collect();
        prop_assert_eq!(kept.len(), 2);
        let lost = format!("toolu_{}", at + 1);
        prop_assert!(!out.contains(&lost), "{out}");
        prop_assert!(out.contains("a policy did not allow this call"), "{out}");
    }
}

/// Texts that stand beside each other as one: whether a policy's text joins its neighbour is the form's matter.
fn joined(blocks: &[(String, String)]) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for (kind, text) in blocks {
        match out.last_mut() {
            Some((last, whole)) if last == "text" && kind == "text" => whole.push_str(text),
            _ => out.push((kind.clone(), text.clone())),
        }
    }
    out
}

#[tokio::test(start_paused = true)]
async fn an_unevaluated_answer_says_so_once_before_its_calls() {
    let blocks = [Said::Text("hello".to_owned()), Said::Call("Bash", json!({"command": "ls"}))];
    let context = scripted::context();
    let reviews = open(&json!([{"class": "simple_llm", "config": {"instructions": "be nice"}}]), &context);
    let out = through(&reviews, &stream(&blocks, 4), 50).await;
    let got = contents(&accumulate_messages(out.as_bytes()).unwrap());
    let kinds: Vec<&str> = got.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["text", "text", "Bash"]);
    assert!(got[1].1.starts_with("[Not evaluated:"), "{got:?}");
    assert!(reviews.summary().failed_open);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_only_looks_leaves_every_byte() {
    let blocks = [Said::Text("hello".to_owned()), Said::Call("Bash", json!({"command": "ls"}))];
    let input = stream(&blocks, 3);
    let context = scripted::context();
    let policies = json!([{"class": "debug_logging"}, {"class": "no_op"}]);
    assert_eq!(through(&open(&policies, &context), &input, 7).await, input);
}
