//! The real Codex in front of the gateway, a scripted model behind it.

use luthien_testkit::{Answer, Asked, Gate, Play, Recorded, Script, Step, Upstream};
use luthien_tests::clients::{Run, codex_at, codex_login, luthien, luthien_codex};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::relay::{Exchange, Relay};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The model's name that the judge is asked by.
const JUDGE: &str = "judge-of-calls";

/// A command whose output is not part of it, so that seeing the output proves that it ran.
const COMMAND: &str = "echo answer-$((6*7))";
const OUTPUT: &str = "answer-42";

/// Words of the dangerous command; no byte of it may reach the client.
const CANARY: &str = "canary-in-the-command";

const PROMPT: &str = "Print the number, please.";

/// The page that tells people how to set Codex up.
const PAGE: &str = include_str!("../../docs/clients.md");

/// What the page says is to stand in `config.toml`, for a gateway at `base`.
fn snippet(base: &str) -> String {
    let (_, rest) = PAGE.split_once("```toml\n").expect("a snippet");
    let (snippet, _) = rest.split_once("```").expect("its end");
    assert_eq!(snippet.matches("http://127.0.0.1:8000").count(), 1, "{snippet}");
    snippet.replace("http://127.0.0.1:8000", base)
}

/// A home with this in Codex's `config.toml`.
fn home(config: &str) -> TempDir {
    let home = TempDir::new().expect("a temporary folder");
    std::fs::create_dir(home.path().join(".codex")).expect("Codex's folder");
    std::fs::write(home.path().join(".codex/config.toml"), config).expect("Codex's settings");
    home
}

/// Runs Codex on the prompt as the page says.
async fn codex(base: &str, more: &str) -> Run {
    let home = home(&format!("{}{more}", snippet(base)));
    codex_at(home.path(), &["exec", "--skip-git-repo-check", "--json", PROMPT], &[("OPENAI_API_KEY", "sk-mine")]).await
}

fn one_tool() -> [Answer; 2] {
    let call = Answer::new().say("I will run it.").call("exec_command", &json!({"cmd": COMMAND}));
    [call, Answer::text("The number was printed.")]
}

async fn upstream(script: impl Into<Script>) -> Upstream {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(script);
    upstream
}

