//! What notifications say, exactly, and that they are as the written schema has it.

use std::path::Path;

use bytes::Bytes;
use luthien_record::model::{Evaluation, Status, TransactionId};
use luthien_wire::Dialect;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::notify::Kind;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn outline(session: &str, reason: &str) -> Outline {
    let decision = Decision {
        policy: "guard".to_owned(),
        target: json!({"kind": "tool_call", "name": "Bash"}),
        action: "block".to_owned(),
        mode: "enforce".to_owned(),
        failed: false,
        score: None,
        reason: Some(reason.to_owned()),
        micros: 7,
    };
    Outline {
        start: Start {
            id: TransactionId(Uuid::from_u128(1)),
            at: at(10),
            dialect: Dialect::Messages,
            path: "/v1/messages".to_owned(),
            conversation: true,
            session_id: Some(session.to_owned()),
            user_id: None,
            credential: Some([1; 16]),
            model: "m".to_owned(),
            streamed: true,
            request: Bytes::new(),
            policy: "guard; version=1".to_owned(),
        },
        upstream: Some("anthropic".to_owned()),
        first_byte: Some(at(11)),
        decisions: vec![decision],
        decisions_left_out: 2,
    }
}

fn told(kind: Kind, about: About, data: Value) -> Value {
    let notice = Notice { kind, at: at(12), text: "words".to_owned(), about, data };
    let notice = crate::notify::bounds::bounded(notice, &Redactor::default());
    let letter = letter(notice, "the-id".to_owned(), "http://gateway:8000", &Redactor::default());
    assert_eq!((letter.id.as_str(), letter.kind), ("the-id", kind.name()));
    serde_json::from_slice(&letter.body).unwrap()
}

fn ended(outline: Outline) -> About {
    let end = End {
        at: at(12),
        status: Status::Completed,
        http_status: Some(200),
        error: None,
        evaluation: Evaluation::Intervened,
    };
    About::Ended(Box::new(outline), end)
}

#[test]
fn an_ended_transaction_is_told_with_its_decisions_and_links() {
    let id = "00000000-0000-0000-0000-000000000001";
    let expected = json!({
        "version": 1, "id": "the-id", "kind": "transaction", "timestamp": "1970-01-01T00:00:12Z", "text": "words",
        "transaction": {
            "transaction_id": id, "session_id": "a/b c", "model": "m", "dialect": "messages", "path": "/v1/messages",
            "streamed": true, "policy": "guard; version=1", "upstream": "anthropic",
            "started_at": "1970-01-01T00:00:10Z", "first_byte_at": "1970-01-01T00:00:11Z",
            "ended_at": "1970-01-01T00:00:12Z", "duration_ms": 2000, "status": "completed", "http_status": 200,
            "evaluation": "intervened",
            "decisions": [{
                "policy": "guard", "action": "block", "mode": "enforce",
                "target": {"kind": "tool_call", "name": "Bash"}, "failed": false, "reason": "why",
            }],
            "decisions_left_out": 2,
        },
        "links": {
            "conversation": "http://gateway:8000/conversation/live/a%2Fb%20c",
            "record": format!("http://gateway:8000/api/debug/calls/{id}"),
        },
    });
    assert_eq!(told(Kind::Transaction, ended(outline("a/b c", "why")), Value::Null), expected);
}

#[test]
fn what_is_told_is_bounded_whatever_a_client_or_a_policy_says() {
    let endless = "x".repeat(1 << 20);
    let mut outline = outline(&endless, &endless);
    outline.start.model.clone_from(&endless);
    outline.start.path.clone_from(&endless);
    outline.decisions[0].target = json!({"kind": "text", "more": endless});
    outline.decisions = vec![outline.decisions[0].clone(); crate::notify::DECISIONS];
    let said = told(Kind::PolicyBlocked, ended(outline), json!({"reason": endless}));
    assert!(said.to_string().len() < 32 << 10, "{}", said.to_string().len());
    assert_eq!(said["transaction"]["decisions"][0]["target"], json!({"kind": "text"}));
    assert_eq!(said["data"], json!({"left_out": true}));
}

/// Every member that is told is one that the schema knows.
fn is_known(value: &Value, schema: &Value, root: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(path) => root.pointer(path.trim_start_matches('#')).expect(path),
        None => schema,
    };
    match value {
        Value::Object(members) if schema.get("properties").is_some() => {
            for (name, member) in members {
                let known = &schema["properties"][name];
                assert!(known.is_object(), "{place}.{name} is not in the schema");
                is_known(member, known, root, &format!("{place}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(members.contains_key(name.as_str().unwrap()), "{place} has no {name}");
            }
        }
        Value::Array(items) => items.iter().for_each(|item| is_known(item, &schema["items"], root, place)),
        _ => {}
    }
}

#[test]
fn the_written_schema_knows_all_that_is_told() {
    let path = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
        .join("../../docs/schemas/notification-v1.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let named = About::Named {
        transaction_id: "t".to_owned(),
        session_id: Some("s".to_owned()),
        user_id: Some("u".to_owned()),
        model: "m".to_owned(),
    };
    let mut outline = outline("s", "why");
    outline.start.user_id = Some("u".to_owned());
    outline.decisions[0].score = Some(0.5);
    let told = [
        told(Kind::Transaction, ended(outline.clone()), Value::Null),
        told(Kind::PolicyBlocked, About::Open(Box::new(outline)), json!({})),
        told(Kind::PolicyAsk, named, json!({"approval": "a"})),
        told(Kind::Panic, About::Nothing, json!({"mode": "off"})),
    ];
    let kinds = &schema["properties"]["kind"]["enum"];
    for said in told {
        assert!(kinds.as_array().unwrap().contains(&said["kind"]));
        is_known(&said, &schema, &schema, "$");
    }
}
