//! What the vendor keeps cannot be used to get round a block (W-11).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use luthien_policy::judge::JudgeRoute;
use luthien_record::model::{Evaluation, Status};
use luthien_testkit::accumulate::accumulate_responses;
use luthien_testkit::client::{Exchange, get, post};
use luthien_testkit::{Answer, Asked, Play, Reply, Script};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::policies::{Judged, with_judge};
use crate::support::{KEY, Rig, id};

async fn judged(script: impl Into<Script>) -> Rig {
    Rig::with(script, vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |_| {}).await
}

/// A call that the judge calls bad, after one that nobody asks about in these tests.
fn dangerous() -> Answer {
    Answer::text("Let me see.").call_with_id("call_1", "run", &json!({"command": "rm -rf /secret"}))
}

async fn text(exchange: Exchange) -> String {
    String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap()
}

/// Asks for a turn; gives the id of the response as the client sees it.
async fn respond(rig: &Rig, body: &Value) -> String {
    let exchange = rig.ask("/v1/responses", body).await;
    assert_eq!(exchange.status, 200);
    let bytes = exchange.rest().await.unwrap();
    let whole = if body["stream"] == true {
        accumulate_responses(&bytes).unwrap()
    } else {
        serde_json::from_slice(&bytes).unwrap()
    };
    assert!(!whole.to_string().contains("secret"), "{whole}");
    whole["id"].as_str().unwrap().to_owned()
}

/// What the upstream was last asked, judges apart.
fn last_asked(rig: &Rig) -> luthien_testkit::Recorded {
    rig.upstream.turns().into_iter().rfind(|turn| turn.json()["model"] != "judge").unwrap()
}

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test]
async fn a_blocked_call_gets_an_output_in_the_next_turn(#[case] stream: bool) {
    let rig = judged(with_judge("bad", dangerous())).await;
    let response = respond(&rig, &json!({"model": "m", "stream": stream, "input": "clean up"})).await;

    let rest = format!("\"model\":\"m\", \"previous_response_id\":\"{response}\",\"x\":1.0}}");
    let exchange = post(&rig.url("/v1/responses"), &[KEY], format!("{{\"input\":\"go on\",{rest}")).await.unwrap();
    let id = id(&exchange);
    exchange.rest().await.unwrap();
    let asked = String::from_utf8(last_asked(&rig).body.to_vec()).unwrap();
    // Every byte but the input's is the client's.
    let input = asked.strip_prefix("{\"input\":").and_then(|asked| asked.strip_suffix(&format!(",{rest}"))).unwrap();
    let input: Value = serde_json::from_str(input).unwrap();
    assert_eq!((&input[0]["type"], &input[0]["call_id"]), (&json!("function_call_output"), &json!("call_1")));
    assert!(input[0]["output"].as_str().unwrap().contains("blocked by policy"));
    assert_eq!(input[1], json!({"type": "message", "role": "user", "content": "go on"}));
    let record = rig.record(&id).await;
    let event = record.events.iter().find(|event| event.event_type == "transaction.calls_answered").unwrap();
    assert_eq!(event.data, json!({"previous_response_id": response, "calls": ["call_1"]}));
    rig.stop().await;
}

