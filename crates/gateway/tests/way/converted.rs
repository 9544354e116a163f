//! Clients of one dialect, upstreams of another.

use std::sync::Arc;

use async_compression::tokio::write::ZstdEncoder;
use futures_util::future::BoxFuture;
use luthien_gateway::config::GatewayConfig;
use luthien_policy::contract::{Answer as Verdict, Policy, PolicyError, Review, ReviewContext, Watch};
use luthien_record::model::{Evaluation, Status};
use luthien_testkit::accumulate::accumulate;
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Reply, Script, Upstream};
use luthien_wire::Dialect;
use luthien_wire::turn::{Block, ToolCall};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::routing::{add, asks, rule, text};
use crate::support::{KEY, Rig, id, path};

/// Blocks every tool call.
#[derive(Debug)]
pub(crate) struct NoTools;

impl Policy for NoTools {
    fn name(&self) -> &'static str {
        "no_tools"
    }

    fn watches(&self) -> Watch {
        Watch { tool_calls: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Self)
    }
}

impl Review for NoTools {
    fn tool_call<'a>(
        &'a self,
        _call: &'a ToolCall,
        _earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Verdict, PolicyError>> {
        Box::pin(async { Ok(Verdict::block("[No tools here.]")) })
    }
}

/// A rig whose model `far` is served by an upstream that speaks `spoken` alone; every dialect has a default beside it.
pub(crate) async fn far(spoken: Dialect, script: impl Into<Script>, policies: Vec<Arc<dyn Policy>>) -> (Rig, Upstream) {
    far_with(spoken, script, policies, |_| {}).await
}

async fn far_with(
    spoken: Dialect,
    script: impl Into<Script>,
    policies: Vec<Arc<dyn Policy>>,
    change: impl FnOnce(&mut GatewayConfig),
) -> (Rig, Upstream) {
    let upstream = Upstream::start().await.unwrap();
    upstream.default_script(script);
    let rig = Rig::with(Answer::text("from the default"), policies, |config| {
        config.upstreams[1].dialects = vec![Dialect::Chat, Dialect::Responses];
        add(config, "far", &[spoken], &upstream);
        config.models = vec![rule("far", &[("far", Some("there"))])];
        change(config);
    })
    .await;
    (rig, upstream)
}

/// The answer as a value, whichever its form.
pub(crate) fn read(dialect: Dialect, stream: bool, bytes: &[u8]) -> Value {
    if stream { accumulate(dialect, bytes).unwrap() } else { serde_json::from_slice(bytes).unwrap() }
}

pub(crate) fn pairs() -> impl Iterator<Item = (Dialect, Dialect, bool)> {
    Dialect::ALL.into_iter().flat_map(|from| {
        let others = Dialect::ALL.into_iter().filter(move |to| *to != from);
        others.flat_map(move |to| [true, false].map(|stream| (from, to, stream)))
    })
}

#[tokio::test]
async fn every_client_can_use_every_upstream() {
    for (client, spoken, stream) in pairs() {
        let case = format!("{client} on {spoken}, stream: {stream}");
        let answer = Answer::text("Some words from afar.").call_with_id("call_1", "run", &json!({"command": "ls"}));
        let (rig, upstream) = far(spoken, answer, Vec::new()).await;
        let mut body = asks(client, "far", stream);
        body["tools"] = tools(client);
        let exchange = rig.ask(&format!("{}?beta=true", path(client)), &body).await;
        assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (200, Some("far")), "{case}");
        let kind = if stream { "text/event-stream" } else { "application/json" };
        assert!(exchange.header("content-type").unwrap().starts_with(kind), "{case}");
        assert_eq!(exchange.header(client.request_id_header()), Some("req_scripted"), "{case}");
        let id = id(&exchange);
        let bytes = exchange.rest().await.unwrap();
        let told = read(client, stream, &bytes).to_string();
        assert!(told.contains("Some words from afar.") && told.contains("ls"), "{case}: {told}");

        let sent = upstream.requests().remove(0);
        assert_eq!(sent.path, path(spoken), "{case}");
        assert_eq!(sent.json()["model"], "there", "{case}");
        let record = rig.record(&id).await;
        assert_eq!(record.status, Status::Completed, "{case}");
        let recorded = record.upstream_request.as_ref().unwrap();
        assert_eq!((recorded.dialect, &recorded.body), (spoken, &sent.body), "{case}");
        assert_eq!(record.client_response(), &bytes, "{case}");
        let came = read(spoken, stream, &record.upstream_response).to_string();
        assert!(came.contains("Some words from afar.") && record.upstream_response != bytes, "{case}");
        let event = record.events.iter().find(|event| event.event_type == "transaction.converted").unwrap();
        assert_eq!((&event.data["from"], &event.data["to"]), (&json!(client), &json!(spoken)), "{case}");
        rig.stop().await;
        upstream.stop().await;
    }
}

