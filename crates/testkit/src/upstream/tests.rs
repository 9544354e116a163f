//! The scripted upstream over real sockets.

use bytes::Bytes;
use http::Method;
use luthien_wire::Dialect;
use serde_json::{Value, json};

use super::{Ending, Upstream};
use crate::accumulate::{accumulate_chat, accumulate_messages};
use crate::client::{get, post, send};
use crate::reply::{Chunking, Reply, Step};
use crate::script::{Play, Script};
use crate::{Answer, Gate, coding, fixtures};

async fn start() -> Upstream {
    Upstream::start().await.expect("a port")
}

fn question(stream: bool) -> String {
    json!({"model": "m", "stream": stream, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
        .to_string()
}

async fn ask(base: &str, body: String) -> (u16, Bytes) {
    let exchange = post(&format!("{base}/v1/messages?beta=true"), &[], body).await.expect("an answer");
    (exchange.status, exchange.rest().await.expect("a whole body"))
}

#[tokio::test]
async fn a_request_is_kept_as_it_came() {
    let upstream = start().await;
    let url = format!("{}/v1/messages?beta=true", upstream.base_url());
    let headers = [("X-Two", "1"), ("anthropic-version", "2023-06-01"), ("x-two", "2")];
    let answer = post(&url, &headers, question(true)).await.expect("an answer");
    assert_eq!(answer.header("request-id"), Some("req_scripted"));
    let message = accumulate_messages(&answer.rest().await.expect("a body")).expect("a message");
    assert_eq!(message["content"][0]["text"], "Hello from the scripted upstream.");

    let request = upstream.ended(0).await.expect("a request");
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/messages?beta=true"));
    assert_eq!(request.body, question(true));
    assert_eq!((request.connection, request.ending), (1, Ending::Complete));
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.ends_with(&["content-length"]) && names.contains(&"x-two"), "{names:?}");
    assert_eq!(request.header("ANTHROPIC-version"), Some("2023-06-01"));
    upstream.stop().await;
}

#[tokio::test]
async fn header_order_and_case_are_kept_over_one_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let upstream = start().await;
    let mut socket = tokio::net::TcpStream::connect(upstream.address()).await.expect("a connection");
    let mut heads = Vec::new();
    for number in 0..2 {
        let body = question(false);
        let length = body.len();
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: h\r\nX-Api-Key: k{number}\r\naccept: a\r\nX-api-KEY: z\r\nContent-Length: {length}\r\n\r\n"
        );
        socket.write_all(format!("{head}{body}").as_bytes()).await.expect("sent");
        let mut got = Vec::new();
        while !got.ends_with(b"}}") {
            assert_ne!(socket.read_buf(&mut got).await.expect("read"), 0);
        }
        heads.push(upstream.ended(number).await.expect("kept").headers);
    }
    for (number, head) in heads.iter().enumerate() {
        let expected = [
            ("Host", "h".to_owned()),
            ("X-Api-Key", format!("k{number}")),
            ("accept", "a".to_owned()),
            ("X-api-KEY", "z".to_owned()),
            ("Content-Length", question(false).len().to_string()),
        ];
        assert_eq!(head, &expected.map(|(name, value)| (name.to_owned(), value)));
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn every_fixture_arrives_whole_however_it_is_cut() {
    let upstream = start().await;
    for chunking in [Chunking::Whole, Chunking::PerFrame, Chunking::Bytes(3)] {
        for fixture in fixtures::all(Dialect::Messages) {
            let base = upstream.script("fixture", Reply::fixture(fixture).chunking(chunking));
            let (status, body) = ask(&base, question(fixture.streamed)).await;
            assert_eq!((status, &body[..]), (fixture.status, fixture.bytes), "{}", fixture.name);
        }
    }
}

#[tokio::test]
async fn chat_is_answered_on_its_paths() {
    let upstream = start().await;
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let answer = post(&format!("{}{path}", upstream.base_url()), &[], question(true)).await.expect("an answer");
        assert_eq!(answer.header("x-request-id"), Some("req_scripted"));
        accumulate_chat(&answer.rest().await.expect("a body")).expect("a completion");
    }
    assert_eq!(upstream.turns().len(), 2);
}

