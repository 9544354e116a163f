//! What is blocked, what is not, and what is said about it.

use luthien_wire::turn::{ToolForm, Unreadable};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::contract::Action;
use crate::scripted;

async fn judged(config: Value, call: &ToolCall) -> Answer {
    let policy = scripted::policy("dogfood_safety", config);
    policy.review(&scripted::context()).tool_call(call, &[]).await.unwrap()
}

#[rstest]
#[case("docker compose down")]
#[case("cd /srv && docker-compose -f a.yml stop gateway")]
#[case("docker  compose \\\n  kill")]
#[case("DOCKER COMPOSE RM -f")]
#[case("docker stop luthien")]
#[case("docker -H tcp://x container rm -f abc")]
#[case("docker 'kill' abc")]
#[case("podman rm x")]
#[case("pkill -9 -f luthien")]
#[case("killall luthien")]
#[case("kill $(pgrep -f luthien)")]
#[case("pgrep luthien | xargs kill -9")]
#[case("systemctl --user stop luthien.service")]
#[case("luthien down")]
#[case("rm -rf ~/.local/share/luthien")]
#[case("rm docker-compose.yml")]
#[case("psql $DATABASE_URL -c 'DROP TABLE x'")]
#[case("echo 'truncate conversation_calls' | psql")]
#[case("psql <<EOF\ndrop schema public cascade;\nEOF")]
#[tokio::test]
async fn what_would_harm_the_gateway_is_blocked(#[case] command: &str) {
    let answer = judged(json!({}), &scripted::call("Bash", json!({"command": command}))).await;
    let Action::Block(message) = answer.action else { panic!("passed {command}") };
    assert!(message.starts_with(MARK) && !message.contains(command), "{message}");
}

#[rstest]
#[case("docker compose up -d")]
#[case("docker run --rm alpine true")]
#[case("docker exec -it app rm x")]
#[case("docker compose ps; git stop")]
#[case("pkill node")]
#[case("rm -rf target")]
#[case("psql -c 'select 1'")]
#[case("systemctl status luthien")]
#[case("luthien sessions")]
#[tokio::test]
async fn ordinary_commands_pass(#[case] command: &str) {
    let answer = judged(json!({}), &scripted::call("Bash", json!({"command": command}))).await;
    assert_eq!(answer, Answer::pass());
}

#[tokio::test]
async fn a_command_as_a_list_of_words_is_one_command() {
    let call = scripted::call("shell", json!({"command": ["docker", "compose", "down"]}));
    assert!(matches!(judged(json!({}), &call).await.action, Action::Block(_)));
}

#[tokio::test]
async fn the_description_of_a_command_is_not_the_command() {
    let call = scripted::call("Bash", json!({"command": "ls", "description": "before docker compose down"}));
    assert_eq!(judged(json!({}), &call).await, Answer::pass());
}

#[tokio::test]
async fn other_tools_are_not_looked_at() {
    let call = scripted::call("Write", json!({"content": "docker compose down"}));
    assert_eq!(judged(json!({}), &call).await, Answer::pass());
}

#[rstest]
#[case(r#"{"command": "docker compose down"#)]
#[case(r#"{"command": "docker\u0020compose\tdown"#)]
#[tokio::test]
async fn arguments_that_are_no_json_are_scanned_raw(#[case] raw: &str) {
    let call = ToolCall {
        id: String::new(),
        name: "bash".to_owned(),
        form: ToolForm::Client,
        raw: raw.to_owned(),
        arguments: Err(Unreadable::CutOff),
    };
    assert!(matches!(judged(json!({}), &call).await.action, Action::Block(_)));
}

#[tokio::test]
async fn settings_replace_the_defaults() {
    let config =
        json!({"blocked_patterns": ["make +clean"], "tool_names": ["Run"], "blocked_message": "no {command}!"});
    let answer = judged(config.clone(), &scripted::call("run", json!({"cmd": "make clean"}))).await;
    assert_eq!(answer.action, Action::Block("⛔ BLOCKED: no make clean!".to_owned()));
    assert_eq!(judged(config, &scripted::call("Bash", json!({"command": "make clean"}))).await, Answer::pass());
}

#[tokio::test]
async fn a_block_leaves_an_event() {
    let context = scripted::context();
    let review = scripted::policy("dogfood_safety", json!({})).review(&context);
    review.tool_call(&scripted::call("Bash", json!({"command": "docker kill x"})), &[]).await.unwrap();
    let (events, _) = context.events.take();
    assert_eq!(events[0].event_type, "policy.dogfood_safety.blocked");
    assert_eq!(events[0].data, json!({"tool_name": "Bash", "command": "docker kill x"}));
}

#[test]
fn a_bad_pattern_is_refused_by_path() {
    let message = scripted::refused("dogfood_safety", json!({"blocked_patterns": ["ok", "(?!x)"]}));
    assert!(message.starts_with("blocked_patterns[1]: not a regular expression"), "{message}");
}