pub(crate) fn tools(dialect: Dialect) -> Value {
    let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    match dialect {
        Dialect::Messages => json!([{"name": "run", "description": "runs", "input_schema": schema}]),
        Dialect::Chat => json!([{"type": "function", "function": {"name": "run", "parameters": schema}}]),
        Dialect::Responses => json!([{"type": "function", "name": "run", "parameters": schema, "strict": false}]),
    }
}

#[tokio::test]
async fn what_a_policy_blocks_does_not_come_through_a_conversion() {
    for (client, spoken, stream) in pairs() {
        let case = format!("{client} on {spoken}, stream: {stream}");
        let answer = Answer::text("Let me look.").call("run", &json!({"command": "secret-command"}));
        let (rig, upstream) = far(spoken, answer, vec![Arc::new(NoTools)]).await;
        let mut body = asks(client, "far", stream);
        body["tools"] = tools(client);
        let exchange = rig.ask(path(client), &body).await;
        let id = id(&exchange);
        let bytes = exchange.rest().await.unwrap();
        let told = read(client, stream, &bytes).to_string();
        assert!(told.contains("[No tools here.]") && told.contains("Let me look."), "{case}: {told}");
        assert!(!String::from_utf8_lossy(&bytes).contains("secret-command"), "{case}");
        let record = rig.record(&id).await;
        assert_eq!(record.evaluation, Evaluation::Intervened, "{case}");
        assert_eq!(record.client_response(), &bytes, "{case}");
        let came = read(spoken, stream, &record.upstream_response).to_string();
        assert!(came.contains("secret-command"), "{case}: {came}");
        assert_eq!(upstream.requests().len(), 1, "{case}");
        rig.stop().await;
        upstream.stop().await;
    }
}

#[rstest]
#[case(Dialect::Messages, Dialect::Chat, ("authorization", "Bearer sk-of-far"))]
#[case(Dialect::Chat, Dialect::Messages, ("x-api-key", "sk-of-far"))]
#[case(Dialect::Responses, Dialect::Messages, ("x-api-key", "sk-of-far"))]
#[tokio::test]
async fn no_callers_credential_and_no_vendors_header_reaches_another_vendor(
    #[case] client: Dialect,
    #[case] spoken: Dialect,
    #[case] credential: (&str, &str),
) {
    let (rig, upstream) = far(spoken, Answer::text("x"), Vec::new()).await;
    let headers = [
        ("x-api-key", "canary-one-1"),
        ("authorization", "Bearer canary-two-2"),
        ("x-anthropic-api-key", "canary-three"),
        ("cookie", "s=canary-four"),
        ("x-copy", "canary-two-2"),
        ("chatgpt-account-id", "canary-five"),
        ("openai-organization", "canary-six"),
        ("anthropic-beta", "vendors"),
        ("x-stainless-lang", "vendors"),
        ("originator", "vendors"),
        ("x-codex-turn-metadata", "vendors"),
        ("session_id", "vendors"),
        ("x-claude-code-session-id", "vendors"),
        ("accept-encoding", "gzip"),
        ("traceparent", "kept"),
        ("user-agent", "kept"),
    ];
    let url = rig.url(&format!("{}?beta=true&key=canary-seven", path(client)));
    let exchange = post(&url, &headers, asks(client, "far", true).to_string()).await.unwrap();
    assert_eq!(exchange.status, 200);
    let id = id(&exchange);
    let told = text(exchange).await;
    let sent = upstream.requests().remove(0);
    let all = format!("{sent:?}");
    assert!(!all.contains("canary") && !all.contains("vendors"), "{all}");
    assert_eq!((sent.path.as_str(), sent.header(credential.0)), (path(spoken), Some(credential.1)));
    assert_eq!((sent.header("traceparent"), sent.header("user-agent")), (Some("kept"), Some("kept")));
    assert_eq!((sent.header("accept"), sent.header("accept-encoding")), (Some("text/event-stream"), Some("identity")));
    let version = (spoken == Dialect::Messages).then_some("2023-06-01");
    assert_eq!(sent.header("anthropic-version"), version);
    let record = format!("{:?}", rig.record(&id).await);
    assert!(!record.contains("canary") && !told.contains("canary"), "{record}");
    rig.stop().await;
}

