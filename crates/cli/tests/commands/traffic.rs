//! The gateway at work with a scripted model.

use std::io::{Read, Write};
use std::net::TcpStream;

use luthien_testkit::{Answer, Gate, Upstream};
use serde_json::{Value, json};

use crate::support::{Home, Served};

/// Sends a streamed request for this model to the gateway; the answer is still to be read.
fn ask(served: &Served, model: &str) -> TcpStream {
    let body =
        json!({"model": model, "max_tokens": 16, "stream": true, "messages": [{"role": "user", "content": "Hello?"}]});
    let body = body.to_string();
    let mut stream = TcpStream::connect(served.base.trim_start_matches("http://")).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: sk-mine\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
}

/// Reads until this has come.
fn until(stream: &mut TcpStream, word: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(word.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        all.extend_from_slice(&byte);
    }
    String::from_utf8(all).unwrap()
}

fn rest(mut stream: TcpStream) -> String {
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all
}

/// What `show` prints of a transaction. The record is written behind the answer: it is asked until it is there.
fn shown(home: &Home, id: &str) -> String {
    loop {
        let run = home.luthien(&["show", id]);
        if run.code == 0 {
            return run.out;
        }
    }
}

/// The transaction that an answer names.
fn transaction(answer: &str) -> String {
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
    assert!(shown.contains("\nthe gateway stopped before the end"), "{shown}");
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
