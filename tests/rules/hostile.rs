//! Bytes that mean harm: an error in the caller's dialect, nothing sent on, and the next request is answered.

use std::time::Duration;

use luthien_testkit::client::post;
use luthien_testkit::{Answer, Reply};
use luthien_wire::Dialect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{KEYS, Rig, Told, event, judge, path, turn};

/// Where a request's conversation stands.
fn list(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Responses { "input" } else { "messages" }
}

fn bad_bodies(dialect: Dialect) -> Vec<(&'static str, Vec<u8>)> {
    let list = list(dialect);
    let deep = |open: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        format!(r#"{{"model":"m","max_tokens":1,"{list}":[],"x":{open}1{close}}}"#).into_bytes()
    };
    let turn = format!(r#"{{"model":"m","max_tokens":1,"{list}":[]"#);
    vec![
        ("empty", Vec::new()),
        ("white space", b" \n ".to_vec()),
        ("invalid UTF-8", [turn.as_bytes(), b",\"x\":\"\xc3\x28\"}"].concat()),
        ("overlong UTF-8", [turn.as_bytes(), b",\"x\":\"\xc0\xaf\"}"].concat()),
        ("a surrogate in UTF-8", [turn.as_bytes(), b",\"x\":\"\xed\xa0\x80\"}"].concat()),
        ("a NUL byte", [turn.as_bytes(), b",\"x\":\"\0\"}"].concat()),
        ("a NUL behind the end", [turn.as_bytes(), b"}\0"].concat()),
        ("a byte order mark", [b"\xef\xbb\xbf", turn.as_bytes(), b"}"].concat()),
        ("two values", [turn.as_bytes(), b"}{}"].concat()),
        ("the model twice", [turn.as_bytes(), b",\"model\":\"n\"}"].concat()),
        ("the model twice, once escaped", [turn.as_bytes(), b",\"mod\\u0065l\":\"n\"}"].concat()),
        ("the conversation twice", format!("{turn},\"{list}\":[]}}").into_bytes()),
        ("stream twice", [turn.as_bytes(), b",\"stream\":false,\"stream\":true}"].concat()),
        ("unclosed brackets", "[".repeat(100_000).into_bytes()),
        ("unclosed braces", "{\"a\":".repeat(100_000).into_bytes()),
        ("not a number", [turn.as_bytes(), b",\"x\":NaN}"].concat()),
        ("a comment", [turn.as_bytes(), b"/* */}"].concat()),
        ("a comma too much", [turn.as_bytes(), b",}"].concat()),
        ("wrong brackets, deep", deep("[", "}")),
    ]
}

async fn still_answers(rig: &Rig) {
    let told = rig.told(Dialect::Messages, &turn(Dialect::Messages, "next", false)).await;
    assert_eq!(told.status, 200, "{}", told.text());
}

#[tokio::test]
async fn a_bad_body_is_an_error_in_the_callers_dialect_and_a_record() {
    for policy in [None, Some(judge())] {
        let rig = Rig::new(Answer::text("hi"), policy).await;
        for dialect in Dialect::ALL {
            for (name, body) in bad_bodies(dialect) {
                let told = Told::of(post(&rig.url(path(dialect)), &KEYS, body).await.expect("an answer")).await;
                assert_eq!(
                    (told.status, told.header("x-should-retry")),
                    (400, Some("false")),
                    "{name}: {}",
                    told.text()
                );
                assert_eq!(told.json()["error"]["type"], "invalid_request_error", "{name}");
                assert_eq!(told.json().get("type").is_some(), dialect == Dialect::Messages, "{name}");
                let call = rig.gateway.call(told.id()).await;
                assert_eq!(event(&call, "transaction.failed")["status"], "refused", "{name}");
            }
        }
        assert_eq!(rig.upstream.requests().len(), 0);
        still_answers(&rig).await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn depth_alone_ends_nothing() {
    let rig = Rig::new(Answer::text("hi"), Some(judge())).await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for dialect in Dialect::ALL {
            let list = list(dialect);
            for place in ["x", "system", "instructions", "tools", list, "metadata"] {
                let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
                let messages = if place == list { String::new() } else { format!("\"{list}\":[],") };
                let deep = if place == list { format!("[{{\"role\":\"user\",\"content\":{deep}}}]") } else { deep };
                let body = format!("{{\"model\":\"m\",\"max_tokens\":1,{messages}\"{place}\":{deep}}}");
                let told = post(&rig.url(path(dialect)), &KEYS, body.clone()).await.expect("an answer");
                let told = Told::of(told).await;
                // The scripted upstream refuses what it cannot parse, in words of its own.
                assert!(matches!(told.status, 200 | 400), "{place}: {} {}", told.status, told.text());
                rig.gateway.call(told.id()).await;
            }
        }
    }
    rig.gateway.api("/api/history/sessions").await;
    still_answers(&rig).await;
    rig.stop().await;
}

/// Sends bytes, then nothing more, and gives all that comes back until the gateway ends the connection.
async fn raw(rig: &Rig, bytes: &[u8]) -> String {
    let address = rig.gateway.url().strip_prefix("http://").expect("an address");
    let (mut reader, mut writer) = TcpStream::connect(address).await.expect("a connection").into_split();
    let mut out = Vec::new();
    let exchange = async {
        // A gateway that has answered may stop reading, and reset what it has not read.
        let _ = tokio::join!(writer.write_all(bytes), reader.read_to_end(&mut out));
    };
    timeout(Duration::from_secs(30), exchange).await.expect("the gateway ends the connection");
    String::from_utf8_lossy(&out).into_owned()
}

/// A body that is a request of its own, for whoever reads it as one.
fn smuggled() -> String {
    let inner = turn(Dialect::Messages, "smuggled", false).to_string();
    format!("POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\ncontent-length: {}\r\n\r\n{inner}", inner.len())
}

#[tokio::test]
async fn no_request_is_smuggled_within_another() {
    let rig = Rig::new(Answer::text("hi"), None).await;
    let body = turn(Dialect::Messages, "outer", false).to_string();
    let (length, size) = (body.len(), format!("{:x}", body.len()));
    let head = "POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\n";
    let smuggled = smuggled();
    let chunked = format!("{size}\r\n{body}\r\n0\r\n\r\n");
    let shapes = [
        ("two lengths", format!("{head}content-length: {length}\r\ncontent-length: 0\r\n\r\n{body}{smuggled}")),
        ("two lengths in one", format!("{head}content-length: {length}, 0\r\n\r\n{body}{smuggled}")),
        ("a signed length", format!("{head}content-length: +{length}\r\n\r\n{body}{smuggled}")),
        ("a negative length", format!("{head}content-length: -1\r\n\r\n{smuggled}")),
        ("a length in hex", format!("{head}content-length: 0x{size}\r\n\r\n{smuggled}")),
        ("another coding", format!("{head}transfer-encoding: xchunked\r\n\r\n{chunked}{smuggled}")),
        ("chunked not last", format!("{head}transfer-encoding: chunked, identity\r\n\r\n{chunked}{smuggled}")),
        ("a space before the colon", format!("{head}transfer-encoding : chunked\r\n\r\n{chunked}{smuggled}")),
        ("a folded header", format!("{head}x: 1\r\n transfer-encoding: chunked\r\n\r\n{chunked}{smuggled}")),
        ("a bad chunk size", format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n{smuggled}")),
        (
            "a huge chunk size",
            format!("{head}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{body}{smuggled}"),
        ),
        ("a NUL in a header", format!("{head}x: a\0b\r\ncontent-length: {length}\r\n\r\n{body}{smuggled}")),
    ];
    for (name, bytes) in &shapes {
        let answer = raw(&rig, bytes.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{name}: {answer}");
        assert_eq!(rig.upstream.requests().len(), 0, "{name}: {answer}");
    }
    // Both a length and chunks: the chunks count, and what follows on the connection is no request of the same caller's.
    let both = format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunked}");
    let answer = raw(&rig, both.as_bytes()).await;
    let asked = rig.upstream.requests();
    assert!(asked.iter().all(|request| request.body == body), "{answer}");
    for request in &asked {
        assert_eq!(request.header("transfer-encoding"), None, "{answer}");
        assert_eq!(request.header("content-length"), Some(length.to_string().as_str()), "{answer}");
    }
    still_answers(&rig).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_head_beyond_reason_is_refused() {
    let rig = Rig::new(Answer::text("hi"), None).await;
    let body = turn(Dialect::Messages, "m", false).to_string();
    let rest = format!("content-length: {}\r\n\r\n{body}", body.len());
    let start = "POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\n";
    let many: String =
        (0..5000).flat_map(|number| ["x-".to_owned(), number.to_string(), ": 1\r\n".to_owned()]).collect();
    for (name, bytes) in [
        ("a long header", format!("{start}x: {}\r\n{rest}", "a".repeat(2 << 20))),
        ("many headers", format!("{start}{many}{rest}")),
        ("a long path", format!("POST /v1/messages?{} HTTP/1.1\r\nhost: g\r\n{rest}", "a".repeat(2 << 20))),
        ("a long method", format!("{} /v1/messages HTTP/1.1\r\nhost: g\r\n{rest}", "A".repeat(2 << 20))),
        ("a tunnel", "CONNECT 127.0.0.1:80 HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n".to_owned()),
        ("no path", "POST * HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\nconnection: close\r\n\r\n".to_owned()),
        ("another host", format!("POST http://127.0.0.1:1/nowhere HTTP/1.1\r\nhost: g\r\nconnection: close\r\n{rest}")),
        ("no HTTP", "\x16\x03\x01\x02\0\x01\0".to_owned()),
        ("no version", format!("POST /v1/messages\r\n{rest}")),
        ("another version", format!("POST /v1/messages HTTP/9.9\r\nhost: g\r\n{rest}")),
    ] {
        let answer = raw(&rig, bytes.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
        assert_eq!(rig.upstream.requests().len(), 0, "{name}: {answer}");
    }
    still_answers(&rig).await;
    rig.stop().await;
}

#[tokio::test]
async fn who_asks_before_sending_a_giant_is_refused_before_it_comes() {
    let rig = Rig::new(Answer::text("hi"), None).await;
    for path in ["/v1/messages", "/v1/chat/completions"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            1_u64 << 40
        );
        let address = rig.gateway.url().strip_prefix("http://").expect("an address");
        let mut client = TcpStream::connect(address).await.expect("a connection");
        client.write_all(head.as_bytes()).await.expect("sent");
        let mut start = [0; 12];
        timeout(Duration::from_secs(30), client.read_exact(&mut start)).await.expect("in time").expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 413");
    }
    assert_eq!(rig.upstream.requests().len(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_of_any_depth_is_survived() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let call = format!(r#"{{"type":"tool_use","id":"t","name":"Bash","input":{{"canary":{deep}}}}}"#);
    let message = format!(
        r#"{{"id":"m","type":"message","role":"assistant","content":[{call}],"stop_reason":"tool_use","usage":{{"x":{deep}}}}}"#
    );
    let chat = format!(
        r#"{{"id":"c","choices":[{{"index":0,"message":{{"tool_calls":[{{"id":"t","type":"function","function":{{"name":"Bash","arguments":"{deep}canary"}},"x":{deep}}}]}},"finish_reason":"tool_calls"}}]}}"#
    );
    let item = format!(
        r#"{{"type":"function_call","id":"f","call_id":"c","name":"Bash","arguments":"{deep}canary","x":{deep}}}"#
    );
    let response =
        format!(r#"{{"id":"r","object":"response","status":"completed","output":[{item}],"usage":{{"x":{deep}}}}}"#);
    let done = format!(
        "event: response.completed\ndata: {{\"type\":\"response.completed\",\"sequence_number\":0,\"response\":{response}}}\n\n"
    );
    let start = format!(
        "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{call}}}\n\n"
    );
    let chunk = format!("data: {}\n\n", chat.replace("\"message\"", "\"delta\""));
    for policy in [None, Some(judge())] {
        let rig = Rig::new(Answer::text("hi"), policy.clone()).await;
        for (dialect, stream, body) in [
            (Dialect::Messages, false, &message),
            (Dialect::Chat, false, &chat),
            (Dialect::Messages, true, &start),
            (Dialect::Chat, true, &chunk),
            (Dialect::Responses, false, &response),
            (Dialect::Responses, true, &done),
        ] {
            let kind = if stream { "text/event-stream" } else { "application/json" };
            rig.upstream.default_script(Reply::whole(200, kind, body.clone()));
            let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
            assert_eq!(
                (told.status, told.text().contains("canary")),
                (200, policy.is_none()),
                "{dialect:?} {stream} {}",
                told.text().replace("[[[[[[[[[[", "").replace("]]]]]]]]]]", "")
            );
            rig.gateway.call(told.id()).await;
            rig.gateway.api(&format!("/api/debug/calls/{}/diff", told.id())).await;
        }
        rig.upstream.default_script(Answer::text("hi"));
        still_answers(&rig).await;
        rig.stop().await;
    }
}
