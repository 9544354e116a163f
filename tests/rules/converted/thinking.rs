//! A vendor's reasoning through a client of another dialect, and back.

use luthien_testkit::{Answer, Reply, Script, fixtures};
use luthien_wire::Dialect;
use serde_json::{Value, json};

use super::{abroad, pairs};
use crate::support::{GOOD, Rig, judge, judged, read, turn};

/// What the client sends next: all that it was told, and the outputs of all calls in it.
fn next(client: Dialect, model: &str, answer: &Value) -> Value {
    let mut body = turn(client, model, false);
    let list = if client == Dialect::Responses { "input" } else { "messages" };
    let messages = body[list].as_array_mut().expect("messages");
    let each = |items: &Value| items.as_array().cloned().unwrap_or_default();
    match client {
        Dialect::Messages => {
            messages.push(json!({"role": "assistant", "content": answer["content"]}));
            let calls = each(&answer["content"]).into_iter().filter(|block| block["type"] == "tool_use");
            let results = calls.map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}));
            messages.push(json!({"role": "user", "content": results.collect::<Vec<_>>()}));
        }
        Dialect::Chat => {
            let message = &answer["choices"][0]["message"];
            messages.push(message.clone());
            let results = each(&message["tool_calls"]).into_iter();
            messages.extend(results.map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"})));
        }
        Dialect::Responses => {
            let items = each(&answer["output"]);
            messages.extend(items.iter().cloned());
            let calls = items.iter().filter(|item| item["type"] == "function_call");
            let outputs =
                calls.map(|call| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}));
            messages.extend(outputs.collect::<Vec<_>>());
        }
    }
    body
}

/// The vendor's own reasoning in a request or an answer, in order.
fn reasoning(spoken: Dialect, value: &Value) -> Vec<Value> {
    let each = |items: &Value| items.as_array().cloned().unwrap_or_default();
    let of_kind = |items: Vec<Value>, word: &str| -> Vec<Value> {
        items.into_iter().filter(|item| item["type"].as_str().is_some_and(|kind| kind.contains(word))).collect()
    };
    match spoken {
        Dialect::Messages => {
            let messages = each(&value["messages"]).into_iter().flat_map(|message| each(&message["content"]));
            of_kind(messages.chain(each(&value["content"])).collect(), "thinking")
        }
        Dialect::Responses => {
            of_kind(each(&value["input"]).into_iter().chain(each(&value["output"])).collect(), "reasoning")
        }
        Dialect::Chat => {
            let messages = each(&value["messages"]);
            let said = messages
                .iter()
                .filter(|message| message["role"] == "assistant")
                .chain([&value["choices"][0]["message"]]);
            let members = ["reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"];
            let carried = |message: &Value| {
                let found = members.iter().filter(|name| !message[**name].is_null());
                found.map(|name| ((*name).to_owned(), message[*name].clone())).collect::<serde_json::Map<_, _>>()
            };
            said.map(carried).filter(|members| !members.is_empty()).map(Value::Object).collect()
        }
    }
}

/// Answers with reasoning in all its forms, by dialect.
fn thoughtful(spoken: Dialect) -> &'static [&'static str] {
    match spoken {
        Dialect::Messages => &[
            "thinking_tool",
            "thinking_interleaved",
            "thinking_omitted",
            "thinking_redacted",
            "body_thinking_tool",
            "body_thinking_interleaved",
            "body_thinking_omitted",
            "body_thinking_redacted",
        ],
        Dialect::Chat => &["body_thinking_blocks", "body_reasoning", "body_reasoning_details"],
        Dialect::Responses => &[
            "reasoning_summary",
            "reasoning_encrypted",
            "reasoning_function_call",
            "reasoning_between_calls",
            "body_reasoning_summary",
            "body_reasoning_encrypted",
            "body_reasoning_function_call",
            "body_reasoning_between_calls",
        ],
    }
}

#[tokio::test]
async fn the_next_turn_holds_exactly_the_vendors_reasoning() {
    let script = Script::new(|asked: &luthien_testkit::Asked| {
        if asked.model() == crate::support::JUDGE {
            return luthien_testkit::Play::from(Answer::text(GOOD));
        }
        let fixture = fixtures::named(asked.dialect, asked.model()).expect("a fixture of that name");
        Reply::fixture(fixture).into()
    });
    let mut wrong = Vec::new();
    for policy in [None, Some(judge()), Some(("all_caps", json!({})))] {
        let rig = Rig::converting(script.clone(), policy.clone()).await;
        for (client, spoken) in pairs() {
            for name in thoughtful(spoken) {
                let fixture = fixtures::named(spoken, name).expect("a fixture of that name");
                let came = if fixture.streamed {
                    read(spoken, fixture.bytes).expect("well-formed")
                } else {
                    serde_json::from_slice(fixture.bytes).expect("JSON")
                };
                rig.upstream.clear();
                let told = rig.told(client, &abroad(client, spoken, name, fixture.streamed)).await;
                let answer =
                    if fixture.streamed { read(client, &told.body).expect("well-formed") } else { told.json() };
                let model = format!("{}/{name}", spoken.name());
                let told = rig.told(client, &next(client, &model, &answer)).await;
                assert_eq!(told.status, 200, "{client} on {spoken}: {name}: {}", told.text());
                let sent = rig.turns().remove(1).json();
                let (before, after) = (reasoning(spoken, &came), reasoning(spoken, &sent));
                assert!(!before.is_empty(), "{spoken} {name}");
                if after != before {
                    wrong.push(format!(
                        "{client} on {spoken}: {name} under {policy:?}:\n  came {before:?}\n  went {after:?}"
                    ));
                }
            }
        }
        rig.stop().await;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Reasoning is for its own vendor alone: another one is not sent it in any form.
#[tokio::test]
async fn no_other_vendor_sees_it() {
    let answer = Answer::new().think("private-thought", "cHJpdmF0ZS1zaWduYXR1cmU=").say("Hm.").call("run", &json!({}));
    let rig = Rig::converting(judged(GOOD, move |_| answer.clone()), None).await;
    for (client, spoken) in pairs() {
        let told = rig.told(client, &abroad(client, spoken, "m", false)).await;
        let answer = told.json();
        for other in Dialect::ALL.into_iter().filter(|other| *other != spoken) {
            rig.upstream.clear();
            let told = rig.told(client, &next(client, &format!("{}/m", other.name()), &answer)).await;
            assert_eq!(told.status, 200, "{client} from {spoken} to {other}: {}", told.text());
            let sent = String::from_utf8_lossy(&rig.turns()[0].body).into_owned();
            for word in ["private-thought", "cHJpdmF0ZS1zaWduYXR1cmU=", "luthien1."] {
                assert!(!sent.contains(word), "{client} from {spoken} to {other}: {sent}");
            }
        }
    }
    rig.stop().await;
}
