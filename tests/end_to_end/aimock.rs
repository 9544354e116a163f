//! Agents on one side, on the other a model server of others that speaks all dialects and tells what it was asked.

use luthien_tests::aimock::Aimock;
use luthien_tests::clients::{Run, claude_code, codex, pi};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

/// A command whose output is not part of it, so that seeing the output proves that it ran.
const COMMAND: &str = "echo answer-$((6*7))";
const OUTPUT: &str = "answer-42";
const LAST: &str = "The number was printed.";

#[derive(Clone, Copy, Debug)]
enum Agent {
    ClaudeCode,
    Codex,
    Pi(Dialect),
}

impl Agent {
    /// Its shell tool, as a call that aimock makes.
    fn call(self) -> Value {
        let (tool, field) = match self {
            Self::ClaudeCode => ("Bash", "command"),
            Self::Codex => ("exec_command", "cmd"),
            Self::Pi(_) => ("bash", "command"),
        };
        json!({"name": tool, "arguments": json!({field: COMMAND, "description": "Prints a number"}).to_string()})
    }

    /// What the server speaks to it. pi meets other dialects elsewhere.
    fn sides(&self) -> &[Dialect] {
        match self {
            Self::ClaudeCode | Self::Codex => &Dialect::ALL,
            Self::Pi(dialect) => std::slice::from_ref(dialect),
        }
    }

    async fn run(self, base: &str, model: &str) -> Run {
        let prompt = "Print the number, please.";
        match self {
            Self::ClaudeCode => claude_code(base, prompt, &["--model", model]).await,
            Self::Codex => codex(base, model, prompt).await,
            Self::Pi(dialect) => pi(dialect, base, model, prompt).await,
        }
    }
}

#[rstest]
#[case::claude_code(Agent::ClaudeCode)]
#[case::codex(Agent::Codex)]
#[case::pi_messages(Agent::Pi(Dialect::Messages))]
#[case::pi_chat(Agent::Pi(Dialect::Chat))]
#[case::pi_responses(Agent::Pi(Dialect::Responses))]
#[tokio::test]
async fn a_tool_loop_runs_with_a_server_of_others(#[case] agent: Agent) {
    let called = json!({"content": "I will run it.", "toolCalls": [agent.call()]});
    let aimock = Aimock::start(&json!({"fixtures": [
        {"match": {"hasToolResult": true}, "response": {"content": LAST}},
        {"match": {"userMessage": "Print the number"}, "response": called},
    ]}))
    .await;
    // It watches every call and lets these pass.
    let policy = Some(("dogfood_safety", json!({})));
    let mut gateway = Gateway::start_converting(&Setup { upstream: aimock.url().into(), policy }).await;

    for &spoken in agent.sides() {
        let model = format!("a-model-of-{}", spoken.name());
        let run = agent.run(gateway.url(), &format!("{}/{model}", spoken.name())).await;

        assert_eq!(run.code, Some(0), "{}: {run:?}", spoken.name());
        assert!(run.stdout.contains(LAST), "{}: {run:?}", spoken.name());
        let asked = aimock.asked(&model).await;
        assert_eq!(asked.len(), 2, "{}: one request before the tool and one after: {}", spoken.name(), aimock.log());
        for one in &asked {
            // Claude Code's query goes where its own dialect is spoken, and nowhere else.
            let query =
                if matches!((agent, spoken), (Agent::ClaudeCode, Dialect::Messages)) { "?beta=true" } else { "" };
            assert_eq!(one["path"], format!("/v1{}{query}", spoken.path()));
            assert_eq!(one["response"]["status"], 200);
            assert!(!one["headers"].to_string().contains("sk-test-dummy"), "no key is sent where none is asked for");
        }
        let [before, after] = [0, 1].map(|n| asked[n]["body"].to_string().contains(OUTPUT));
        assert!(!before && after, "{}: the tool's output came back: {}", spoken.name(), asked[1]);
    }
    gateway.recorded(2 * agent.sides().len() as u64).await;
    gateway.stop().await;
}