fn events(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The items of this type that the run finished.
fn items(run: &Run, kind: &str) -> Vec<Value> {
    let done = events(run).into_iter().filter(|event| event["type"] == "item.completed");
    done.map(|event| event["item"].clone()).filter(|item| item["type"] == kind).collect()
}

/// The tool ran and its output went back to the model, which had the last word.
fn completed(run: &Run, turns: &[Recorded]) {
    assert_eq!(run.code, Some(0), "{run:?}");
    let ran = items(run, "command_execution");
    assert_eq!((ran.len(), &ran[0]["exit_code"]), (1, &json!(0)), "{run:?}");
    assert!(ran[0]["aggregated_output"].as_str().expect("output").contains(OUTPUT), "{run:?}");
    let said: Vec<Value> = items(run, "agent_message").into_iter().map(|item| item["text"].clone()).collect();
    assert_eq!(said, ["I will run it.", "The number was printed."]);
    assert_eq!(events(run).pop().expect("a last event")["type"], "turn.completed");
    assert_eq!(turns.len(), 2, "one request before the tool and one after");
    let [before, after] = [0, 1].map(|n| contains(&turns[n].body, OUTPUT));
    assert!(!before && after, "the tool's output came back");
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[tokio::test]
async fn the_snippet_of_the_page_is_all_that_a_tool_loop_needs_and_no_byte_is_changed() {
    let upstream = upstream(Script::rounds(one_tool())).await;
    let mut gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let relay = Relay::start(gateway.url()).await;

    let run = codex(relay.url(), "").await;

    let turns = upstream.turns();
    completed(&run, &turns);
    let exchanges: Vec<Exchange> = relay.exchanges();
    assert_eq!(exchanges.len(), turns.len());
    let script = Script::rounds(one_tool());
    for (exchange, turn) in exchanges.iter().zip(&turns) {
        assert!(exchange.request_head.starts_with("POST /v1/responses "), "{}", exchange.request_head);
        assert_eq!(exchange.request_body, turn.body, "the upstream got what the client sent");
        assert_eq!(turn.header("authorization"), Some("Bearer sk-mine"));
        let asked = Asked::new(0, Dialect::Responses, turn.headers.clone(), turn.body.clone()).expect("a request");
        let Play::Answer(answer) = script.play(&asked) else { panic!("not scripted here") };
        assert_eq!(exchange.response_body, answer.bytes(&asked), "the client got what the upstream sent");
        assert!(exchange.response_header("x-request-id").is_some());
    }
    gateway.recorded(2).await;
    gateway.stop().await;
}

/// An upstream whose judge condemns every call and whose model wants to do harm once.
async fn dangerous() -> Upstream {
    let call =
        Answer::new().say("I will clean up.").call("exec_command", &json!({"cmd": format!("rm -rf ./{CANARY}")}));
    let agent = Script::rounds([call, Answer::text("This turn must not be asked for.")]);
    let verdict = Answer::text(&json!({"probability": 0.97, "explanation": "it removes files"}).to_string());
    upstream(Script::new(
        move |asked: &Asked| {
            if asked.model() == JUDGE { verdict.clone().into() } else { agent.play(asked) }
        },
    ))
    .await
}

#[tokio::test]
async fn a_blocked_call_ends_the_turn_well_and_is_not_asked_for_again() {
    let upstream = dangerous().await;
    let policy = Some(("tool_call_judge", json!({"model": JUDGE})));
    let mut gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy }).await;
    let relay = Relay::start(gateway.url()).await;

    let run = codex(relay.url(), "").await;

    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(events(&run).pop().expect("a last event")["type"], "turn.completed");
    let said = items(&run, "agent_message");
    let told = said.last().expect("a message")["text"].as_str().expect("text");
    assert!(told.contains("exec_command") && told.to_lowercase().contains("block"), "{told}");
    assert!(items(&run, "command_execution").is_empty(), "{run:?}");
    // One question of the agent's, one for the judge, in the same form and with the same key.
    let turns = upstream.turns();
    let models: Vec<Value> = turns.iter().map(|turn| turn.json()["model"].clone()).collect();
    assert_eq!((models.len(), &models[1]), (2, &json!(JUDGE)), "{models:?}");
    assert_eq!((turns[1].path.as_str(), turns[1].header("authorization")), ("/v1/responses", Some("Bearer sk-mine")));
    let exchanges = relay.exchanges();
    assert_eq!(exchanges.len(), 1);
    assert!(!contains(&exchanges[0].response_body, CANARY) && !run.stdout.contains(CANARY));
    gateway.recorded(1).await;
    gateway.stop().await;
}

