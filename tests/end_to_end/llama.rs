//! A real llama.cpp server as the upstream, read with the vendors' SDKs and by agents: nobody here wrote either end.

use luthien_tests::clients::{Job, Sdk, claude_code, pi, read, read_each};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::llama::Llama;
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::said::{Said, said};

/// The only command that the model can be made to write.
pub(crate) const COMMAND: &str = "docker compose down";

/// What the model says, whatever it is asked. The invisible character keeps its two "the" apart.
pub(crate) const SENTENCE: &str = "Hello from the tiny model, streaming real bytes through \u{200b}the gateway.";

/// A request for a text, or for a call that the model's grammar forces.
pub(crate) fn job(client: Dialect, model: &str, tool: bool, streamed: bool) -> Job {
    let schema = json!({"type": "object", "properties": {"command": {"enum": [COMMAND]}}, "required": ["command"]});
    let said = json!([{"role": "user", "content": "hello"}]);
    let (asked, offered) = match client {
        Dialect::Messages => (
            json!({"max_tokens": 4000, "messages": said}),
            json!({"tools": [{"name": "Bash", "input_schema": schema}], "tool_choice": {"type": "any"}}),
        ),
        Dialect::Chat => (
            json!({"max_tokens": 4000, "messages": said}),
            json!({"tools": [{"type": "function", "function": {"name": "Bash", "parameters": schema}}], "tool_choice": "required"}),
        ),
        Dialect::Responses => (
            json!({"max_output_tokens": 4000, "input": said}),
            json!({"tools": [{"type": "function", "name": "Bash", "parameters": schema}], "tool_choice": "required"}),
        ),
    };
    let mut request = json!({"model": model, "temperature": 0});
    for part in if tool { vec![asked, offered] } else { vec![asked] } {
        let fields = part.as_object().cloned().unwrap_or_default();
        request.as_object_mut().expect("an object").extend(fields);
    }
    let (what, form) = (if tool { "tool" } else { "text" }, if streamed { "streamed" } else { "whole" });
    Job { name: format!("{} asks {model} for a {what}, {form}", client.name()), dialect: client, streamed, request }
}

/// The model on the side of the server that speaks this.
fn tiny(spoken: Dialect) -> String {
    format!("{}/tiny", spoken.name())
}

/// A text and a call, streamed and not, in the server's own dialects.
fn own() -> Vec<Job> {
    let kinds = [(false, false), (false, true), (true, false), (true, true)];
    let all = Dialect::ALL.into_iter().flat_map(|dialect| kinds.map(|kind| (dialect, kind)));
    all.map(|(dialect, (tool, streamed))| job(dialect, &tiny(dialect), tool, streamed)).collect()
}

/// A call, streamed and not, on every way from one dialect to another.
fn converted() -> Vec<Job> {
    let ways = Dialect::ALL.into_iter().flat_map(|client| Dialect::ALL.map(|spoken| (client, spoken)));
    let ways = ways.filter(|(client, spoken)| client != spoken);
    ways.flat_map(|(client, spoken)| [false, true].map(|streamed| job(client, &tiny(spoken), true, streamed))).collect()
}

async fn gateway(llama: &Llama, policy: Option<(&'static str, Value)>) -> Gateway {
    Gateway::start_converting(&Setup { upstream: llama.url().into(), policy }).await
}

/// The commands of the calls; their ids are the server's dice.
fn commands(said: &Said) -> Vec<&Value> {
    said.calls.iter().map(|call| &call.input["command"]).collect()
}

#[tokio::test]
async fn a_real_server_reads_the_same_through_the_gateway() {
    let llama = Llama::start().await;
    let gateway = gateway(&llama, None).await;
    let [direct, through] = read_each(Sdk::PythonNew, [llama.url(), gateway.url()], &own()).await;
    for job in own() {
        let (direct, through) = (&direct[&job.name], &through[&job.name]);
        if job.dialect == Dialect::Responses && job.streamed {
            // Its events have no numbers of items, on which this reader fails.
            assert_eq!(through["final"], direct["final"], "{}", job.name);
            continue;
        }
        let (direct, through) = (said(&job, direct), said(&job, through));
        assert_eq!(
            (&through.text, commands(&through), &through.stop),
            (&direct.text, commands(&direct), &direct.stop),
            "{}",
            job.name
        );
        assert_eq!(direct.text.trim(), SENTENCE, "{}", job.name);
        assert_eq!(direct.calls.is_empty(), job.request["tools"].is_null(), "{}", job.name);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_real_servers_calls_are_blocked_and_its_stream_is_repaired() {
    let llama = Llama::start().await;
    let gateway = gateway(&llama, Some(("dogfood_safety", json!({})))).await;
    let mut jobs: Vec<_> = own().into_iter().chain(converted()).collect();
    // This reader needs the numbers of items, which the server leaves out: they are not filled in yet.
    let unnumbered = [false, true].map(|tool| job(Dialect::Responses, &tiny(Dialect::Responses), tool, true).name);
    jobs.retain(|job| !unnumbered.contains(&job.name));
    let through = read(Sdk::PythonNew, gateway.url(), &jobs).await;
    for job in jobs {
        let said = said(&job, &through[&job.name]);
        assert!(said.text.trim().starts_with(SENTENCE), "{}: {said:?}", job.name);
        assert_eq!(said.text.contains("⛔ BLOCKED"), job.request["tools"].is_array(), "{}: {said:?}", job.name);
        assert_eq!(said.calls, [], "{}", job.name);
        let stop = match job.dialect {
            Dialect::Messages => "end_turn",
            Dialect::Chat => "stop",
            Dialect::Responses => "completed",
        };
        assert_eq!(said.stop, stop, "{}", job.name);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn agents_talk_with_a_real_server_on_sides_that_are_not_their_own() {
    let llama = Llama::start().await;
    let mut gateway = gateway(&llama, Some(("dogfood_safety", json!({})))).await;
    let sentence = SENTENCE.replace('\u{200b}', "");
    let all = [
        claude_code(gateway.url(), "hello", &["--bare", "--model", "chat/tiny"]).await,
        pi(Dialect::Chat, gateway.url(), "messages/tiny", "hello").await,
        pi(Dialect::Messages, gateway.url(), "responses/tiny", "hello").await,
        pi(Dialect::Responses, gateway.url(), "chat/tiny", "hello").await,
    ];
    for run in &all {
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.replace('\u{200b}', "").contains(&sentence), "{run:?}");
    }
    gateway.recorded(4).await;
    gateway.stop().await;
}
