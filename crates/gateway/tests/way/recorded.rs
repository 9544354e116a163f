//! What people see of a conversation that was converted: what policies changed, and nothing that only took another form.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_policy::contract::{Policy, PolicyError, RequestAction, RequestAnswer, Review, ReviewContext, Watch};
use luthien_record::history::{Diff, Turn, diff, session};
use luthien_record::model::TransactionId;
use luthien_testkit::Answer;
use luthien_testkit::client::post;
use luthien_wire::Dialect;
use luthien_wire::request::Request;
use serde_json::{Value, json};

use crate::converted::{NoTools, far, pairs, tools};
use crate::routing::asks;
use crate::support::{KEY, Rig, id, path, turn};

/// Masks every text of the request.
#[derive(Debug)]
struct Masks;

impl Policy for Masks {
    fn name(&self) -> &'static str {
        "masks"
    }

    fn watches(&self) -> Watch {
        Watch { request: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Self)
    }
}

impl Review for Masks {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async {
            let edits: Vec<_> = request.texts().into_iter().map(|slot| (slot.span, "***".to_owned())).collect();
            Ok(RequestAnswer { action: RequestAction::Replace(request.with_texts(&edits)), ..RequestAnswer::default() })
        })
    }
}

/// A turn with a call, as the session and the diff show it.
async fn shown(client: Dialect, spoken: Dialect, stream: bool, policies: Vec<Arc<dyn Policy>>) -> (Turn, Diff) {
    let answer = Answer::new().think("Let me think.", "c2lnbmVk").say("Some words from afar.").call_with_id(
        "call_1",
        "run",
        &json!({"command": "ls"}),
    );
    let (rig, upstream) = far(spoken, answer, policies).await;
    let mut body = asks(client, "far", stream);
    body["tools"] = tools(client);
    let exchange = rig.ask(path(client), &body).await;
    let id = id(&exchange);
    exchange.rest().await.unwrap();
    let found = recorded(&rig, &id).await;
    rig.stop().await;
    upstream.stop().await;
    found
}

async fn recorded(rig: &Rig, id: &str) -> (Turn, Diff) {
    let name = rig.record(id).await.session_id;
    let store = rig.recorder.store();
    let turn = session(store, &name).await.unwrap().unwrap().turns.remove(0);
    (turn, diff(store, TransactionId(id.parse().unwrap())).await.unwrap().unwrap())
}

fn changes(compared: &Diff) -> Vec<&'static str> {
    compared.blocks.iter().map(|block| block.change).collect()
}

#[tokio::test]
async fn a_conversion_alone_is_no_change() {
    for (client, spoken, stream) in pairs() {
        let case = format!("{client} on {spoken}, stream: {stream}");
        let (turn, compared) = shown(client, spoken, stream, Vec::new()).await;
        assert!(!turn.request_was_modified && !turn.response_was_modified, "{case}: {turn:#?}");
        assert_eq!((&turn.original_request_messages, &turn.original_response_messages), (&None, &None), "{case}");
        assert_eq!(turn.request_messages[0].content, "hi", "{case}");
        let note = format!("converted from {client} to {spoken}");
        assert!(turn.annotations.iter().any(|told| told.summary.starts_with(&note)), "{case}");
        assert_eq!(changes(&compared), ["unchanged"; 3], "{case}: {:#?}", compared.blocks);
        assert!(
            !compared.response.content_changed && !compared.response.finish_reason_changed,
            "{case}: {compared:#?}"
        );
        assert_eq!(compared.request.final_model.as_deref(), Some("there"), "{case}");
        assert!(compared.request.messages.iter().all(|message| !message.changed), "{case}");
    }
}

#[tokio::test]
async fn what_policies_change_is_told_beside_a_conversion() {
    for (client, spoken, stream) in pairs() {
        let case = format!("{client} on {spoken}, stream: {stream}");
        let (turn, compared) = shown(client, spoken, stream, vec![Arc::new(Masks), Arc::new(NoTools)]).await;
        assert!(turn.request_was_modified && turn.response_was_modified, "{case}: {turn:#?}");
        assert_eq!(turn.request_messages[0].content, "***", "{case}");
        assert_eq!(turn.original_request_messages.unwrap()[0].content, "hi", "{case}");
        let original = turn.original_response_messages.unwrap();
        let called = original.iter().find(|message| message.tool_name.is_some()).unwrap();
        assert_eq!((called.tool_name.as_deref(), &called.tool_input), (Some("run"), &Some(json!({"command": "ls"}))));
        assert!(turn.response_messages.iter().all(|message| message.tool_name.is_none()), "{case}");
        assert_eq!(changes(&compared), ["unchanged", "changed", "removed"], "{case}: {:#?}", compared.blocks);
        let removed = compared.blocks[2].original.as_ref().map(|block| block["name"].clone());
        assert_eq!(removed, Some(Value::from("run")), "{case}");
        assert_eq!(compared.request.messages[0].final_content, "***", "{case}");
    }
}

#[tokio::test]
async fn raw_http_is_logged_of_both_sides_where_it_is_wanted() {
    let rig = Rig::with(Answer::text("hello"), Vec::new(), |config| config.log_raw_http = true).await;
    let url = rig.url("/v1/messages?beta=true&api_key=sk-in-the-query");
    let headers = [KEY, ("x-own", "mine"), ("cookie", "a=secret")];
    let exchange = post(&url, &headers, turn(true).to_string()).await.unwrap();
    let id = id(&exchange);
    exchange.rest().await.unwrap();
    rig.recorder.settled().await;
    let logs = rig.recorder.store().request_log(TransactionId(id.parse().unwrap())).await.unwrap();
    let side = |direction: &str| logs.iter().find(|side| side.log.direction == direction).expect("a side");
    let (inbound, outbound) = (side("inbound"), side("outbound"));
    assert_eq!(inbound.log.url, "/v1/messages?beta=true&api_key=[redacted]");
    assert_eq!(outbound.log.endpoint, "/v1/messages");
    let header = |of: &[(String, String)], name: &str| {
        of.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    for side in [inbound, outbound] {
        let log = &side.log;
        assert_eq!((log.method.as_str(), log.response_status, log.streamed), ("POST", Some(200), true));
        assert_eq!(header(&log.request_headers, "x-own"), "mine");
        assert_eq!(header(&log.request_headers, "x-api-key"), "[redacted]");
        assert!(header(&log.response_headers, "content-type").starts_with("text/event-stream"));
        assert!(log.completed.is_some_and(|completed| completed >= log.started));
        assert_eq!(side.request, turn(true).to_string());
    }
    assert_eq!(header(&inbound.log.request_headers, "cookie"), "[redacted]");
    assert_eq!(header(&inbound.log.response_headers, "x-call-id"), id);
    assert_eq!(inbound.response, outbound.response);
    assert!(!format!("{logs:?}").contains("sk-") && !format!("{logs:?}").contains("secret"));
    rig.stop().await;
}

#[tokio::test]
async fn raw_http_is_not_logged_otherwise() {
    let rig = Rig::new(Answer::text("hello")).await;
    rig.ask("/v1/messages", &turn(false)).await.rest().await.unwrap();
    rig.recorder.settled().await;
    let all = luthien_record::store::RequestLogFilter { limit: 10, ..Default::default() };
    assert_eq!(rig.recorder.store().request_logs(&all).await.unwrap().total, 0);
    rig.stop().await;
}
