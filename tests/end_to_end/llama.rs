//! A real llama.cpp server as the upstream, read with the newer Python SDKs: nobody here wrote either end.

use std::collections::BTreeMap;

use luthien_tests::clients::{Job, Sdk, read};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::llama::Llama;
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::said::{Said, said};

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
        (Dialect::Messages, "text", plain.clone()),
        (Dialect::Messages, "tool", messages_tool),
        (Dialect::Chat, "text", plain),
        (Dialect::Chat, "tool", chat_tool),
    ];
    let both = |(dialect, what, request): (Dialect, &str, Value)| {
        [true, false].map(|streamed| {
            let name = format!("{} {what} {}", dialect.name(), if streamed { "streamed" } else { "whole" });
            Job { name, dialect, streamed, request: request.clone() }
        })
    };
    requests.into_iter().flat_map(both).collect()
}

async fn through_a_gateway(llama: &Llama, policy: Option<(&'static str, Value)>) -> BTreeMap<String, Value> {
    let gateway = Gateway::start(&Setup { upstream: llama.url().into(), policy }).await;
    let results = read(Sdk::PythonNew, gateway.url(), &jobs()).await;
    gateway.stop().await;
    results
}

/// The commands of the calls; their ids are the server's dice.
fn commands(said: &Said) -> Vec<&Value> {
    said.calls.iter().map(|call| &call.input["command"]).collect()
}

#[tokio::test]
async fn a_real_server_reads_the_same_through_the_gateway() {
    let llama = Llama::start().await;
    let direct = read(Sdk::PythonNew, llama.url(), &jobs()).await;
    let through = through_a_gateway(&llama, None).await;
    for job in jobs() {
        let direct = said(&job, &direct[&job.name]);
        let through = said(&job, &through[&job.name]);
        assert_eq!(
            (&through.text, commands(&through), &through.stop),
            (&direct.text, commands(&direct), &direct.stop),
            "{}",
            job.name
        );
        assert_eq!(direct.text.trim(), SENTENCE, "{}", job.name);
        assert_eq!(direct.calls.is_empty(), job.request["tools"].is_null(), "{}", job.name);
    }
}

#[tokio::test]
async fn a_real_servers_calls_are_blocked_and_its_stream_is_repaired() {
    let llama = Llama::start().await;
    let through = through_a_gateway(&llama, Some(("dogfood_safety", json!({})))).await;
    for job in jobs() {
        let said = said(&job, &through[&job.name]);
        assert!(said.text.trim().starts_with(SENTENCE), "{}: {said:?}", job.name);
        assert_eq!(said.text.contains("⛔ BLOCKED"), job.request["tools"].is_array(), "{}: {said:?}", job.name);
        assert_eq!(said.calls, [], "{}", job.name);
        assert_eq!(said.stop, if job.dialect == Dialect::Messages { "end_turn" } else { "stop" }, "{}", job.name);
    }
}
