//! The gateway at work with a scripted model.

use std::io::{Read, Write};
use std::net::TcpStream;

use luthien_testkit::{Answer, Gate, Upstream};
use serde_json::{Value, json};

use crate::support::{Home, Served};

/// Sends a streamed request for this model to the gateway; the answer is still to be read.
pub(crate) fn ask(served: &Served, model: &str) -> TcpStream {
    ask_at(&served.base, model)
}

/// The same at this base URL.
pub(crate) fn ask_at(base: &str, model: &str) -> TcpStream {
    let body =
        json!({"model": model, "max_tokens": 16, "stream": true, "messages": [{"role": "user", "content": "Hello?"}]});
    let body = body.to_string();
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: sk-mine\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
}

/// Reads until this has come.
pub(crate) fn until(stream: &mut TcpStream, word: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(word.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        all.extend_from_slice(&byte);
    }
    String::from_utf8(all).unwrap()
}

pub(crate) fn rest(mut stream: TcpStream) -> String {
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all
}

/// What `show` prints of a transaction. The record is written behind the answer: it is asked until it is there.
pub(crate) fn shown(home: &Home, id: &str) -> String {
    loop {
        let run = home.luthien(&["show", id]);
        if run.code == 0 {
            return run.out;
        }
    }
}

/// The transaction that an answer names.
pub(crate) fn transaction(answer: &str) -> String {
    answer.lines().find_map(|line| line.strip_prefix("x-luthien-transaction-id: ")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_recorded_and_shown_while_the_gateway_runs() {
    let upstream = Upstream::start().await.unwrap();
    upstream.default_script(Answer::text("Hello \u{1b}[31myou."));
    let home = Home::new();
    let served = Served::start(&home, &["--anthropic-base-url", &upstream.base_url()]);
    let answer = rest(ask(&served, "claude-opus-5-5"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let id = transaction(&answer);
    let shown = shown(&home, &id);
    assert!(shown.contains("\nuser      Hello?\nmodel     Hello \u{241b}[31myou.\n"), "{shown}");
    let list: Value = serde_json::from_str(&home.luthien(&["sessions", "--json"]).out).unwrap();
    assert_eq!(list["sessions"][0]["preview_message"], "Hello?");
    assert_eq!(served.stop(), 0);
    assert_eq!(home.luthien(&["show", &id]).out, shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_answer_may_end_before_the_gateway_does() {
    let upstream = Upstream::start().await.unwrap();
    let gate = Gate::new();
    upstream.default_script(Answer::new().say("Begin. ").hold(&gate).say("End."));
    let home = Home::new();
    let mut served = Served::start(&home, &["--anthropic-base-url", &upstream.base_url()]);
    let stream = ask(&served, "claude-opus-5-5");
    gate.reached().await;
    served.terminate();
    served.log_until("stopping");
    gate.open();
    let answer = rest(stream);
    assert!(answer.contains("message_stop"), "{answer}");
    assert_eq!(served.end(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once_and_the_record_says_so() {
    let upstream = Upstream::start().await.unwrap();
    let gate = Gate::new();
    upstream.default_script(Answer::new().say("Begin. ").hold(&gate).say("End."));
    let home = Home::new();
    let mut served = Served::start(&home, &["--anthropic-base-url", &upstream.base_url()]);
    let mut stream = ask(&served, "claude-opus-5-5");
    until(&mut stream, "Begin.");
    served.terminate();
    served.log_until("stopping");
    served.terminate();
    assert_eq!(served.end(), 0);
    let answer = rest(stream);
    assert!(answer.contains("event: error"), "{answer}");
    let list: Value = serde_json::from_str(&home.luthien(&["sessions", "--json"]).out).unwrap();
    let id = list["sessions"][0]["session_id"].as_str().unwrap();
    let shown = home.luthien(&["show", id]).out;
    assert!(shown.contains("\nstopped before the end: the gateway is shutting down"), "{shown}");
    assert!(shown.contains("Hello?"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_stands_beside_what_came() {
    let upstream = Upstream::start().await.unwrap();
    upstream.default_script(Answer::text("Hello you."));
    let home = Home::new();
    let policy =
        json!({"class": "string_replacement", "config": {"replacements": [["Hello", "Goodbye"]], "apply_to": "both"}});
    home.write("luthien.yaml", &json!({"policy": policy}).to_string());
    let mut served = Served::start(&home, &["--anthropic-base-url", &upstream.base_url()]);
    let answer = rest(ask(&served, "claude-opus-5-5"));
    let shown = shown(&home, &transaction(&answer));
    served.terminate();
    assert_eq!(served.end(), 0);

    let row = |left: &str, right: &str| format!("{left:<48} \u{2502} {right}");
    let (heads, asked, said) = (
        row("original", "final"),
        row("user: Hello?", "user: Goodbye?"),
        row("model: Hello you.", "model: Goodbye you."),
    );
    let expected = format!("\nthe request was changed:\n{heads}\n{asked}\nthe answer was changed:\n{heads}\n{said}\n");
    assert!(shown.contains(&expected), "{shown}");
    assert!(shown.contains("\u{270e} changed the request (string_replacement, "), "{shown}");
}

#[test]
fn a_refused_request_is_shown_with_its_reason() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let mut stream = TcpStream::connect(served.base.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]"
    )
    .unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let shown = shown(&home, &transaction(&answer));
    assert!(shown.contains("\nthe gateway refused: "), "{shown}");
    assert_eq!(served.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_panic_switch_stops_traffic_over_a_restart_until_it_is_turned_off() {
    let upstream = Upstream::start().await.unwrap();
    let gate = Gate::new();
    upstream.default_script(Answer::new().say("Begin. ").hold(&gate).say("End."));
    let home = Home::new();
    let args = ["--anthropic-base-url", &upstream.base_url()];
    let served = Served::start(&home, &args);
    assert_eq!(home.luthien(&["panic"]).out, "Nothing is stopped.\n");
    let mut stream = ask(&served, "claude-opus-5-5");
    let begun = until(&mut stream, "Begin.");
    let run = home.luthien(&["panic", "traffic", "--reason", "a drill", "--message", "Back at noon."]);
    assert_eq!((run.code, run.out.lines().next()), (0, Some("All model traffic is stopped.")), "{}", run.err);
    let words = "the operator of this gateway has stopped all model traffic: Back at noon.";
    let answer = rest(stream);
    assert!(answer.contains("event: error") && answer.contains(words), "{answer}");
    let shown = shown(&home, &transaction(&begun));
    assert!(shown.contains(&format!("\nstopped before the end: {words}")), "{shown}");
    assert_eq!(served.stop(), 0);
    let served = Served::start(&home, &args);
    assert!(
        served.greeting.contains("! the panic switch is on (traffic, set by luthien panic)"),
        "{}",
        served.greeting
    );
    let answer = rest(ask(&served, "claude-opus-5-5"));
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains(words), "{answer}");
    let said: Value = serde_json::from_str(&home.luthien(&["panic", "--json"]).out).unwrap();
    assert_eq!((&said["mode"], &said["reason"]), (&json!("traffic"), &json!("a drill")));
    assert_eq!(home.luthien(&["panic", "off"]).out.lines().next(), Some("Nothing is stopped."));
    gate.open();
    assert!(rest(ask(&served, "claude-opus-5-5")).starts_with("HTTP/1.1 200"));
    assert_eq!(served.stop(), 0);
    let run = home.luthien(&["panic", "off"]);
    assert!(run.code == 1 && run.err.contains("no gateway runs"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_policy_is_rejected_says_why_and_refuses_traffic() {
    let home = Home::new();
    home.write("luthien.yaml", "policy: { class: tool_call_judge, config: { probability_threshold: 7 } }");
    let served = Served::start(&home, &[]);
    let why = "probability_threshold: must be from 0 to 1, is 7";
    assert!(
        served.greeting.contains("! a policy is rejected, and what it should check is refused"),
        "{}",
        served.greeting
    );
    assert!(served.greeting.contains(why), "{}", served.greeting);
    let answer = rest(ask(&served, "claude-opus-5-5"));
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("policy_rejected"), "{answer}");
    assert_eq!(served.stop(), 0);
    let run = home.luthien(&["policy", "check", "luthien.yaml"]);
    assert!(run.code == 1 && run.err.contains(why), "{run:?}");
}
