//! The load generator: a fixed number of calls over keep-alive connections, as fast as they are answered.
//!
//! `URL` (http://host:port), `CALL` (small, large or stream), `REQUESTS`, `CONNECTIONS`. Prints one line of JSON:
//! `{"requests": …, "seconds": …, "events": …}`, where `events` counts the server-sent events of one answer.
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::{net::TcpStream, task::JoinSet};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stands in each body where the call's number goes, so that no two requests are the same.
const NUMBER: &str = "#0000000";

struct Call {
    before: String,
    after: String,
}

impl Call {
    fn new(kind: &str) -> Self {
        let body = match kind {
            "small" => turn(vec![user("Say hello.")]),
            "stream" => {
                let mut body = turn(vec![user("Say hello.")]);
                body["stream"] = json!(true);
                body
            }
            "large" => large(),
            other => panic!("CALL is small, large or stream, not {other}"),
        };
        let body = body.to_string();
        let (before, after) = body.split_once(NUMBER).expect("the number's place");
        Self { before: before.into(), after: after.into() }
    }

    fn numbered(&self, number: u64) -> Bytes {
        format!("{}#{number:07}{}", self.before, self.after).into()
    }
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": format!("{text} {NUMBER}")})
}

fn turn(messages: Vec<Value>) -> Value {
    json!({"model": "claude-load", "max_tokens": 1024, "messages": messages})
}

/// An agent's call in mid-conversation: 20 tools, 40 messages, 64 KB.
fn large() -> Value {
    let property = json!({"type": "string", "description": "One of the values that this tool takes, with a sentence that says what it is for. ".repeat(3)});
    let schema = json!({"type": "object", "properties": {"path": property, "pattern": property, "limit": property}, "required": ["path"]});
    let tools: Vec<_> = (0..20).map(|i| json!({"name": format!("tool_{i}"), "description": "What it does, at some length. ".repeat(12), "input_schema": schema})).collect();
    let mut messages: Vec<_> = (0..19)
        .flat_map(|i| {
            let id = format!("toolu_{i:024}");
            let call = json!({"role": "assistant", "content": [{"type": "text", "text": format!("Step {i}.")}, {"type": "tool_use", "id": id, "name": "tool_1", "input": {"path": format!("/src/file_{i}.rs")}}]});
            let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "A line of the file that was read.\n".repeat(50)}]});
            [call, result]
        })
        .collect();
    messages.insert(0, json!({"role": "user", "content": "Read the files."}));
    messages.push(user("Go on."));
    let mut body = turn(messages);
    body["tools"] = Value::Array(tools);
    body
}

async fn connection(address: String, call: Arc<Call>, next: Arc<AtomicU64>, requests: u64) -> u64 {
    let socket = TcpStream::connect(&address).await.expect("connect");
    socket.set_nodelay(true).expect("nodelay");
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.expect("handshake");
    let drive = tokio::spawn(connection);
    let mut events = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            break;
        }
        let request = Request::post("/v1/messages")
            .header(header::HOST, &address)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-api-key", "sk-load")
            .header("anthropic-version", "2023-06-01")
            .body(Full::new(call.numbered(number)))
            .expect("request");
        sender.ready().await.expect("ready");
        let response = sender.send_request(request).await.expect("response");
        assert_eq!(response.status(), 200, "call {number}");
        let body = response.into_body().collect().await.expect("body").to_bytes();
        assert!(!body.is_empty(), "call {number}");
        if number == 0 {
            events = memchr::memmem::find_iter(&body, b"\n\n").count() as u64;
        }
    }
    drop(sender);
    drive.await.expect("connection").expect("clean end");
    events
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let env = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let address = env("URL").strip_prefix("http://").expect("http:// URL").to_owned();
    let call = Arc::new(Call::new(&env("CALL")));
    let requests = env("REQUESTS").parse().expect("REQUESTS");
    let connections: usize = env("CONNECTIONS").parse().expect("CONNECTIONS");
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(connection(address.clone(), Arc::clone(&call), Arc::clone(&next), requests));
    }
    let events: u64 = tasks.join_all().await.into_iter().sum();
    let body = call.numbered(0).len();
    println!("{}", json!({"requests": requests, "seconds": started.elapsed().as_secs_f64(), "events": events, "request_bytes": body}));
}