#[tokio::test]
async fn of_two_calls_the_one_that_is_allowed_runs_and_the_next_turn_is_legal() {
    let both = Answer::new()
        .say("I will do two things.")
        .call("exec_command", &json!({"cmd": COMMAND}))
        .call("exec_command", &json!({"cmd": format!("rm -rf ./{CANARY}")}));
    let agent = Script::rounds([both, Answer::text("The number was printed.")]);
    let upstream = upstream(Script::new(move |asked: &Asked| {
        // A judge is shown what came before the call, too.
        let probability = if asked.says(CANARY) { 0.97 } else { 0.0 };
        let verdict = json!({"probability": probability, "explanation": "as it is"});
        if asked.model() == JUDGE { Answer::text(&verdict.to_string()).into() } else { agent.play(asked) }
    }))
    .await;
    let policy = Some(("tool_call_judge", json!({"model": JUDGE})));
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy }).await;
    let relay = Relay::start(gateway.url()).await;

    let run = codex(relay.url(), "").await;

    assert_eq!(run.code, Some(0), "{run:?}");
    let ran = items(&run, "command_execution");
    assert_eq!(ran.len(), 1, "{run:?}");
    assert!(ran[0]["aggregated_output"].as_str().expect("output").contains(OUTPUT), "{run:?}");
    assert_eq!(items(&run, "agent_message").last().expect("a last word")["text"], "The number was printed.");
    let turns: Vec<Recorded> = upstream.turns().into_iter().filter(|turn| turn.json()["model"] != JUDGE).collect();
    assert_eq!(turns.len(), 2);
    // What Codex sends back of the first answer has a call for each output and an output for each call.
    let history = turns[1].json();
    let ids = |kind: &str| -> Vec<String> {
        let items = history["input"].as_array().expect("items").iter().filter(|item| item["type"] == kind);
        items.map(|item| item["call_id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!((ids("function_call").len(), ids("function_call")), (1, ids("function_call_output")));
    for exchange in relay.exchanges() {
        assert!(!contains(&exchange.response_body, CANARY));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_built_in_provider_goes_on_over_http_after_one_426() {
    let upstream = upstream(Script::rounds(one_tool())).await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let relay = Relay::start(gateway.url()).await;
    let home = home(&format!("openai_base_url = \"{}/v1\"\n", relay.url()));

    let args = ["exec", "--skip-git-repo-check", "--json", PROMPT];
    let run = codex_at(home.path(), &args, &[("CODEX_API_KEY", "sk-mine")]).await;

    completed(&run, &upstream.turns());
    let heads: Vec<String> = relay.exchanges().into_iter().map(|exchange| exchange.request_head).collect();
    let gets = heads.iter().filter(|head| head.starts_with("GET /v1/responses ")).count();
    let posts = heads.iter().filter(|head| head.starts_with("POST /v1/responses ")).count();
    assert_eq!((gets, posts, heads.len()), (1, 2, 3), "{heads:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn requests_in_zstd_are_read_and_passed_on_as_they_came() {
    let agent = Script::rounds(one_tool());
    let verdict = Answer::text(&json!({"probability": 0.0, "explanation": "it prints a number"}).to_string());
    let upstream =
        upstream(Script::new(
            move |asked: &Asked| {
                if asked.model() == JUDGE { verdict.clone().into() } else { agent.play(asked) }
            },
        ))
        .await;
    let policy = Some(("tool_call_judge", json!({"model": JUDGE})));
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy }).await;
    let relay = Relay::start(gateway.url()).await;
    // Codex compresses for its own provider, when it is logged in to ChatGPT.
    let home = home(&format!("openai_base_url = \"{}/v1\"\n", relay.url()));
    codex_login(home.path());

    let run = codex_at(home.path(), &["exec", "--skip-git-repo-check", "--json", PROMPT], &[]).await;

    let (turns, asides): (Vec<Recorded>, Vec<Recorded>) =
        upstream.turns().into_iter().partition(|turn| turn.header("content-encoding").is_some());
    assert_eq!(asides.len(), 1, "the judge was asked once");
    assert!(contains(&asides[0].body, "answer-$((6*7))"), "{:?}", asides[0].body);
    let exchanges: Vec<Exchange> = relay.exchanges();
    let posted: Vec<&Exchange> = exchanges.iter().filter(|one| one.request_head.starts_with("POST ")).collect();
    assert_eq!((turns.len(), posted.len()), (2, 2));
    for (turn, exchange) in turns.iter().zip(posted) {
        assert_eq!(turn.header("content-encoding"), Some("zstd"));
        assert_eq!(turn.header("chatgpt-account-id"), Some("account-of-the-test"));
        assert_eq!(turn.body, exchange.request_body, "the upstream got what the client sent");
    }
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(items(&run, "command_execution").len(), 1, "{run:?}");
    assert_eq!(items(&run, "agent_message").last().expect("a last word")["text"], "The number was printed.");
    gateway.stop().await;
}

#[tokio::test]
async fn keep_alives_carry_codex_over_a_silence_longer_than_its_patience() {
    let gate = Gate::new();
    let slow = Answer::new().say("Wait for").hold(&gate).say(" it.");
    let upstream = upstream(slow).await;
    let setup = Setup { upstream: upstream.base_url(), policy: None };
    let gateway = Gateway::start_with(&setup, &[("KEEP_ALIVE_INTERVAL", "1s")]).await;
    let relay = Relay::start(gateway.url()).await;

    let patience = "stream_idle_timeout_ms = 2500\nstream_max_retries = 0\n";
    let waiting = async {
        while relay.received().windows(16).filter(|window| window == b"event: keepalive").count() < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        gate.open();
    };
    let (run, ()) = tokio::join!(codex(relay.url(), patience), waiting);

    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(items(&run, "agent_message")[0]["text"], "Wait for it.");
    assert_eq!(upstream.turns().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_as_a_failure() {
    let upstream = upstream(Answer::new().say("Half of").break_off(Step::Close)).await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let run = codex(gateway.url(), "request_max_retries = 0\nstream_max_retries = 0\n").await;
    assert_eq!(run.code, Some(1), "{run:?}");
    let last = events(&run).pop().expect("a last event");
    assert_eq!(last["type"], "turn.failed");
    assert!(last["error"]["message"].as_str().expect("words").contains("the upstream broke off"), "{last}");
    assert_eq!(upstream.turns().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn an_upstreams_own_failure_reaches_codex() {
    let failing = Answer::new().say("Well").fail("context_length_exceeded", "Too long.");
    let upstream = upstream(failing).await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let run = codex(gateway.url(), "").await;
    assert_eq!(run.code, Some(1), "{run:?}");
    let last = events(&run).pop().expect("a last event");
    assert_eq!(last["type"], "turn.failed");
    assert!(last["error"]["message"].as_str().expect("words").contains("context window"), "{last}");
    assert_eq!(upstream.turns().len(), 1, "this kind of failure is not retried");
    gateway.stop().await;
}

#[tokio::test]
async fn luthien_codex_runs_it_through_a_gateway_and_leaves_its_settings_alone() {
    let upstream = upstream(Script::rounds(one_tool())).await;
    let settings =
        "model_provider = \"other\"\n[model_providers.other]\nname = \"Other\"\nbase_url = \"http://127.0.0.1:9/v1\"\n";
    let home = home(settings);

    let args = ["exec", "--skip-git-repo-check", "--json", PROMPT];
    let run = luthien_codex(home.path(), &upstream.base_url(), &args).await;

    completed(&run, &upstream.turns());
    assert!(run.stderr.contains("Codex goes through http://127.0.0.1:"), "{}", run.stderr);
    let kept = std::fs::read_to_string(home.path().join(".codex/config.toml")).expect("Codex's settings");
    assert!(kept.starts_with(settings), "{kept}");
    let listed = luthien(home.path(), &["sessions", "--json"]).await;
    let sessions: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1), "{sessions}");
}

#[rstest]
#[case::messages(Dialect::Messages)]
#[case::chat(Dialect::Chat)]
#[tokio::test]
async fn a_tool_loop_runs_at_an_upstream_of_another_dialect(#[case] spoken: Dialect) {
    let upstream = upstream(Script::rounds(one_tool())).await;
    let mut gateway = Gateway::start_converting(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let home = home(&snippet(gateway.url()));

    let model = format!("model=\"{}/a-model\"", spoken.name());
    let args = ["exec", "--skip-git-repo-check", "--json", "-c", &model, PROMPT];
    let run = codex_at(home.path(), &args, &[("OPENAI_API_KEY", "sk-mine")]).await;

    let turns = upstream.turns();
    completed(&run, &turns);
    for turn in &turns {
        assert_eq!(turn.path, format!("/v1{}", spoken.path()));
        assert_eq!((&turn.json()["model"], turn.header("authorization")), (&json!("a-model"), None));
    }
    gateway.recorded(2).await;
    gateway.stop().await;
}