#[tokio::test]
async fn an_upstreams_refusal_comes_in_the_callers_words_and_keeps_its_status() {
    for (client, spoken, stream) in pairs() {
        let case = format!("{client} on {spoken}, stream: {stream}");
        let refusal = Reply::error(spoken, 429, "rate_limit_error", "Slow down, please. Try again in 2s.")
            .header("retry-after", "2")
            .header("anthropic-ratelimit-requests-remaining", "7")
            .header("x-ratelimit-remaining-requests", "7");
        let (rig, upstream) = far(spoken, Script::always(refusal), Vec::new()).await;
        let exchange = rig.ask(path(client), &asks(client, "far", stream)).await;
        assert_eq!((exchange.status, exchange.header("retry-after")), (429, Some("2")), "{case}");
        let limit = match client {
            Dialect::Messages => "anthropic-ratelimit-requests-remaining",
            Dialect::Chat | Dialect::Responses => "x-ratelimit-remaining-requests",
        };
        assert_eq!(exchange.header(limit), Some("7"), "{case}");
        let id = id(&exchange);
        let bytes = exchange.rest().await.unwrap();
        let told: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(told["error"]["message"], "Slow down, please. Try again in 2s.", "{case}");
        let envelope = if client == Dialect::Messages { json!("error") } else { Value::Null };
        assert_eq!(told["type"], envelope, "{case}");
        let record = rig.record(&id).await;
        assert_eq!((record.status, record.http_status), (Status::UpstreamError, Some(429)), "{case}");
        assert_eq!(record.client_response(), &bytes, "{case}");
        rig.stop().await;
        upstream.stop().await;
    }
}

#[tokio::test]
async fn a_compressed_request_is_converted_or_renamed_and_sent_plain() {
    for spoken in [Dialect::Messages, Dialect::Responses] {
        let (rig, upstream) = far(spoken, Answer::text("x"), Vec::new()).await;
        let mut encoder = ZstdEncoder::new(Vec::new());
        encoder.write_all(asks(Dialect::Responses, "far", false).to_string().as_bytes()).await.unwrap();
        encoder.shutdown().await.unwrap();
        let headers = [KEY, ("content-encoding", "zstd")];
        let exchange = post(&rig.url("/v1/responses"), &headers, encoder.into_inner()).await.unwrap();
        assert_eq!(exchange.status, 200);
        let sent = upstream.requests().remove(0);
        assert_eq!((sent.header("content-encoding"), &sent.json()["model"]), (None, &json!("there")));
        rig.stop().await;
        upstream.stop().await;
    }
}

#[tokio::test]
async fn what_has_no_counterpart_is_named_and_what_would_change_the_meaning_is_refused() {
    let (rig, upstream) = far(Dialect::Responses, Answer::text("x"), Vec::new()).await;
    let mut body = asks(Dialect::Messages, "far", false);
    (body["top_k"], body["max_tokens"]) = (json!(5), json!(100));
    let exchange = rig.ask("/v1/messages", &body).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-dropped")), (200, Some("top_k")));
    let record = rig.record(&id(&exchange)).await;
    let event = record.events.iter().find(|event| event.event_type == "transaction.converted").unwrap();
    assert_eq!(event.data["dropped"], json!(["top_k"]));

    let mut body = asks(Dialect::Messages, "far", false);
    body["stop_sequences"] = json!(["END"]);
    let exchange = rig.ask("/v1/messages", &body).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (400, Some("false")));
    let told: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(told["error"]["type"], "invalid_request_error");
    assert!(told["error"]["message"].as_str().unwrap().contains("stop_sequences"), "{told}");
    assert_eq!(upstream.requests().len(), 1);
    rig.stop().await;
}

