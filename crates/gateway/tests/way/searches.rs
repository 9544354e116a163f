//! Web searches that an upstream of another dialect ran are the vendor's calls for policies, as its clients' own are.

use std::sync::Arc;

use luthien_policy::contract::Policy;
use luthien_record::model::Evaluation;
use luthien_testkit::Reply;
use luthien_testkit::accumulate::accumulate;
use luthien_testkit::fixtures::named;
use luthien_wire::Dialect::{self, Messages, Responses};
use serde_json::{Value, json};

use crate::converted::{NoTools, far, read};
use crate::routing::asks;
use crate::support::{id, path};

/// The vendor's answer with a search, streamed or not, and what is asked for in it.
fn searched(spoken: Dialect, stream: bool) -> (Reply, &'static str) {
    let (name, query) = match spoken {
        Messages => ("web_search", "serde release notes"),
        _ => ("web_search_call", "recursive descent tutorial"),
    };
    let bytes = named(spoken, name).unwrap().bytes;
    let reply = if stream { Reply::stream(bytes) } else { Reply::json(200, &accumulate(spoken, bytes).unwrap()) };
    (reply, query)
}

/// The types of what the model did, in order.
fn kinds(answer: &Value) -> Vec<&str> {
    let all = answer.get("content").or_else(|| answer.get("output")).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(|block| block["type"].as_str()).collect()
}

#[tokio::test]
async fn a_search_is_withheld_with_what_it_found() {
    for (client, spoken) in [(Messages, Responses), (Responses, Messages)] {
        for stream in [true, false] {
            let case = format!("{client} on {spoken}, stream: {stream}");
            let (reply, query) = searched(spoken, stream);
            let (rig, upstream) = far(spoken, reply, vec![Arc::new(NoTools) as Arc<dyn Policy>]).await;
            let exchange = rig.ask(path(client), &asks(client, "far", stream)).await;
            let id = id(&exchange);
            let bytes = exchange.rest().await.unwrap();
            let told = read(client, stream, &bytes);
            assert!(kinds(&told).iter().all(|kind| ["text", "message"].contains(kind)), "{case}: {told}");
            assert!(told.to_string().contains("[No tools here.]"), "{case}: {told}");
            let bytes = String::from_utf8_lossy(&bytes).into_owned();
            for gone in [query, "encrypted_content", "page_age", "compilers.example.net"] {
                assert!(!bytes.contains(gone), "{case}: {bytes}");
            }
            // It is no call of the client's: the turn ends.
            let stop = told.get("stop_reason").or_else(|| told.get("status")).and_then(Value::as_str);
            assert!(["end_turn", "completed"].map(Some).contains(&stop), "{case}: {told}");
            assert_eq!(rig.record(&id).await.evaluation, Evaluation::Intervened, "{case}");
            rig.stop().await;
            upstream.stop().await;
        }
    }
}

#[tokio::test]
async fn a_search_that_may_be_reaches_the_client_once() {
    for (client, spoken, expected) in [
        (Messages, Responses, vec!["server_tool_use", "web_search_tool_result", "text"]),
        (Responses, Messages, vec!["message", "web_search_call", "message"]),
    ] {
        let (reply, _) = searched(spoken, true);
        let (rig, upstream) = far(spoken, reply, Vec::new()).await;
        let exchange = rig.ask(path(client), &asks(client, "far", true)).await;
        let told = read(client, true, &exchange.rest().await.unwrap());
        assert_eq!(kinds(&told), expected, "{client} on {spoken}");
        rig.stop().await;
        upstream.stop().await;
    }
}

#[tokio::test]
async fn a_search_of_another_vendors_does_not_reach_the_callers_own() {
    let (reply, _) = searched(Responses, false);
    let (rig, upstream) = far(Responses, reply, Vec::new()).await;
    let mut body = asks(Messages, "claude", false);
    // Without an envelope anywhere.
    let found = json!([
        {"type": "server_tool_use", "id": "srvtoolu_ws_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_ws_1", "content": []},
        {"type": "text", "text": "x"},
    ]);
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": found}));
    messages.push(json!({"role": "user", "content": "go on"}));
    let exchange = rig.ask("/v1/messages", &body).await;
    assert_eq!(exchange.status, 200);
    let sent = rig.upstream.requests().remove(0).json();
    assert_eq!(sent["messages"][1]["content"], json!([{"type": "text", "text": "x"}]));
    rig.stop().await;
    upstream.stop().await;
}
