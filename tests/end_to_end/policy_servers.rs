//! Policies in Python, each a process of its own, asked by the real gateway.

use std::path::Path;

use luthien_testkit::accumulate::accumulate;
use luthien_testkit::{Answer, Asked, Script, Upstream};
use luthien_tests::clients::Job;
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::http::post;
use luthien_tests::policy_server::{At, PolicyServer, interpreter, python, sdk};
use luthien_wire::Dialect;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::said::{Said, said};

const PUSH: &str = "git push -f origin main";
const DELETE: &str = "rm -rf /";

async fn upstream(script: impl Into<Script>) -> Upstream {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(script);
    upstream
}

fn bash(command: &str) -> Value {
    json!({"command": command})
}

/// Asks for a turn and reads it; the transaction's id, too.
async fn ask(gateway: &Gateway, dialect: Dialect, stream: bool) -> (Said, String) {
    let path = match dialect {
        Dialect::Messages => "/v1/messages",
        Dialect::Chat => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
    };
    let messages = if dialect == Dialect::Responses { "input" } else { "messages" };
    let mut body = json!({"model": "agent", "stream": stream, messages: [{"role": "user", "content": "go on"}]});
    if dialect == Dialect::Messages {
        body["max_tokens"] = json!(100);
    }
    let answer = post(&format!("{}{path}", gateway.url()), body.to_string()).await.expect("an answer");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{text}");
    let message = if stream {
        accumulate(dialect, &answer.body).unwrap_or_else(|rule| panic!("{rule}: {text}"))
    } else {
        serde_json::from_slice(&answer.body).expect("JSON")
    };
    let job = Job { name: format!("{dialect:?} {stream}"), dialect, streamed: stream, request: Value::Null };
    let id = answer.headers["x-call-id"].to_str().expect("an id").to_owned();
    (said(&job, &json!({"final": message})), id)
}

async fn ask_messages(gateway: &Gateway, stream: bool) -> Said {
    ask(gateway, Dialect::Messages, stream).await.0
}

fn commands(said: &Said) -> Vec<&str> {
    said.calls.iter().map(|call| call.input["command"].as_str().expect("a command")).collect()
}

/// A policy that is asked at `server`, and left alone only after more failures than a test has.
fn webhook(server: &str, more: &Value) -> Value {
    let mut config = json!({"url": server, "retries": 0, "breaker": {"failures": 100}});
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    config
}

#[tokio::test]
async fn policies_in_python_pass_block_and_rewrite_in_every_dialect() {
    let folder = TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("rules.sock");
    let rules = PolicyServer::start("examples/rules.py", At::Socket(&socket)).await;
    let rewrite = PolicyServer::start("examples/rewrite.py", At::Port("s3cret")).await;
    let answer = Answer::text("Ask ann@example.com.")
        .call("Bash", &bash(PUSH))
        .call("Bash", &bash(DELETE))
        .call("Bash", &bash("ls"))
        .delta_size(3);
    let upstream = upstream(Script::always(answer)).await;
    let chain = json!({"policies": [
        {"class": "webhook", "config": webhook(rules.url(), &json!({}))},
        {"class": "webhook", "config": webhook(rewrite.url(), &json!({"secret": {"env": "POLICY_SECRET"}}))},
    ]});
    let setup = Setup { upstream: upstream.base_url(), policy: Some(("serial", chain)) };
    let gateway = Gateway::start_with(&setup, &[("POLICY_SECRET", "s3cret")]).await;

    for dialect in Dialect::ALL {
        for stream in [false, true] {
            let (said, id) = ask(&gateway, dialect, stream).await;
            let ran = commands(&said);
            assert_eq!(ran, ["git push --force-with-lease origin main", "ls"], "{dialect:?} {stream}: {said:?}");
            for words in ["Ask [mail address].", "[Blocked by a rule.]", "A forced push was made a careful one."] {
                assert!(said.text.contains(words), "{dialect:?} {stream}: {said:?}");
            }
            let call = gateway.call(&id).await;
            let events = call["events"].as_array().expect("events");
            let answered = events.iter().filter(|event| event["event_type"] == "policy.webhook.answered").count();
            // Three calls for the first, a text and two calls for the second, which does not see what was blocked.
            assert_eq!(answered, 6, "{dialect:?} {stream}: {call}");
        }
    }
    rules.stop().await;
    rewrite.stop().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_dies_while_it_decides_blocks_and_one_that_comes_back_decides_again() {
    let folder = TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("waits.sock");
    let start = async || PolicyServer::start("policies/waits.py", At::Socket(&socket)).await;
    let mut server = start().await;
    let command = |command| Answer::text("So:").call("Bash", &bash(command));
    let plays = ["ls", "wait", "ls", "ls", "ls"].map(command);
    let upstream = upstream(Script::in_turn(plays)).await;
    let policy = Some(("webhook", webhook(server.url(), &json!({}))));
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy }).await;

    assert_eq!(commands(&ask_messages(&gateway, true).await), ["ls"]);
    let (undecided, ()) = tokio::join!(ask_messages(&gateway, true), async {
        server.printed("asked to wait").await;
        server.kill().await;
    });
    let without = ask_messages(&gateway, false).await;
    let server = start().await;
    let again = [ask_messages(&gateway, true).await, ask_messages(&gateway, false).await];

    for said in [undecided, without] {
        assert!(said.calls.is_empty(), "{said:?}");
        assert_eq!(said.text, "So:[Blocked: the policy `webhook` could not check the call of the tool `Bash`.]");
    }
    for said in &again {
        assert_eq!(commands(said), ["ls"]);
    }
    server.stop().await;
    gateway.stop().await;
}

