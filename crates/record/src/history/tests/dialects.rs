//! Responses conversations, and answers of an upstream that speaks another dialect.

use bytes::Bytes;
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use super::{assistant, calling, contents, user};
use crate::history::{Conversation, MessageType, call, diff, session};
use crate::model::{Event, Start};
use crate::recorder::{InFlight, Recorder, SentRequest};
use crate::store::SessionFilter;
use crate::testing::{Db, answer, answered, end, id, messages, recorder_on, second, start};

fn asked(items: &[Value]) -> Bytes {
    let developer =
        json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "You are Codex."}]});
    let context = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>\n</environment_context>"}]});
    let input: Vec<_> = [developer, context].iter().chain(items).cloned().collect();
    json!({"model": "gpt-5", "instructions": "be kind", "input": input, "tools": [{}], "store": false})
        .to_string()
        .into()
}

fn of_codex(number: u32, request: Bytes) -> Start {
    Start {
        dialect: Dialect::Responses,
        path: "/v1/responses".into(),
        streamed: true,
        ..start(number, Some("s"), request)
    }
}

fn ask(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
}

fn item(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn function_call(command: &str) -> Value {
    let arguments = json!({"command": command}).to_string();
    json!({"type": "function_call", "id": "fc_1", "call_id": "toolu_1", "name": "Bash", "arguments": arguments, "status": "completed"})
}

/// A stream of these items.
fn stream(items: &[Value], ended: bool) -> Vec<u8> {
    let response = |status: &str, output: &[Value]| json!({"id": "resp_1", "object": "response", "model": "gpt-5", "status": status, "output": output, "usage": null, "error": null});
    let mut events = vec![json!({"type": "response.created", "response": response("in_progress", &[])})];
    for (index, item) in items.iter().enumerate() {
        if item["type"] == "reasoning" {
            let (id, text) = (&item["id"], &item["summary"][0]["text"]);
            let begun = json!({"type": "reasoning", "id": id, "summary": []});
            events.push(json!({"type": "response.output_item.added", "output_index": index, "item": begun}));
            events.push(json!({"type": "response.reasoning_summary_text.delta", "item_id": id, "output_index": index, "summary_index": 0, "delta": text}));
        } else {
            events.push(json!({"type": "response.output_item.added", "output_index": index, "item": item}));
        }
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }
    if ended {
        events.push(json!({"type": "response.completed", "response": response("completed", items)}));
    }
    let numbered = events.iter().enumerate().map(|(number, event)| {
        let mut event = event.clone();
        event["sequence_number"] = number.into();
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"))
    });
    numbered.collect::<String>().into_bytes()
}

async fn shown(recorder: &Recorder) -> Conversation {
    session(recorder.store(), "s").await.expect("a query").expect("a session")
}

/// The titles of all sessions.
async fn titles(recorder: &Recorder) -> Vec<Option<String>> {
    let filter = SessionFilter { limit: 9, ..SessionFilter::default() };
    let page = recorder.store().sessions(&filter).await.expect("a query");
    page.sessions.into_iter().map(|session| session.preview).collect()
}

/// A Codex transaction that an Anthropic upstream answers.
fn converted(recorder: &Recorder, number: u32, edited: &Bytes, came: &[u8], went: &[u8]) -> InFlight {
    let flight = recorder.begin(of_codex(number, asked(&[ask("my key is 123")]))).expect("begun");
    let body = messages(&[user("my key is ***"), assistant("merged by conversion")]);
    let (upstream, method, url) = ("anthropic", "POST", "http://up/v1/messages");
    flight.upstream_request(&SentRequest { upstream, method, url, dialect: Dialect::Messages, edited, body: &body });
    flight.upstream_response(200, Vec::new());
    flight.upstream_bytes(came);
    flight.client_bytes(went);
    flight
}

#[rstest]
#[tokio::test]
async fn a_codex_session_is_shown_turn_by_turn(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let first = [ask("fix it")];
    let answer = stream(
        &[
            json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}),
            function_call("ls"),
        ],
        true,
    );
    answered(&recorder, of_codex(1, asked(&first)), &answer).finish(end(1));
    // On its way back an item may lose its id and status.
    let output = json!({"type": "function_call_output", "call_id": "toolu_1", "output": "a.txt"});
    let mut call = function_call("ls");
    call.as_object_mut().expect("an item").retain(|key, _| key != "id" && key != "status");
    let thought = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "content": null});
    let second_turn = [ask("fix it"), thought, call, output];
    answered(&recorder, of_codex(2, asked(&second_turn)), &stream(&[item("done")], true)).finish(end(2));
    recorder.settled().await;

    let shown = shown(&recorder).await;
    let [one, two] = &shown.turns[..] else { panic!("two turns") };
    let expected = [
        (MessageType::System, "be kind"),
        (MessageType::System, "You are Codex."),
        (MessageType::User, "<environment_context>\n</environment_context>"),
        (MessageType::User, "fix it"),
    ];
    assert_eq!(contents(&one.request_messages), expected);
    let calls = [(MessageType::Unknown, "hm"), (MessageType::ToolCall, r#"{"command":"ls"}"#)];
    assert_eq!(contents(&one.response_messages), calls);
    assert_eq!(one.response_messages[1].tool_call_id.as_deref(), Some("toolu_1"));
    assert_eq!(one.request_params.keys().collect::<Vec<_>>(), ["model", "store"]);
    assert_eq!(contents(&two.request_messages[two.new_from..]), [(MessageType::ToolResult, "a.txt")]);
    assert_eq!(contents(&two.response_messages), [(MessageType::Assistant, "done")]);

    assert_eq!(titles(&recorder).await, [Some("fix it".to_owned())]);
}

#[rstest]
#[tokio::test]
async fn items_are_the_same_without_what_the_vendor_added(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let bare = json!({"role": "assistant", "content": "done"});
    let mut call = function_call("ls");
    answered(&recorder, of_codex(1, asked(&[item("done"), call.clone()])), b"").finish(end(1));
    call.as_object_mut().expect("an item").retain(|key, _| key != "id" && key != "status");
    answered(&recorder, of_codex(2, asked(&[bare, call])), b"").finish(end(2));
    answered(&recorder, of_codex(3, asked(&[item("done"), function_call("rm")])), b"").finish(end(3));
    recorder.settled().await;
    let session = recorder.store().session("s").await.expect("a query").expect("a session");
    let identities: Vec<_> = session.transactions.iter().map(|call| &call.identities).collect();
    assert_eq!((identities[0].len(), identities[0]), (4, identities[1]));
    assert_eq!(identities[0][..3], identities[2][..3]);
    assert_ne!(identities[0][3], identities[2][3]);
}

#[rstest]
#[tokio::test]
async fn a_string_is_the_users_message(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let request = json!({"model": "gpt-5", "input": "fix it"}).to_string();
    answered(&recorder, of_codex(1, request.into()), &stream(&[item("done")], true)).finish(end(1));
    recorder.settled().await;
    let turn = shown(&recorder).await.turns.remove(0);
    assert_eq!((contents(&turn.request_messages), turn.new_from), (vec![(MessageType::User, "fix it")], 0));
    assert_eq!(titles(&recorder).await, [Some("fix it".to_owned())]);
}

#[rstest]
#[tokio::test]
async fn a_streamed_response_is_recorded_as_the_one_it_brings(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let items = [item("well"), function_call("ls")];
    answered(&recorder, of_codex(1, asked(&[])), &stream(&items, true)).finish(end(1));
    answered(&recorder, of_codex(2, asked(&[])), &stream(&items, false)).finish(end(2));
    recorder.settled().await;
    let mut responses = Vec::new();
    for number in [1, 2] {
        let shown = call(recorder.store(), id(number)).await.expect("a query").expect("a call");
        let recorded = shown.events.into_iter().find(|event| event.event_type.ends_with("response_recorded"));
        responses.push(recorded.expect("recorded").payload["final_response"].clone());
    }
    assert_eq!((&responses[0]["id"], &responses[0]["output"]), (&json!("resp_1"), &json!(items)));
    let cut = &responses[1];
    assert_eq!((&cut["object"], &cut["model"], &cut["status"]), (&json!("response"), &json!("gpt-5"), &Value::Null));
    assert_eq!(cut["output"][0]["content"][0]["text"], "well");
    assert_eq!((&cut["output"][1]["name"], &cut["output"][1]["call_id"]), (&json!("Bash"), &json!("toolu_1")));
}

#[rstest]
#[tokio::test]
async fn what_was_only_converted_is_no_change(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let went = stream(&[item("I will."), function_call("ls")], true);
    let flight = converted(&recorder, 1, &asked(&[ask("my key is 123")]), &calling("I will.", "ls"), &went);
    let data = json!({"upstream": "anthropic", "from": "responses", "to": "messages", "dropped": ["tools[1]", "store"], "added": ["messages[2] ([go on])"]});
    flight.event(Event { event_type: "transaction.converted".into(), at: second(1), data });
    flight.finish(end(1));
    recorder.settled().await;

    let shown = shown(&recorder).await;
    let turn = &shown.turns[0];
    assert!(!turn.request_was_modified && !turn.response_was_modified);
    assert_eq!((&turn.original_request_messages, &turn.original_response_messages), (&None, &None));
    assert_eq!(contents(&turn.request_messages)[3], (MessageType::User, "my key is 123"));
    let note = &turn.annotations[0];
    let told = "converted from responses to messages; left out: tools[1], store; put in: messages[2] ([go on])";
    assert_eq!((note.policy_name.as_str(), note.summary.as_str()), ("gateway", told));
    let text = super::exports::pieces(&recorder, "s", crate::history::Format::Markdown).await.concat();
    assert!(text.contains("> Gateway: converted from responses to messages"), "{text}");

    let compared = diff(recorder.store(), id(1)).await.expect("a query").expect("a call");
    assert_eq!(compared.blocks.iter().map(|block| block.change).collect::<Vec<_>>(), ["unchanged", "unchanged"]);
    assert!(!compared.response.content_changed && !compared.response.finish_reason_changed);
    assert!(compared.request.messages.iter().all(|message| !message.changed));
    assert_eq!(compared.request.final_model.as_deref(), Some("claude-x"));
    assert!(compared.request.model_changed);

    let told = call(recorder.store(), id(1)).await.expect("a query").expect("a call");
    let sent = told.events.iter().find(|event| event.event_type == "pipeline.backend_request").expect("sent");
    assert_eq!((&sent.payload["dialect"], &sent.payload["body"]["max_tokens"]), (&json!("messages"), &json!(1024)));
    let recorded = told.events.iter().find(|event| event.event_type.ends_with("response_recorded")).expect("recorded");
    assert_eq!(recorded.payload["original_response"]["content"][1]["name"], "Bash");
    assert_eq!(recorded.payload["final_response"]["output"][1]["name"], "Bash");
}

#[rstest]
#[tokio::test]
async fn what_policies_changed_beside_the_conversion_is_shown(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let went = stream(&[item("I will. It was blocked.")], true);
    converted(&recorder, 1, &asked(&[ask("my key is ***")]), &calling("I will.", "rm -rf /"), &went).finish(end(1));
    recorder.settled().await;
    let turn = shown(&recorder).await.turns.remove(0);
    assert!(turn.request_was_modified && turn.response_was_modified);
    assert_eq!(contents(&turn.request_messages)[3], (MessageType::User, "my key is ***"));
    let original = turn.original_request_messages.expect("the original");
    assert_eq!(contents(&original)[3], (MessageType::User, "my key is 123"));
    let original = turn.original_response_messages.expect("the original");
    assert_eq!(original[1].content, r#"{"command":"rm -rf /"}"#);

    let compared = diff(recorder.store(), id(1)).await.expect("a query").expect("a call");
    assert_eq!(compared.blocks.iter().map(|block| block.change).collect::<Vec<_>>(), ["changed", "removed"]);
    let changed: Vec<_> = compared.request.messages.iter().map(|message| message.changed).collect();
    assert_eq!(changed, [false, false, false, true]);
}

#[rstest]
#[tokio::test]
async fn free_text_for_a_tool_is_the_same_in_both_dialects(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let patch = json!({"type": "custom_tool_call", "call_id": "toolu_1", "name": "apply_patch", "input": "*** Begin"});
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "one"}, {"type": "text", "text": "two"},
        {"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {"input": "*** Begin"}},
    ]);
    let came =
        json!({"type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "tool_use"});
    let hidden = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "e"});
    let went = stream(&[hidden, item("one"), item("two"), patch], true);
    let request = asked(&[ask("my key is 123")]);
    converted(&recorder, 1, &request, came.to_string().as_bytes(), &went).finish(end(1));
    // What the client never got is a change.
    converted(&recorder, 2, &request, &answer("hello"), b"").finish(end(2));
    recorder.settled().await;
    let turns = shown(&recorder).await.turns;
    assert_eq!((turns[0].response_was_modified, turns[1].response_was_modified), (false, true));
    let compared = diff(recorder.store(), id(1)).await.expect("a query").expect("a call");
    assert_eq!(compared.blocks.iter().map(|block| block.change).collect::<Vec<_>>(), ["unchanged"; 3]);
}
