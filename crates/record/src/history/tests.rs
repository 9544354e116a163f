//! Sessions, calls and diffs, made of recorded conversations.

use bytes::Bytes;
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::model::{Decision, End, Evaluation, Start, Status};
use crate::recorder::Recorder;
use crate::testing::{
    Db, answer, answered, decision, end, event, id, messages as body, recorder_on, second, send, start,
};

mod dialects;
mod exports;
mod lists;

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn assistant(text: &str) -> Value {
    json!({"role": "assistant", "content": [{"type": "text", "text": text}]})
}

/// An answer with a text and a call of a tool.
fn calling(text: &str, command: &str) -> Vec<u8> {
    let content = json!([{"type": "text", "text": text}, {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": command}}]);
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content, "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 1}})
    .to_string()
    .into_bytes()
}

/// A transaction in which the answer's call was blocked.
fn blocked(recorder: &Recorder, start: Start) {
    let number = u32::try_from(start.at.as_second() - second(0).as_second()).expect("small");
    let flight = answered(recorder, start, &calling("I will.", "rm -rf /"));
    flight.own_client_copy(0);
    flight.client_bytes(&answer("I will."));
    let target = json!({"kind": "tool_call", "id": "toolu_1", "name": "Bash", "block": {"choice": 0, "block": 1}});
    flight.decision(Decision { target, ..decision("tool_call_judge", "block") });
    flight.event(event("policy.judge.tool_call_blocked"));
    flight.finish(End { evaluation: Evaluation::Intervened, ..end(number) });
}

fn contents(messages: &[Message]) -> Vec<(MessageType, &str)> {
    messages.iter().map(|message| (message.message_type, message.content.as_str())).collect()
}

#[rstest]
#[tokio::test]
async fn a_conversation_is_shown_turn_by_turn(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let first = body(&[user("fix it")]);
    answered(&recorder, start(1, Some("s"), first), &answer("what?")).finish(end(1));
    let cached = json!({"role": "user", "content": [{"type": "text", "text": "fix it", "cache_control": {"type": "ephemeral"}}]});
    blocked(&recorder, start(2, Some("s"), body(&[cached, assistant("what?"), user("the bug")])));
    recorder.settled().await;

    let shown = session(recorder.store(), "s").await.expect("a query").expect("a session");
    assert_eq!((shown.first_timestamp, shown.last_timestamp), (second(1), second(3)));
    assert_eq!((shown.total_policy_interventions, &shown.models_used[..]), (1, &["claude-x".to_owned()][..]));
    let [one, two] = &shown.turns[..] else { panic!("two turns") };
    assert_eq!(contents(&one.request_messages), [(MessageType::User, "fix it")]);
    assert_eq!(contents(&one.response_messages), [(MessageType::Assistant, "what?")]);
    assert_eq!((one.new_from, one.had_policy_intervention, one.response_was_modified), (0, false, false));
    assert_eq!((&one.original_request_messages, &one.original_response_messages), (&None, &None));
    assert_eq!(one.request_params["max_tokens"], 1024);

    assert_eq!(two.request_messages.len(), 3);
    assert_eq!(two.new_from, 2);
    assert!(two.had_policy_intervention && two.response_was_modified && !two.request_was_modified);
    assert_eq!(contents(&two.response_messages), [(MessageType::Assistant, "I will.")]);
    let original = two.original_response_messages.as_ref().expect("the original");
    assert_eq!(
        contents(original),
        [(MessageType::Assistant, "I will."), (MessageType::ToolCall, r#"{"command":"rm -rf /"}"#)]
    );
    assert_eq!(original[1].tool_name.as_deref(), Some("Bash"));
    assert_eq!(original[1].tool_call_id.as_deref(), Some("toolu_1"));
    assert_eq!(original[1].tool_input, Some(json!({"command": "rm -rf /"})));
    let notes: Vec<_> = two.annotations.iter().map(|note| (note.policy_name.as_str(), note.summary.as_str())).collect();
    assert_eq!(notes, [("tool_call_judge", "block Bash: because"), ("judge", "tool call blocked")]);
    assert_eq!(session(recorder.store(), "t").await.expect("a query"), None);
}

#[rstest]
#[tokio::test]
async fn a_calls_events_are_told_in_order(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let request = body(&[user("do")]);
    blocked(&recorder, start(1, Some("s"), request.clone()));
    recorder.settled().await;
    let shown = call(recorder.store(), id(1)).await.expect("a query").expect("a call");
    let types: Vec<_> = shown.events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(
        types,
        [
            "pipeline.client_request",
            "transaction.request_recorded",
            "pipeline.backend_request",
            "policy.judge.tool_call_blocked",
            "policy.tool_call_judge.decision",
            "transaction.non_streaming_response_recorded",
            "pipeline.client_response",
        ]
    );
    let request: Value = serde_json::from_slice(&request).expect("JSON");
    assert_eq!(shown.events[1].payload["original_request"], request);
    assert_eq!(shown.events[1].payload["final_model"], "claude-x");
    assert_eq!(shown.events[5].payload["original_response"]["content"][1]["name"], "Bash");
    assert_eq!(shown.events[5].payload["final_response"]["content"].as_array().map(Vec::len), Some(1));
    assert!(shown.events.iter().all(|event| event.hook == event.event_type && event.session_id == "s"));
    let listed = calls(recorder.store(), 5).await.expect("a query");
    assert_eq!((listed.total, listed.calls[0].event_count), (1, types.len() as u64));
    assert_eq!(call(recorder.store(), id(2)).await.expect("a query"), None);
}

#[rstest]
#[tokio::test]
async fn calls_that_failed_say_how(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let refused = recorder.begin(start(1, None, "no json")).expect("begun");
    refused.finish(End { status: Status::Refused, http_status: Some(400), error: Some("not JSON".into()), ..end(1) });
    drop(answered(&recorder, start(2, None, "{}"), b""));
    recorder.settled().await;
    let types = |shown: CallDetail| shown.events.into_iter().map(|event| event.event_type).collect::<Vec<_>>();
    let refused = call(recorder.store(), id(1)).await.expect("a query").expect("a call");
    assert_eq!(refused.events.last().expect("an event").payload, json!({"status": "refused", "error": "not JSON"}));
    assert_eq!(types(refused).last().map(String::as_str), Some("transaction.failed"));
    let left = call(recorder.store(), id(2)).await.expect("a query").expect("a call");
    assert_eq!(types(left).last().map(String::as_str), Some("transaction.client_disconnected"));
    let turn =
        session(recorder.store(), &id(1).to_string()).await.expect("a query").expect("a session").turns.remove(0);
    assert_eq!(contents(&turn.request_messages), [(MessageType::Unknown, "no json")]);
}

#[rstest]
#[tokio::test]
async fn a_diff_shows_what_changed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let flight =
        answered(&recorder, start(1, None, body(&[user("my key is 123"), assistant("ok")])), &calling("I will.", "ls"));
    let sent =
        json!({"model": "other", "max_tokens": 9, "messages": [user("my key is ***"), assistant("ok")]}).to_string();
    send(&flight, "up", Dialect::Messages, &Bytes::from(sent));
    flight.upstream_bytes(&calling("I will.", "ls"));
    flight.own_client_copy(0);
    flight.client_bytes(&answer("I will."));
    flight.finish(end(1));
    recorder.settled().await;
    let shown = diff(recorder.store(), id(1)).await.expect("a query").expect("a call");
    assert!(shown.request.model_changed && shown.request.max_tokens_changed);
    assert_eq!(
        (shown.request.original_model.as_deref(), shown.request.final_model.as_deref()),
        (Some("claude-x"), Some("other"))
    );
    assert_eq!((shown.request.original_max_tokens, shown.request.final_max_tokens), (Some(1024), Some(9)));
    let changed: Vec<_> =
        shown.request.messages.iter().map(|message| (message.role.as_str(), message.changed)).collect();
    assert_eq!(changed, [("user", true), ("assistant", false)]);
    assert!(!shown.response.content_changed && shown.response.finish_reason_changed);
    assert_eq!(shown.response.original_finish_reason.as_deref(), Some("tool_use"));
    let blocks: Vec<_> = shown.blocks.iter().map(|block| block.change).collect();
    assert_eq!(blocks, ["unchanged", "removed"]);
    assert_eq!(shown.blocks[1].original.as_ref().map(|block| block["name"].clone()), Some(json!("Bash")));
    assert_eq!(shown.blocks[1].last, None);
}

#[rstest]
#[tokio::test]
async fn streams_are_read_like_whole_answers(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let chat = Start { dialect: Dialect::Chat, streamed: true, ..start(1, Some("s"), body(&[user("do")])) };
    let stream = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"he\"},\"finish_reason\":null}]}\n\n\
        data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"},\"finish_reason\":null}]}\n\n\
        data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
        data: [DONE]\n\n";
    answered(&recorder, chat, stream).finish(end(1));
    recorder.settled().await;
    let turn = session(recorder.store(), "s").await.expect("a query").expect("a session").turns.remove(0);
    assert_eq!(contents(&turn.response_messages), [(MessageType::Assistant, "hello")]);
    let shown = call(recorder.store(), id(1)).await.expect("a query").expect("a call");
    let recorded = shown
        .events
        .iter()
        .find(|event| event.event_type == "transaction.streaming_response_recorded")
        .expect("recorded");
    assert_eq!(recorded.payload["final_response"]["choices"][0]["message"]["content"], "hello");
    assert_eq!(recorded.payload["final_response"]["choices"][0]["finish_reason"], "stop");
}