#[tokio::test]
async fn a_gate_holds_the_rest_back() {
    let upstream = start().await;
    let gate = Gate::new();
    let base = upstream.script("held", Answer::text("before").hold(&gate).say("after"));
    let mut answer = post(&format!("{base}/v1/messages"), &[], question(true)).await.expect("a head");
    let mut seen = String::new();
    while !seen.contains("before") {
        let frame = answer.frame().await.expect("no error").expect("a frame");
        seen.push_str(&String::from_utf8_lossy(&frame.raw));
    }
    gate.reached().await;
    assert_eq!(upstream.requests()[0].ending, Ending::Playing);
    gate.open();
    let rest = answer.rest().await.expect("the rest");
    assert!(accumulate_messages(&[seen.as_bytes(), &rest].concat()).is_ok());
    assert_eq!(upstream.ended(0).await.expect("kept").ending, Ending::Complete);
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed() {
    let upstream = start().await;
    let gate = Gate::new();
    let base = upstream.script("held", Answer::text("before").hold(&gate).say("after"));
    let answer = post(&format!("{base}/v1/messages"), &[], question(true)).await.expect("a head");
    gate.reached().await;
    drop(answer);
    assert_eq!(upstream.ended(0).await.expect("kept").ending, Ending::ClientGone);

    let silent = upstream.script("silent", Reply::hang());
    let url = format!("{silent}/v1/messages");
    let asking = post(&url, &[], question(true));
    tokio::select! {
        answer = asking => panic!("answered: {answer:?}"),
        requests = upstream.wait_for(2) => assert_eq!(requests.len(), 2),
    }
    assert_eq!(upstream.ended(1).await.expect("kept").ending, Ending::ClientGone);
}

#[tokio::test]
async fn connections_are_cut_as_told() {
    let upstream = start().await;
    let cut = |end| Reply::stream(b"data: 1\n\ndata: 2\n\n").cut_after(1, end);

    let closed = upstream.script("close", cut(Step::Close));
    let answer = post(&format!("{closed}/v1/messages"), &[], question(true)).await.expect("a head");
    let (body, end) = answer.all().await;
    assert_eq!(&body[..], b"data: 1\n\n");
    assert!(end.is_err());
    assert_eq!(upstream.ended(0).await.expect("kept").ending, Ending::BrokenOff);

    let gate = Gate::new();
    let reset = upstream.script("reset", cut(Step::Reset).insert(1, Step::Wait(gate.clone())));
    let mut answer = post(&format!("{reset}/v1/messages"), &[], question(true)).await.expect("a head");
    assert_eq!(answer.chunk().await.expect("no error").expect("a chunk"), "data: 1\n\n");
    gate.open();
    let error = answer.chunk().await.expect_err("broken off");
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");

    let early = upstream.script("early", Answer::text("half").end_early());
    let (_, body) = ask(&early, question(true)).await;
    assert_eq!(accumulate_messages(&body), Err("W-20: no message_stop".to_owned()));

    for how in [Step::Close, Step::Reset] {
        let none = upstream.script("none", Reply::drop_connection(how));
        assert!(post(&format!("{none}/v1/messages"), &[], question(true)).await.is_err());
    }
}

#[tokio::test]
async fn an_agents_loop_is_played_and_bounded() {
    let upstream = start().await;
    let plays = [Answer::tool("Bash", &json!({"command": "ls"})), Answer::text("Done.")];
    let base = upstream.script("loop", Script::rounds(plays));
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]});
    let body = |results: usize| {
        let mut messages = vec![json!({"role": "user", "content": "go"})];
        for _ in 0..results {
            messages.extend([json!({"role": "assistant", "content": []}), result.clone()]);
        }
        json!({"model": "m", "messages": messages}).to_string()
    };
    let stop = |body: Bytes| serde_json::from_slice::<Value>(&body).expect("JSON")["stop_reason"].clone();
    assert_eq!(stop(ask(&base, body(0)).await.1), "tool_use");
    assert_eq!(stop(ask(&base, body(1)).await.1), "end_turn");

    let forever = upstream.script("forever", Script::always(Answer::tool("Bash", &json!({}))).limit(3));
    assert_eq!(stop(ask(&forever, body(2)).await.1), "tool_use");
    assert_eq!(stop(ask(&forever, body(3)).await.1), "end_turn");
}