#[tokio::test]
async fn a_blocked_call_in_a_conversation_of_the_vendors_is_answered_until_the_vendor_has_taken_it() {
    let answer = |number: u64, item: Value| {
        let conversation = json!({"id": "conv_1"});
        let id = format!("resp_{number}");
        json!({"id": id, "object": "response", "status": "completed", "model": "m", "conversation": conversation, "output": [item]})
    };
    let call = json!({"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "run", "arguments": "{}", "status": "completed"});
    let said = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Well.", "annotations": []}]});
    let plays = [
        Play::from(Reply::json(200, &answer(0, call))),
        Play::from(Answer::text("bad")),
        Play::from(Reply::error(Dialect::Responses, 429, "rate_limit_exceeded", "Wait.")),
        Play::from(Reply::json(200, &answer(1, said.clone()))),
        Play::from(Reply::json(200, &answer(2, said))),
    ];
    let rig = judged(Script::in_turn(plays)).await;
    let count = json!({"model": "m", "conversation": "conv_1", "input": "how much?"});
    let body = json!({"model": "m", "conversation": "conv_1", "input": [{"role": "user", "content": "hi"}]});
    let mut inputs = Vec::new();
    for _ in 0..4 {
        rig.ask("/v1/responses", &body).await.rest().await.unwrap();
        inputs.push(last_asked(&rig).json()["input"].as_array().unwrap().len());
        // Counting closes nothing.
        rig.ask("/v1/responses/input_tokens", &count).await.rest().await.unwrap();
    }
    // The first has the call, the second is refused, the third goes through, and the fourth finds nothing open.
    assert_eq!(inputs, [1, 2, 2, 1]);
    rig.stop().await;
}

#[tokio::test]
async fn other_callers_and_unknown_responses_pass_as_they_are() {
    let rig = judged(with_judge("bad", dangerous())).await;
    let response = respond(&rig, &json!({"model": "m", "input": "clean up"})).await;
    for (key, previous) in [(("x-api-key", "sk-another"), response.as_str()), (KEY, "resp_unknown")] {
        let body = json!({"model": "m", "input": "go on", "previous_response_id": previous}).to_string();
        post(&rig.url("/v1/responses"), &[key], body.clone()).await.unwrap().rest().await.unwrap();
        assert_eq!(last_asked(&rig).body, body);
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_passed_needs_no_output() {
    let rig = judged(with_judge("good", Answer::tool("run", &json!({"command": "ls"})))).await;
    let response = respond(&rig, &json!({"model": "m", "stream": true, "input": "list"})).await;
    let body = json!({"model": "m", "input": "go on", "previous_response_id": response});
    rig.ask("/v1/responses", &body).await.rest().await.unwrap();
    assert_eq!(last_asked(&rig).json(), body);
    rig.stop().await;
}

#[tokio::test]
async fn a_stored_response_is_reviewed_when_it_is_read() {
    let rig = judged(with_judge("bad", dangerous())).await;
    for (stream, name, query) in [(false, "resp_kept", ""), (true, "resp_other", "?stream=true")] {
        let bytes = dangerous().bytes(&asked(stream));
        let reply = if stream { Reply::stream(&bytes) } else { Reply::whole(200, "application/json", bytes) };
        rig.upstream.store(name, &reply);
        let exchange = get(&rig.url(&format!("/v1/responses/{name}{query}")), &[KEY]).await.unwrap();
        assert_eq!(exchange.status, 200);
        let id = id(&exchange);
        let body = text(exchange).await;
        assert!(body.contains("[Blocked by the judge.]") && !body.contains("secret"), "{body}");
        let record = rig.record(&id).await;
        assert_eq!((record.evaluation, record.turn), (Evaluation::Intervened, false));
    }
    let exchange = get(&rig.url("/v1/responses/resp_new?stream=true&starting_after=3"), &[KEY]).await.unwrap();
    assert_eq!(exchange.status, 400);
    assert!(text(exchange).await.contains("starting_after"));
    rig.stop().await;
}

fn asked(stream: bool) -> Asked {
    let body = json!({"model": "m", "stream": stream, "input": "clean up"}).to_string();
    Asked::new(0, Dialect::Responses, Vec::new(), body.into()).unwrap()
}

/// A judge whose word changes to `good`, once told to.
fn lenient_later(answer: fn() -> Answer) -> (Script, Arc<AtomicBool>) {
    let lenient = Arc::new(AtomicBool::new(false));
    let mood = Arc::clone(&lenient);
    let script = Script::new(move |asked: &Asked| {
        let word = if mood.load(Ordering::Relaxed) { "good" } else { "bad" };
        if asked.model() == "judge" { Answer::text(word) } else { answer() }
    });
    (script, lenient)
}

/// Reads it in each way; all have to be refused, whoever asks.
async fn is_handed_to_nobody(rig: &Rig, response: &str) {
    let name = |id: &str| format!("/v1/responses/{id}");
    let bearer = |key: &'static str| [("authorization", key), ("x-anthropic-api-key", KEY.1)];
    for query in ["", "?stream=true", "?include[]=x"] {
        for headers in [&[KEY][..], &bearer("Bearer junk1"), &bearer("Bearer junk2"), &[("x-api-key", "sk-another")]] {
            let exchange = get(&rig.url(&format!("{}{query}", name(response))), headers).await.unwrap();
            assert_eq!(exchange.status, 400, "{query} {headers:?}");
            let id = id(&exchange);
            let body = text(exchange).await;
            assert!(body.contains("policy_blocked") && !body.contains("secret"), "{body}");
            assert_eq!(rig.record(&id).await.evaluation, Evaluation::Intervened);
        }
    }
    let exchange = post(&rig.url(&format!("{}/cancel", name(response))), &[KEY], "").await.unwrap();
    assert_eq!(exchange.status, 400);
    for odd in [response.replace('_', "%5F"), format!("{response};x")] {
        let exchange = get(&rig.url(&format!("{}?stream=true", name(&odd))), &[KEY]).await.unwrap();
        assert_eq!(exchange.status, 404);
    }
}

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test]
async fn a_judge_who_is_asked_again_gives_no_second_chance(#[case] stream: bool) {
    let (script, lenient) = lenient_later(dangerous);
    let rig = judged(script).await;
    let response = respond(&rig, &json!({"model": "m", "stream": stream, "input": "clean up"})).await;
    lenient.store(true, Ordering::Relaxed);
    is_handed_to_nobody(&rig, &response).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_read_that_was_judged_is_judged_for_good() {
    let (script, lenient) = lenient_later(dangerous);
    let rig = judged(script).await;
    rig.upstream.store("resp_kept", &Reply::whole(200, "application/json", dangerous().bytes(&asked(false))));
    let exchange = get(&rig.url("/v1/responses/resp_kept"), &[KEY]).await.unwrap();
    assert_eq!(exchange.status, 200);
    assert!(!text(exchange).await.contains("secret"));
    lenient.store(true, Ordering::Relaxed);
    is_handed_to_nobody(&rig, "resp_kept").await;
    rig.stop().await;
}

#[tokio::test]
async fn while_a_verdict_is_out_nobody_reads_the_response() {
    let script =
        Script::new(
            |asked: &Asked| {
                if asked.model() == "judge" { Play::from(Reply::hang()) } else { Play::from(dangerous()) }
            },
        );
    let rig = judged(script).await;
    let body = json!({"model": "m", "stream": true, "input": "clean up"}).to_string();
    let mut turn = post(&rig.url("/v1/responses"), &[KEY], body).await.unwrap();
    let created = turn.frame().await.unwrap().unwrap();
    let created: Value = serde_json::from_slice(&created.data.unwrap()).unwrap();
    let response = created["response"]["id"].as_str().unwrap();
    rig.upstream.wait_for(2).await;
    for query in ["", "?stream=true"] {
        let exchange = get(&rig.url(&format!("/v1/responses/{response}{query}")), &[KEY]).await.unwrap();
        assert_eq!((exchange.status, exchange.header("x-should-retry")), (409, None));
        assert!(text(exchange).await.contains("conflict_error"));
    }
    assert_eq!(rig.upstream.requests().len(), 2, "nobody has been asked");
    drop(turn);
    rig.stop().await;
}

#[tokio::test]
async fn a_read_whose_client_goes_before_the_verdict_is_recorded_as_not_evaluated() {
    let script = Script::always(Reply::hang());
    let rig = judged(script).await;
    rig.upstream.store("resp_kept", &Reply::whole(200, "application/json", dangerous().bytes(&asked(false))));
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    let head = "GET /v1/responses/resp_kept HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    // The response, and the judge's question.
    rig.upstream.wait_for(2).await;
    drop(client);
    let record = rig.only_record().await;
    assert_eq!((record.status, record.evaluation), (Status::ClientDisconnected, Evaluation::NotEvaluated));
    rig.stop().await;
}

#[tokio::test]
async fn what_passed_is_read_as_it_is_as_often_as_one_likes() {
    let rig = judged(with_judge("good", Answer::tool("run", &json!({"command": "ls"})))).await;
    let response = respond(&rig, &json!({"model": "m", "stream": true, "input": "list"})).await;
    for _ in 0..2 {
        let exchange = get(&rig.url(&format!("/v1/responses/{response}")), &[KEY]).await.unwrap();
        assert_eq!(exchange.status, 200);
        assert!(text(exchange).await.contains("ls"));
    }
    rig.stop().await;
}

#[tokio::test]
async fn input_items_are_refused_where_a_policy_watches_answers() {
    let rig = judged(with_judge("good", Answer::text("hello"))).await;
    let response = respond(&rig, &json!({"model": "m", "input": "hi"})).await;
    let exchange = get(&rig.url(&format!("/v1/responses/{response}/input_items")), &[KEY]).await.unwrap();
    assert_eq!(exchange.status, 403);
    assert!(text(exchange).await.contains("ALLOWED_PATHS"));
    rig.stop().await;
    let rig = Rig::with(Answer::text("hello"), Vec::new(), |_| {}).await;
    let response = respond(&rig, &json!({"model": "m", "input": "hi"})).await;
    let exchange = get(&rig.url(&format!("/v1/responses/{response}/input_items")), &[KEY]).await.unwrap();
    assert_eq!(exchange.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn the_operators_list_lets_input_items_through_unseen() {
    let allow = |config: &mut luthien_gateway::config::GatewayConfig| {
        config.allowed_paths = vec!["/v1/responses/*".to_owned()];
    };
    let script = with_judge("bad", Answer::text("hello"));
    let rig = Rig::with(script, vec![Arc::new(Judged(JudgeRoute::UserCredentials))], allow).await;
    let called = json!({"id": "fc_1", "type": "function_call", "call_id": "c", "name": "run", "arguments": "{}"});
    let response = respond(&rig, &json!({"model": "m", "input": [called]})).await;
    let exchange = get(&rig.url(&format!("/v1/responses/{response}/input_items")), &[KEY]).await.unwrap();
    assert_eq!(exchange.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn a_compacted_conversation_is_reviewed_as_an_answer() {
    let rig = judged(with_judge("bad", Answer::text("unused"))).await;
    let content = json!([{"type": "input_text", "text": "hi"}]);
    let body = json!({"model": "m", "input": [{"type": "message", "role": "user", "content": content}]});
    let exchange = rig.ask("/v1/responses/compact", &body).await;
    assert_eq!(exchange.status, 200);
    let id = id(&exchange);
    let answer: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(answer["object"], "response.compaction");
    assert_eq!(rig.record(&id).await.evaluation, Evaluation::Passed);
    rig.stop().await;
}

#[tokio::test]
async fn a_judge_is_asked_in_the_callers_form_and_its_question_is_not_kept() {
    let rig = judged(with_judge("good", Answer::tool("run", &json!({"command": "ls"})))).await;
    let exchange = rig.ask("/v1/responses", &json!({"model": "m", "stream": true, "input": "hi"})).await;
    accumulate_responses(&exchange.rest().await.unwrap()).unwrap();
    let asked = rig.upstream.turns().pop().unwrap();
    assert_eq!((asked.path.as_str(), asked.header("x-api-key")), ("/v1/responses", Some(KEY.1)));
    let question = asked.json();
    assert_eq!((&question["model"], &question["store"]), (&json!("judge"), &json!(false)));
    assert_eq!(question["instructions"], "Is it bad?");
    rig.stop().await;
}