#[rstest]
#[case(Dialect::Chat, "n", json!(2))]
#[case(Dialect::Responses, "previous_response_id", json!("resp_1"))]
#[tokio::test]
async fn openais_clients_are_told_which_field_cannot_be_converted(
    #[case] client: Dialect,
    #[case] field: &str,
    #[case] value: Value,
) {
    let (rig, _upstream) = far(Dialect::Messages, Answer::text("x"), Vec::new()).await;
    let mut body = asks(client, "far", false);
    body[field] = value;
    let exchange = rig.ask(path(client), &body).await;
    assert_eq!(exchange.status, 400);
    let told: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(
        (&told["error"]["type"], &told["error"]["param"]),
        (&json!("invalid_request_error"), &json!(field)),
        "{told}"
    );
    assert!(told["error"]["message"].as_str().unwrap().starts_with(&format!("{field}: ")), "{told}");
    rig.stop().await;
}

#[tokio::test]
async fn words_that_a_conversion_puts_in_are_named() {
    let (rig, upstream) = far(Dialect::Messages, Answer::text("x"), Vec::new()).await;
    let mut body = asks(Dialect::Chat, "far", false);
    body["verbosity"] = json!("low");
    body["messages"] = json!([
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Well"},
    ]);
    let exchange = rig.ask("/v1/chat/completions", &body).await;
    let named = ["messages[0] ([the conversation begins with the model])", "messages[4] ([go on])"];
    let header = format!("verbosity, added: {}, {}", named[0], named[1]);
    assert_eq!((exchange.status, exchange.header("x-luthien-dropped")), (200, Some(header.as_str())));
    let record = rig.record(&id(&exchange)).await;
    let event = record.events.iter().find(|event| event.event_type == "transaction.converted").unwrap();
    assert_eq!((&event.data["dropped"], &event.data["added"]), (&json!(["verbosity"]), &json!(named)));
    let sent: Value = serde_json::from_slice(&upstream.requests()[0].body).unwrap();
    assert_eq!(sent["messages"][4]["content"][0]["text"], "[go on]");
    rig.stop().await;
}

#[tokio::test]
async fn what_one_dialect_of_an_upstream_cannot_say_another_may() {
    let (rig, upstream) = far_with(Dialect::Chat, Answer::text("x"), Vec::new(), |config| {
        config.upstreams[2].dialects = vec![Dialect::Chat, Dialect::Responses];
    })
    .await;
    let mut body = asks(Dialect::Messages, "far", false);
    assert_eq!(rig.ask("/v1/messages", &body).await.status, 200);
    body["stop_sequences"] = json!(["END"]);
    assert_eq!(rig.ask("/v1/messages", &body).await.status, 200);
    let paths: Vec<String> = upstream.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/responses", "/v1/chat/completions"]);
    rig.stop().await;
}

#[tokio::test]
async fn tokens_are_counted_where_the_model_is() {
    let count = |body: &Value| json!({"model": "far", "system": "Be brief.", "messages": body["messages"]});
    let asked = count(&asks(Dialect::Messages, "far", false));
    let (rig, upstream) = far(Dialect::Responses, Answer::text("x"), Vec::new()).await;
    let exchange = rig.ask("/v1/messages/count_tokens", &asked).await;
    assert_eq!(exchange.status, 200);
    let told: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert!(told["input_tokens"].is_u64() && told.as_object().unwrap().len() == 1, "{told}");
    assert_eq!(upstream.requests()[0].path, "/v1/responses/input_tokens");
    rig.stop().await;

    let (rig, upstream) = far(Dialect::Chat, Answer::text("x"), Vec::new()).await;
    let exchange = rig.ask("/v1/messages/count_tokens", &asked).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (404, Some("false")));
    assert!(text(exchange).await.contains("not_found_error"));
    assert!(upstream.requests().is_empty());
    rig.stop().await;

    let (rig, upstream) = far(Dialect::Messages, Answer::text("x"), Vec::new()).await;
    let exchange = rig.ask("/v1/responses/input_tokens", &json!({"model": "far", "input": "hi"})).await;
    let told: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(told["object"], "response.input_tokens");
    let sent = upstream.requests().remove(0);
    assert_eq!((sent.path.as_str(), &sent.json()["max_tokens"]), ("/v1/messages/count_tokens", &Value::Null));
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_the_upstreams_fault() {
    for (stream, body) in [(false, "<html>hello</html>"), (false, "{\"choices\":7}")] {
        let (rig, _upstream) =
            far(Dialect::Chat, Script::always(Reply::whole(200, "application/json", body)), Vec::new()).await;
        let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "far", stream)).await;
        assert_eq!(exchange.status, 502, "{body}");
        let id = id(&exchange);
        assert!(text(exchange).await.contains("`far`"));
        let record = rig.record(&id).await;
        assert_eq!((record.status, &record.upstream_response[..]), (Status::UpstreamError, body.as_bytes()));
        rig.stop().await;
    }
}

