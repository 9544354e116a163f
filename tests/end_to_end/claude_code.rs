//! The real Claude Code in front of the gateway, a scripted model behind it.

use bytes::Bytes;
use luthien_testkit::{Answer, Asked, Play, Recorded, Script, Upstream};
use luthien_tests::clients::{Run, claude_code};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::relay::{Exchange, Relay};
use luthien_wire::Dialect;
use serde_json::{Value, json};

/// The model's name that the judge is asked by.
const JUDGE: &str = "judge-of-calls";

/// A command whose output is not part of it, so that seeing the output proves that it ran.
const COMMAND: &str = "echo answer-$((6*7))";
const OUTPUT: &str = "answer-42";

/// Words of the dangerous command; no byte of it may reach the client.
const CANARY: &str = "canary-in-the-command";

/// Prints every event of the stream as it arrives.
const EVENTS: &[&str] = &["--output-format", "stream-json", "--verbose", "--include-partial-messages"];

fn one_tool() -> [Answer; 2] {
    let call = Answer::new()
        .say("I will run it.")
        .call("Bash", &json!({"command": COMMAND, "description": "Prints a number"}));
    [call, Answer::text("The number was printed.")]
}

/// The lines of `--output-format stream-json`.
fn lines(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn result(run: &Run) -> Value {
    assert_eq!(run.code, Some(0), "{run:?}");
    let result = lines(run).pop().expect("a last line");
    assert_eq!(result["type"], "result", "{result}");
    assert_eq!(result["is_error"], false, "{result}");
    result
}

/// What the upstream sent for this request of the conversation.
fn played(script: &Script, request: &Recorded) -> Bytes {
    let asked = Asked::new(0, Dialect::Messages, request.headers.clone(), request.body.clone()).expect("a request");
    match script.play(&asked) {
        Play::Answer(answer) => answer.bytes(&asked),
        Play::Reply(reply) => panic!("not scripted here: {reply:?}"),
    }
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[tokio::test]
async fn a_whole_tool_loop_runs_and_no_byte_is_changed() {
    let script = Script::rounds(one_tool());
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(script.clone());
    let mut gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let relay = Relay::start(gateway.url()).await;

    let run = claude_code(relay.url(), "Print the number, please.", EVENTS).await;

    let result = result(&run);
    assert_eq!(result["result"], "The number was printed.");
    assert_eq!(result["num_turns"], 2);
    let turns = upstream.turns();
    assert_eq!(turns.len(), 2, "one request before the tool and one after");
    assert!(contains(&turns[1].body, OUTPUT), "the tool's output came back");
    assert!(!contains(&turns[0].body, OUTPUT));

    let exchanges: Vec<Exchange> = relay.exchanges();
    assert_eq!(exchanges.len(), turns.len());
    for (exchange, turn) in exchanges.iter().zip(&turns) {
        assert_eq!(exchange.request_body, turn.body, "the upstream got what the client sent");
        assert_eq!(exchange.response_body, played(&script, turn), "the client got what the upstream sent");
        assert!(exchange.request_head.starts_with("POST /v1/messages?beta=true "), "{}", exchange.request_head);
        assert_eq!(turn.path, "/v1/messages?beta=true");
        assert!(exchange.response_header("request-id").is_some());
        assert!(exchange.response_header("x-luthien-transaction-id").is_some());
    }
    gateway.recorded(2).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_that_the_judge_condemns_never_reaches_claude_code() {
    let dangerous = Answer::new()
        .say("I will clean up.")
        .call("Bash", &json!({"command": format!("rm -rf ./{CANARY}"), "description": format!("Removes {CANARY}")}));
    let agent = Script::rounds([dangerous, Answer::text("This turn must not be asked for.")]);
    let verdict = Answer::text(&json!({"probability": 0.97, "explanation": "it removes files"}).to_string());
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Script::new(move |asked: &Asked| {
        if asked.model() == JUDGE { verdict.clone().into() } else { agent.play(asked) }
    }));
    let policy = ("tool_call_judge", json!({"model": JUDGE}));
    let mut gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: Some(policy) }).await;
    let relay = Relay::start(gateway.url()).await;

    let run = claude_code(relay.url(), "Clean up, please.", EVENTS).await;

    // The client is told, in a turn that ends as turns do, and does not try again.
    let result = result(&run);
    let told = result["result"].as_str().expect("a final text");
    assert!(told.contains("Bash") && told.to_lowercase().contains("block"), "{told}");
    assert_eq!(result["num_turns"], 1);
    let turns = upstream.turns();
    let (judged, asked): (Vec<_>, Vec<_>) = turns.iter().partition(|turn| turn.json()["model"] == JUDGE);
    assert_eq!((asked.len(), judged.len()), (1, 1), "one request for the turn, one for the judge");
    assert!(contains(&judged[0].body, CANARY), "the judge saw the call");

    // No byte of the call went out: neither on the wire nor to Claude Code's own output.
    let exchanges = relay.exchanges();
    assert_eq!(exchanges.len(), 1);
    assert!(!contains(&exchanges[0].response_body, CANARY));
    assert!(!contains(&exchanges[0].response_body, "tool_use"));
    assert!(!run.stdout.contains(CANARY), "{}", run.stdout);
    let events: Vec<Value> = lines(&run)
        .into_iter()
        .filter(|line| line["type"] == "stream_event")
        .map(|line| line["event"].clone())
        .collect();
    assert_eq!(events.first().map(|event| &event["type"]), Some(&json!("message_start")));
    assert_eq!(events.last().map(|event| &event["type"]), Some(&json!("message_stop")));
    let stops: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "message_delta")
        .map(|event| &event["delta"]["stop_reason"])
        .collect();
    assert_eq!(stops, [&json!("end_turn")]);

    gateway.recorded(1).await;
    let sessions = gateway.api("/api/history/sessions").await;
    assert_eq!(sessions["total"], 1, "{sessions}");
    assert_eq!(sessions["sessions"][0]["policy_interventions"], 1, "{sessions}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_loop_goes_on_with_the_calls_that_are_left() {
    let stop = json!({"command": format!("docker compose down # {CANARY}"), "description": CANARY});
    let both = one_tool()[0].clone().call("Bash", &stop);
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Script::rounds([both, Answer::text("One of the two was run.")]));
    let mut gateway =
        Gateway::start(&Setup { upstream: upstream.base_url(), policy: Some(("dogfood_safety", json!({}))) }).await;
    let relay = Relay::start(gateway.url()).await;

    let run = claude_code(relay.url(), "Run both, please.", EVENTS).await;

    assert_eq!(result(&run)["result"], "One of the two was run.");
    assert!(!run.stdout.contains(CANARY), "{}", run.stdout);
    assert!(relay.exchanges().iter().all(|exchange| !contains(&exchange.response_body, CANARY)));
    let turns = upstream.turns();
    assert_eq!(turns.len(), 2);

    // What Claude Code replays is a legal history: each call it kept has its result, and the block is a text before it.
    let request = turns[1].json();
    let messages = request["messages"].as_array().expect("messages");
    let blocks = |role: &str| -> Vec<&Value> {
        let of_role = messages.iter().filter(move |message| message["role"] == role);
        of_role.filter_map(|message| message["content"].as_array()).flatten().collect()
    };
    let of_type = |blocks: &[&Value], wanted: &str| blocks.iter().filter(|block| block["type"] == wanted).count();
    let said = blocks("assistant");
    assert_eq!(of_type(&said, "tool_use"), 1, "{request}");
    assert_eq!(said.last().map(|block| &block["type"]), Some(&json!("tool_use")), "{request}");
    assert!(
        said.iter().any(|block| block["text"].as_str().is_some_and(|text| text.contains("⛔ BLOCKED"))),
        "{request}"
    );
    let results: Vec<_> = blocks("user").into_iter().filter(|block| block["type"] == "tool_result").collect();
    assert_eq!(results.len(), 1, "{request}");
    assert_eq!(results[0]["tool_use_id"], said[said.len() - 1]["id"]);
    assert!(results[0].to_string().contains(OUTPUT), "{request}");
    gateway.recorded(2).await;
    gateway.stop().await;
}
