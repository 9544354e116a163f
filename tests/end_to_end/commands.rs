//! The commands that a person types: the demo, the agent's launcher, and looking at what was recorded.

use luthien_testkit::{Answer, Script, Upstream};
use luthien_tests::clients::{luthien, luthien_claude};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::http::post;
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test]
async fn the_demo_needs_nothing_and_shows_a_call_being_blocked() {
    let home = TempDir::new().expect("a temporary folder");
    let run = luthien(home.path(), &["demo"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.to_lowercase().contains("blocked"), "{}", run.stdout);
}

#[tokio::test]
async fn claude_code_is_launched_through_a_gateway_of_its_own_and_recorded() {
    let upstream = Upstream::start().await.expect("an upstream");
    let call = Answer::new()
        .say("I will look.")
        .call("Bash", &json!({"command": "echo answer-$((6*7))", "description": "Prints"}));
    upstream.default_script(Script::rounds([call, Answer::text("It is done.")]));
    let home = TempDir::new().expect("a temporary folder");

    let run = luthien_claude(home.path(), &upstream.base_url(), "Print the number, please.").await;

    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("It is done."), "{run:?}");
    let turns = upstream.turns();
    assert_eq!(turns.len(), 2);
    assert!(String::from_utf8_lossy(&turns[1].body).contains("answer-42"), "the tool ran");

    // The gateway has gone with the agent; its record is there.
    let sessions = luthien(home.path(), &["sessions", "--json"]).await;
    assert_eq!(sessions.code, Some(0), "{sessions:?}");
    let sessions: Value = serde_json::from_str(&sessions.stdout).expect("JSON");
    let id = sessions["sessions"][0]["session_id"].as_str().unwrap_or_else(|| panic!("no session: {sessions}"));
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1), "{sessions}");
    let shown = luthien(home.path(), &["show", id]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for words in ["Print the number, please.", "I will look.", "answer-42", "It is done."] {
        assert!(shown.stdout.contains(words), "`{words}` is not shown:\n{}", shown.stdout);
    }
}

#[tokio::test]
async fn a_blocked_call_is_shown_beside_what_the_client_got() {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Answer::new().say("Stopping.").call("Bash", &json!({"command": "docker compose down"})));
    let mut gateway =
        Gateway::start(&Setup { upstream: upstream.base_url(), policy: Some(("dogfood_safety", json!({}))) }).await;
    let request =
        json!({"model": "m", "max_tokens": 16, "stream": true, "messages": [{"role": "user", "content": "Stop it."}]});
    let answer = post(&format!("{}/v1/messages", gateway.url()), request.to_string()).await.expect("an answer");
    let id = answer.headers["x-luthien-transaction-id"].to_str().expect("an id");
    assert_eq!(gateway.recorded(1).await[0]["call_id"], id);

    let shown = gateway.command(&["show", id]).await;

    assert_eq!(shown.code, Some(0), "{shown:?}");
    for words in ["Stop it.", "Stopping.", "docker compose down", "⛔ BLOCKED"] {
        assert!(shown.stdout.contains(words), "`{words}` is not shown:\n{}", shown.stdout);
    }
    gateway.stop().await;
}
