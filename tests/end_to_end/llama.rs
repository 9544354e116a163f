//! A real llama.cpp server as the upstream, read with the newer Python SDKs: nobody here wrote either end.

use std::collections::BTreeMap;

use luthien_tests::clients::{Job, Sdk, read};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::llama::Llama;
use serde_json::{Value, json};

/// The only command that the model can be made to write.
const COMMAND: &str = "docker compose down";

/// What the model says, whatever it is asked. The invisible character keeps its two "the" apart.
const SENTENCE: &str = "Hello from the tiny model, streaming real bytes through \u{200b}the gateway.";

/// A text and a forced tool call in both dialects, streamed and not.
fn jobs() -> Vec<Job> {
    let schema = json!({"type": "object", "properties": {"command": {"enum": [COMMAND]}}, "required": ["command"]});
    let plain = json!({"model": "tiny", "max_tokens": 4000, "temperature": 0, "messages": [{"role": "user", "content": "hello"}]});
    let mut messages_tool = plain.clone();
    messages_tool["tools"] = json!([{"name": "Bash", "input_schema": schema}]);
    messages_tool["tool_choice"] = json!({"type": "any"});
    let mut chat_tool = plain.clone();
    chat_tool["tools"] = json!([{"type": "function", "function": {"name": "Bash", "parameters": schema}}]);
    chat_tool["tool_choice"] = json!("required");

    let requests = [
        ("messages", "text", plain.clone()),
        ("messages", "tool", messages_tool),
        ("chat", "text", plain),
        ("chat", "tool", chat_tool),
    ];
    let both = |(dialect, what, request): (&'static str, &str, Value)| {
        [true, false].map(|streamed| {
            let name = format!("{dialect} {what} {}", if streamed { "streamed" } else { "whole" });
            Job { name, dialect, streamed, request: request.clone() }
        })
    };
    requests.into_iter().flat_map(both).collect()
}

/// What an answer amounts to: its texts in order, its calls' commands, why it stopped.
#[derive(Debug, PartialEq)]
struct Said {
    texts: String,
    commands: Vec<String>,
    stop: String,
}

fn said(dialect: &str, result: &Value) -> Said {
    let answer = &result["final"];
    assert!(answer.is_object(), "the SDK did not accept the answer: {result}");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if dialect == "messages" {
        let blocks = answer["content"].as_array().expect("content blocks");
        Said {
            texts: blocks.iter().filter_map(|block| text(&block["text"])).collect(),
            commands: blocks
                .iter()
                .filter(|block| block["type"] == "tool_use")
                .filter_map(|call| text(&call["input"]["command"]))
                .collect(),
            stop: text(&answer["stop_reason"]).unwrap_or_default(),
        }
    } else {
        let choice = &answer["choices"][0];
        let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
        let command = |call: &Value| {
            let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str()?).ok()?;
            text(&arguments["command"])
        };
        Said {
            texts: text(&choice["message"]["content"]).unwrap_or_default(),
            commands: calls.iter().filter_map(command).collect(),
            stop: text(&choice["finish_reason"]).unwrap_or_default(),
        }
    }
}

async fn through_a_gateway(llama: &Llama, policy: Option<(&'static str, Value)>) -> BTreeMap<String, Value> {
    let gateway = Gateway::start(&Setup { upstream: llama.url().into(), policy }).await;
    let results = read(Sdk::PythonNew, gateway.url(), &jobs()).await;
    gateway.stop().await;
    results
}

#[tokio::test]
async fn a_real_server_reads_the_same_through_the_gateway() {
    let llama = Llama::start().await;
    let direct = read(Sdk::PythonNew, llama.url(), &jobs()).await;
    let through = through_a_gateway(&llama, None).await;
    for job in jobs() {
        let direct = said(job.dialect, &direct[&job.name]);
        assert_eq!(said(job.dialect, &through[&job.name]), direct, "{}", job.name);
        assert_eq!(direct.texts.trim(), SENTENCE, "{}", job.name);
    }
}

#[tokio::test]
async fn a_real_servers_calls_are_blocked_and_its_stream_is_repaired() {
    let llama = Llama::start().await;
    let through = through_a_gateway(&llama, Some(("dogfood_safety", json!({})))).await;
    for job in jobs() {
        let said = said(job.dialect, &through[&job.name]);
        assert!(said.texts.trim().starts_with(SENTENCE), "{}: {said:?}", job.name);
        assert_eq!(said.texts.contains("⛔ BLOCKED"), job.request["tools"].is_array(), "{}: {said:?}", job.name);
        assert_eq!(said.commands, Vec::<String>::new(), "{}", job.name);
        assert_eq!(said.stop, if job.dialect == "messages" { "end_turn" } else { "stop" }, "{}", job.name);
    }
}