#[tokio::test]
async fn conversations_that_another_vendor_has_served_can_go_on_with_the_callers_own() {
    let answer = Answer::new().think("Hm.", "sig-of-another").say("x");
    let (rig, _upstream) = far(Dialect::Responses, answer, Vec::new()).await;
    let mut body = asks(Dialect::Messages, "far", false);
    let exchange = rig.ask("/v1/messages", &body).await;
    let told: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert!(told["content"][0]["signature"].as_str().unwrap().starts_with("luthien1."), "{told}");
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": told["content"]}));
    messages.push(json!({"role": "user", "content": "go on"}));
    body["model"] = json!("claude");
    let exchange = rig.ask("/v1/messages", &body).await;
    assert_eq!(exchange.status, 200);
    assert!(exchange.header("x-luthien-dropped").is_some_and(|dropped| dropped.contains("messages[1]")));
    let sent = rig.upstream.requests().remove(0).json();
    assert_eq!(sent["messages"][1]["content"], json!([{"type": "text", "text": "x"}]));
    rig.stop().await;
}

#[tokio::test]
async fn a_fallback_may_speak_another_dialect() {
    let (rig, upstream) = far_with(Dialect::Chat, Answer::text("from afar"), Vec::new(), |config| {
        config.models = vec![rule("far", &[("anthropic", None), ("far", Some("there"))])];
    })
    .await;
    rig.upstream.default_script(Script::always(Reply::error(Dialect::Messages, 529, "overloaded_error", "Overloaded")));
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "far", true)).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-fallback")), (200, Some("anthropic (529)")));
    let id = id(&exchange);
    let bytes = exchange.rest().await.unwrap();
    assert_eq!(read(Dialect::Messages, true, &bytes)["content"][0]["text"], "from afar");
    assert_eq!(rig.upstream.requests()[0].header("x-api-key"), Some(KEY.1));
    assert_eq!(upstream.requests()[0].header("x-api-key"), None);
    let record = rig.record(&id).await;
    assert_eq!(record.client_response(), &bytes);
    assert!(record.upstream_response.starts_with(b"data: {"));
    rig.stop().await;
}

#[tokio::test]
async fn a_fallback_may_speak_the_callers_dialect_again() {
    let (rig, upstream) = far_with(Dialect::Chat, Script::always(Reply::new(503, Vec::new())), Vec::new(), |config| {
        config.models = vec![rule("far", &[("far", Some("there")), ("anthropic", Some("claude"))])];
    })
    .await;
    let mut body = asks(Dialect::Messages, "far", true);
    body["mcp_servers"] = json!([{"type": "url", "url": "https://x.example", "name": "x"}]);
    let exchange = rig.ask("/v1/messages", &body).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (200, Some("anthropic")));
    // What only the first attempt dropped is not said of the second.
    assert_eq!(exchange.header("x-luthien-dropped"), None);
    let id = id(&exchange);
    let bytes = exchange.rest().await.unwrap();
    let record = rig.record(&id).await;
    assert_eq!((&record.upstream_response, &record.own_response), (&bytes, &None));
    assert_eq!(upstream.requests().len(), 1);
    rig.stop().await;
}