#[tokio::test]
async fn a_script_may_look_at_the_request() {
    let upstream = start().await;
    let base = upstream.script(
        "look",
        Script::new(|asked| match asked.last_user_text().as_str() {
            "hi" => Play::from(Answer::text("hello")),
            _ => Reply::error(asked.dialect, 400, "invalid_request_error", "what?").into(),
        }),
    );
    assert_eq!(ask(&base, question(false)).await.0, 200);
    assert_eq!(ask(&base, question(false).replace("hi", "ho")).await.0, 400);
    let turns = upstream.script("turns", Script::in_turn([Reply::json(500, &json!({})), Reply::json(201, &json!({}))]));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(&turns, question(false)).await.0);
    }
    assert_eq!(statuses, [500, 201, 201]);
}

#[tokio::test]
async fn other_paths_have_fixed_answers() {
    let upstream = start().await;
    let base = upstream.base_url();
    let count =
        post(&format!("{base}/v1/messages/count_tokens?beta=true"), &[], question(false)).await.expect("a count");
    let count: Value = serde_json::from_slice(&count.rest().await.expect("a body")).expect("JSON");
    assert!(count["input_tokens"].is_u64());
    let models = get(&format!("{base}/v1/models?limit=1000"), &[("anthropic-version", "x")]).await.expect("models");
    let models: Value = serde_json::from_slice(&models.rest().await.expect("a body")).expect("JSON");
    assert_eq!(models["data"][0]["id"], "claude-opus-5-5");
    let hello = send(Method::HEAD, &format!("{base}/api/hello"), &[], "").await.expect("an answer");
    assert_eq!(hello.status, 200);
    assert_eq!(get(&format!("{base}/x"), &[]).await.expect("an answer").status, 404);
    assert_eq!(ask(&format!("{base}/s/nobody"), question(false)).await.0, 404);
    assert_eq!(ask(&base, "[".to_owned()).await.0, 400);
    assert_eq!(upstream.turns().len(), 2);
    upstream.clear();
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_gzip_body_says_so() {
    let upstream = start().await;
    let base = upstream.script("zip", Reply::json(200, &json!({"a": 1})).gzip());
    let answer = post(&format!("{base}/v1/messages"), &[], question(false)).await.expect("an answer");
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(answer.rest().await.expect("a body").starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn a_stopped_upstream_refuses() {
    let upstream = start().await;
    let url = format!("{}/v1/messages", upstream.base_url());
    let base = upstream.script("silent", Reply::stream(b"data: 1\n\n").insert(1, Step::Stall));
    let mut open = post(&format!("{base}/v1/messages"), &[], question(true)).await.expect("a head");
    assert!(open.chunk().await.expect("no error").is_some());
    upstream.stop().await;
    assert!(open.chunk().await.is_err());
    assert!(post(&url, &[], question(true)).await.is_err());
}

#[tokio::test]
async fn responses_are_kept_read_cancelled_and_deleted() {
    let upstream = start().await;
    let url = format!("{}/v1/responses", upstream.base_url());
    let read = async |url: &str| {
        let answer = get(url, &[]).await.expect("an answer");
        (answer.status, answer.rest().await.expect("a body"))
    };
    let json = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON");

    let made = post(&url, &[], json!({"model": "m", "input": "hi"}).to_string()).await.expect("an answer");
    assert_eq!(made.header("x-request-id"), Some("req_scripted"));
    let made = json(&made.rest().await.expect("a body"));
    assert_eq!(made["output"][0]["content"][0]["text"], "Hello from the scripted upstream.");
    let one = format!("{url}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(json(&read(&one).await.1), made);
    let items = json(&read(&format!("{one}/input_items?order=asc")).await.1);
    assert_eq!(items["data"][0]["content"][0]["text"], "hi");
    let (_, stream) = read(&format!("{one}?stream=true")).await;
    let (_, later) = read(&format!("{one}?stream=true&starting_after=3")).await;
    assert!(stream.ends_with(&later) && later.starts_with(b"event: response.output_text.delta"));
    let cancelled = post(&format!("{one}/cancel"), &[], "").await.expect("an answer").rest().await.expect("a body");
    assert_eq!(json(&cancelled)["status"], "cancelled");
    let gone = send(Method::DELETE, &one, &[], "").await.expect("an answer").rest().await.expect("a body");
    assert_eq!(json(&gone)["deleted"], true);
    assert_eq!(read(&one).await.0, 404);

    upstream.store("resp_mine", &Reply::json(200, &json!({"id": "resp_mine"})));
    assert_eq!(json(&read(&format!("{url}/resp_mine")).await.1)["id"], "resp_mine");
    let compacted = post(&format!("{url}/compact"), &[], json!({"input": []}).to_string()).await.expect("an answer");
    assert_eq!(json(&compacted.rest().await.expect("a body"))["output"][0]["type"], "compaction");
    let counted = post(&format!("{url}/input_tokens"), &[], "{}").await.expect("an answer");
    assert_eq!(json(&counted.rest().await.expect("a body"))["object"], "response.input_tokens");
    assert_eq!(upstream.turns().len(), 1);
}

#[tokio::test]
async fn what_is_worked_on_in_the_background_is_read_later() {
    let upstream = start().await;
    let url = format!("{}/v1/responses", upstream.base_url());
    let body = json!({"model": "m", "input": "hi", "background": true}).to_string();
    let queued = post(&url, &[], body).await.expect("an answer").rest().await.expect("a body");
    let queued: Value = serde_json::from_slice(&queued).expect("JSON");
    assert_eq!((&queued["status"], &queued["output"]), (&json!("queued"), &json!([])));
    let later = format!("{url}/{}", queued["id"].as_str().expect("an id"));
    let done = get(&later, &[]).await.expect("an answer").rest().await.expect("a body");
    let done: Value = serde_json::from_slice(&done).expect("JSON");
    assert_eq!((&done["status"], &done["id"]), (&json!("completed"), &queued["id"]));

    let not_kept = json!({"model": "m", "input": "hi", "store": false}).to_string();
    let made = post(&url, &[], not_kept).await.expect("an answer").rest().await.expect("a body");
    let made: Value = serde_json::from_slice(&made).expect("JSON");
    let gone = get(&format!("{url}/{}", made["id"].as_str().expect("an id")), &[]).await.expect("an answer");
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn a_coded_request_is_kept_as_it_came_and_read() {
    let upstream = start().await;
    let base = upstream.script("echo", Script::new(|asked| Answer::text(&asked.last_user_text())));
    for coding in coding::ALL {
        upstream.clear();
        let coded = coding::encode(coding, question(false).as_bytes()).await.expect(coding);
        let headers = [("content-encoding", coding)];
        let answer = post(&format!("{base}/v1/messages"), &headers, coded.clone()).await.expect(coding);
        let answer: Value = serde_json::from_slice(&answer.rest().await.expect("a body")).expect("JSON");
        assert_eq!(answer["content"][0]["text"], "hi", "{coding}");
        let request = upstream.requests().remove(0);
        assert_eq!((request.body.as_ref(), request.plain.as_ref()), (coded.as_ref(), question(false).as_bytes()));
    }
}
