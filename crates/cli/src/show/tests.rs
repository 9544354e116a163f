//! Conversations as they are printed.

use luthien_record::history::{Annotation, Conversation, Message, MessageType, Turn};
use luthien_record::model::{Decision, Evaluation, Status, TransactionId};
use luthien_record::store::{TransactionDetail, UpstreamRequest};
use luthien_wire::Dialect;
use serde_json::{Map, json};

use super::*;

const CALL: &str = "0199a1b2-0000-7000-8000-000000000001";

fn look(width: usize) -> Look {
    Look { zone: TimeZone::UTC, width, palette: Palette::plain() }
}

fn message(message_type: MessageType, content: &str) -> Message {
    Message {
        message_type,
        content: content.to_owned(),
        tool_name: None,
        tool_call_id: None,
        tool_input: None,
        is_error: None,
    }
}

fn tool(command: &str) -> Message {
    Message {
        tool_name: Some("Bash".to_owned()),
        tool_input: Some(json!({"command": command})),
        ..message(MessageType::ToolCall, "")
    }
}

fn turn(request: Vec<Message>, response: Vec<Message>) -> Turn {
    Turn {
        call_id: CALL.to_owned(),
        timestamp: "2026-11-20T10:05:09Z".parse().unwrap(),
        user_id: None,
        model: "claude-opus-5-5".to_owned(),
        request_messages: request,
        response_messages: response,
        annotations: Vec::new(),
        had_policy_intervention: false,
        request_was_modified: false,
        response_was_modified: false,
        original_request_messages: None,
        original_response_messages: None,
        request_params: Map::new(),
        new_from: 0,
        status: Status::Completed,
        error: None,
    }
}

#[test]
fn an_answer_that_never_came_was_not_changed() {
    let mut failed =
        turn(vec![message(MessageType::User, "hi")], vec![message(MessageType::Unknown, "cannot reach it")]);
    failed.status = Status::UpstreamError;
    failed.error = Some("cannot reach it".to_owned());
    failed.response_was_modified = true;
    failed.original_response_messages = Some(Vec::new());
    let shown = turn::conversation(&conversation(vec![failed]), 1, &[], &look(80));
    assert!(shown.contains("the upstream refused or failed: cannot reach it\n"), "{shown}");
    assert_eq!(shown.matches("cannot reach it").count(), 1, "{shown}");
}

fn conversation(turns: Vec<Turn>) -> Conversation {
    Conversation {
        session_id: "a1b2".to_owned(),
        first_timestamp: "2026-11-20T10:05:09Z".parse().unwrap(),
        last_timestamp: "2026-11-20T10:05:09Z".parse().unwrap(),
        user_labels: std::collections::BTreeMap::new(),
        user_ids: Vec::new(),
        turns,
        total_policy_interventions: 0,
        models_used: Vec::new(),
    }
}

fn call(decisions: Vec<Decision>) -> TransactionDetail {
    TransactionDetail {
        id: TransactionId(CALL.parse().unwrap()),
        session_id: "a1b2".to_owned(),
        at: "2026-11-20T10:05:09Z".parse().unwrap(),
        first_byte: None,
        ended: "2026-11-20T10:05:10Z".parse().unwrap(),
        dialect: Dialect::Messages,
        path: "/v1/messages".to_owned(),
        turn: true,
        user_id: None,
        model: "claude-opus-5-5".to_owned(),
        streamed: true,
        policy: "tool_call_judge".to_owned(),
        status: Status::Completed,
        http_status: Some(200),
        error: None,
        evaluation: Evaluation::Intervened,
        request: "{\"a\":1}".into(),
        edited_request: None,
        upstream_request: None,
        upstream_status: Some(200),
        upstream_headers: Vec::new(),
        upstream_response: "event: x\n\n".into(),
        own_response: Some("event: \u{1b}[2J\n\n".into()),
        decisions,
        events: Vec::new(),
        identities: Vec::new(),
    }
}

fn blocked() -> Decision {
    Decision {
        policy: "tool_call_judge".to_owned(),
        target: json!({"kind": "tool_call", "id": "toolu_1", "name": "Bash"}),
        action: "block".to_owned(),
        mode: "enforce".to_owned(),
        failed: false,
        score: Some(0.97),
        reason: Some("deletes the\nhome folder".to_owned()),
        micros: 431_000,
    }
}