#[tokio::test]
async fn content_passes_without_a_server_where_that_is_wanted() {
    let upstream = upstream(Script::always(Answer::tool("Bash", &bash("ls")))).await;
    let nowhere = "unix:/nowhere/policy.sock";
    let more = json!({"on_error": "pass", "watches": {"tool_calls": true}});
    let policy = Some(("webhook", webhook(nowhere, &more)));
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy }).await;
    let (said, id) = ask(&gateway, Dialect::Messages, true).await;
    assert_eq!(commands(&said), ["ls"]);
    let call = gateway.call(&id).await;
    let failed = call["events"].as_array().expect("events").iter();
    let kinds: Vec<_> = failed.filter_map(|event| event["payload"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["unreachable"], "{call}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_policy_asks_a_model_through_the_gateway_and_not_itself() {
    let folder = TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("judge.sock");
    let server = PolicyServer::start("examples/judge.py", At::Socket(&socket)).await;
    let script = Script::new(|asked: &Asked| match asked.model() {
        "judge" if asked.says("rm x") => Answer::text(r#"{"probability": 0.9, "why": "it deletes"}"#),
        "judge" => Answer::text(r#"{"probability": 0.1, "why": "it looks"}"#),
        _ => Answer::tool("Bash", &bash("ls")).call("Bash", &bash("rm x")),
    });
    let upstream = upstream(script).await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let config = json!({"gateway": gateway.url(), "model": "judge"});
    gateway.set_policy("webhook", &json!({"url": server.url(), "config": config})).await;

    let said = ask_messages(&gateway, true).await;

    assert_eq!(commands(&said), ["ls"]);
    assert!(said.text.contains("[Blocked: a judge found this call harmful.]"), "{said:?}");
    let turns = upstream.turns();
    assert_eq!(turns.len(), 3, "the agent's and one for each call");
    let names = turns.iter().flat_map(|turn| &turn.headers).map(|(name, _)| name.to_lowercase());
    assert!(names.into_iter().all(|name| !name.starts_with("x-luthien-")));
    server.stop().await;
    gateway.stop().await;
}

#[tokio::test]
async fn the_gateway_starts_a_policy_of_a_file_and_starts_it_again_when_it_dies() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("policy.py");
    std::fs::write(&file, OWN).expect("a policy");
    let commands_ = ["ls", "rm x", "die", "ls", "rm x"];
    let upstream = upstream(Script::in_turn(commands_.map(|command| Answer::tool("Bash", &bash(command))))).await;
    let config = json!({"file": file, "python": interpreter(), "config": {"word": "rm"}, "env": ["GIVEN"]});
    let setup = Setup { upstream: upstream.base_url(), policy: Some(("python", config)) };
    let search = sdk().join("src");
    let environment =
        [("PYTHONPATH", &*search.to_string_lossy()), ("GIVEN", "given"), ("ADMIN_API_KEY", "not-for-policies")];
    let gateway = Gateway::start_with(&setup, &environment).await;

    let mut said = Vec::new();
    for stream in [true, false, true, false, true] {
        said.push(ask_messages(&gateway, stream).await);
    }

    let shown: Vec<_> = said.iter().map(|said| (said.text.as_str(), commands(said))).collect();
    let undecided = "[Blocked: the policy `python` could not check the call of the tool `Bash`.]";
    assert_eq!(
        shown,
        [
            ("", vec!["ls"]),
            ("no rm: given None", vec![]),
            (undecided, vec![]),
            ("", vec!["ls"]),
            ("no rm: given None", vec![])
        ],
        "{}",
        gateway.log()
    );
    let data = gateway.data();
    assert!(gateway.log().contains("a policy's process has died"), "{}", gateway.log());
    gateway.stop().await;
    assert_eq!(std::fs::read_dir(data.join("policies")).into_iter().flatten().count(), 0);
}

/// Blocks what holds a word of its configuration and tells its environment; `die` ends its process, once.
const OWN: &str = r#"
import os
from dataclasses import dataclass
from luthien_policy import Answer, Block, Pass, Policy, Review, ToolCall, Watches

@dataclass(frozen=True)
class Config:
    word: str

class Own(Policy):
    watches = Watches(tool_calls=True)

    def __init__(self, config: Config) -> None:
        self.word = config.word

    async def tool_call(self, call: ToolCall, review: Review) -> Answer:
        command = call.argument("command")
        if command == "die":
            os._exit(7)
        if self.word in command:
            return Block(f"no {self.word}: {os.environ.get('GIVEN')} {os.environ.get('ADMIN_API_KEY')}")
        return Pass()
"#;

#[tokio::test]
async fn a_policy_whose_file_is_no_policy_says_why_it_does_not_load() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("policy.py");
    std::fs::write(&file, "import luthien_policy_that_is_not_there\n").expect("a file");
    let upstream = upstream(Script::always(Answer::text("hello"))).await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let settings = folder.path().join("luthien.yaml");
    let policy = json!({"policy": {"class": "python", "config": {"file": file, "python": interpreter()}}});
    std::fs::write(&settings, policy.to_string()).expect("a settings file");
    let run = gateway.command(&["policy", "check", &settings.to_string_lossy()]).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("file: the policy does not say what it is"), "{run:?}");
    assert!(run.stderr.contains("No module named"), "{run:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_policy_whose_configuration_its_server_refuses_is_not_put_in_force() {
    let folder = TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("rules.sock");
    let server = PolicyServer::start("examples/rules.py", At::Socket(&socket)).await;
    let upstream = upstream(Script::always(Answer::text("hello"))).await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let file = folder.path().join("luthien.yaml");
    let config = json!({"url": server.url(), "config": {"rules": [{"pattern": "a"}, {"pattern": "("}]}});
    let policy = json!({"policy": {"class": "webhook", "config": config}});
    std::fs::write(&file, policy.to_string()).expect("a policy file");
    let run = gateway.command(&["policy", "check", &file.to_string_lossy()]).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("config.rules[1].pattern: not a regular expression"), "{run:?}");
    server.stop().await;
    gateway.stop().await;
}

#[tokio::test]
async fn the_sdks_own_tests_pass_and_its_types_hold() {
    let folder = TempDir::new().expect("a temporary folder");
    let cache = folder.path().join("mypy").to_string_lossy().into_owned();
    let wheels = folder.path().join("wheels").to_string_lossy().into_owned();
    for arguments in [
        &["-m", "pytest", "-p", "no:cacheprovider"][..],
        &["-m", "mypy", "--cache-dir", &cache],
        &["-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "-w", &wheels, "."],
    ] {
        let run = python(arguments, folder.path()).await;
        assert_eq!(run.code, Some(0), "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
    }
    let wheel = Path::new(&wheels).join("luthien_policy-0.1.0-py3-none-any.whl");
    assert!(wheel.exists(), "{} is not there", wheel.display());
}