#[test]
fn a_turn_shows_what_is_new_in_it() {
    let request = vec![message(MessageType::User, "old"), message(MessageType::User, "list\u{1b}[31m files")];
    let mut shown = turn(request, vec![message(MessageType::Assistant, "I will."), tool("ls\n-l")]);
    shown.new_from = 1;
    let text = turn::conversation(&conversation(vec![shown]), 1, &[], &look(80));
    let expected = [
        "Session a1b2",
        "",
        "── 1. 2026-11-20 10:05:09 · claude-opus-5-5 0199a1b2-0000-7000-8000-000000000001",
        "user      list\u{241b}[31m files",
        "model     I will.",
        "calls     Bash command: ls",
        "          -l",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_changed_answer_stands_beside_its_original() {
    let mut shown = turn(Vec::new(), vec![message(MessageType::Assistant, "[Blocked]")]);
    shown.response_was_modified = true;
    shown.original_response_messages = Some(vec![tool("rm -rf ~")]);
    let text = turn::conversation(&conversation(vec![shown]), 2, &[call(vec![blocked()])], &look(80));
    assert!(text.contains("── 2. "), "{text}");
    let lines: Vec<&str> = text.lines().skip(3).collect();
    let expected = [
        "the answer was changed:",
        "- calls: Bash command: rm -rf ~",
        "+ model: [Blocked]",
        "\u{2716} blocked the call of Bash (tool_call_judge, score 0.97, 431 ms)",
        "  deletes the\u{23ce}home folder",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn long_instructions_are_cut() {
    let system = message(MessageType::System, "1\n2\n3\n4\n5\n6");
    let text = turn::conversation(&conversation(vec![turn(vec![system], Vec::new())]), 1, &[], &look(80));
    let lines: Vec<&str> = text.lines().skip(5).collect();
    assert_eq!(lines, ["          3", "          4", "          … 2 more lines; --json has all"]);
}

#[test]
fn what_went_wrong_is_said() {
    let mut shown = turn(Vec::new(), Vec::new());
    shown.status = Status::UpstreamBroken;
    shown.error = Some("ended in the middle".to_owned());
    let text = turn::conversation(&conversation(vec![shown]), 1, &[], &look(80));
    assert!(text.contains("\nthe upstream broke off: ended in the middle\n"), "{text}");
}

#[test]
fn raw_bodies_are_made_safe() {
    let text = raw::bodies(&call(Vec::new()));
    let expected = "=== request of the client, 7 bytes\n{\"a\":1}\n\n\
                    === request to the upstream: none was sent\n\n\
                    === response of the upstream, 10 bytes\nevent: x\n\n\n\
                    === response to the client, 13 bytes\nevent: \u{241b}[2J\n\n\n";
    assert_eq!(text, expected);
}

#[test]
fn what_the_gateway_did_by_itself_is_told() {
    let mut shown = turn(Vec::new(), vec![message(MessageType::Assistant, "hi")]);
    let note = |policy: &str, summary: &str| Annotation {
        policy_name: policy.to_owned(),
        event_type: "x".to_owned(),
        summary: summary.to_owned(),
        details: json!({}),
    };
    shown.annotations = vec![note("judge", "not here"), note("gateway", "converted from responses to\nmessages")];
    let text = turn::conversation(&conversation(vec![shown]), 1, &[], &look(80));
    assert_eq!(text.lines().last(), Some("converted from responses to\u{23ce}messages"));
}

#[test]
fn bodies_of_another_dialect_say_so() {
    let mut converted = call(Vec::new());
    let (upstream, method, url) = ("up".to_owned(), "POST".to_owned(), "http://up".to_owned());
    let sent = UpstreamRequest { upstream, method, url, dialect: Dialect::Chat, body: "{}".into() };
    converted.upstream_request = Some(sent);
    let text = raw::bodies(&converted);
    assert!(text.contains("=== request to the upstream (in chat), 2 bytes\n{}\n"), "{text}");
    assert!(text.contains("=== response of the upstream (in chat), 10 bytes\n"), "{text}");
}
