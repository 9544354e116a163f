//! Fields that only the target knows do not reach it, whoever sends them.

use serde_json::json;

use super::*;
use crate::request::{Request, RequestKind};

/// Every field by which a request tells a server of this dialect what is said, run, stored or paid for; `true` where it is
/// refused from others.
fn fields(to: Dialect) -> Vec<(&'static str, Value, bool)> {
    match to {
        Dialect::Messages => vec![
            ("system", json!("CANARY"), false),
            ("system", json!([{"type": "text", "text": "CANARY"}]), false),
            ("messages", json!([{"role": "user", "content": "CANARY"}]), false),
            ("mcp_servers", json!([{"type": "url", "url": "https://CANARY", "name": "x"}]), false),
            ("container", json!({"skills": ["CANARY"]}), false),
            ("context_management", json!({"edits": ["CANARY"]}), false),
            ("fallbacks", json!([{"model": "CANARY"}]), false),
            ("fallback_credit_token", json!("CANARY"), false),
            ("stop_sequences", json!(["CANARY"]), false),
            ("output_format", json!({"type": "json_schema", "schema": {"title": "CANARY"}}), false),
            ("output_config", json!({"format": {"title": "CANARY"}}), false),
            ("thread", json!({"id": "CANARY"}), true),
            ("inference_geo", json!("CANARY"), true),
            ("safeguards", json!({"x": "CANARY"}), true),
        ],
        Dialect::Chat => vec![
            ("messages", json!([{"role": "user", "content": "CANARY"}]), false),
            ("functions", json!([{"name": "CANARY"}]), false),
            ("function_call", json!({"name": "CANARY"}), false),
            ("web_search_options", json!({"user_location": "CANARY"}), false),
            ("prediction", json!({"type": "content", "content": "CANARY"}), false),
            ("stop", json!(["CANARY"]), false),
            ("documents", json!([{"text": "CANARY"}]), false),
            ("chat_template", json!("CANARY"), false),
            ("plugins", json!([{"id": "CANARY"}]), false),
            ("n", json!(5), true),
            ("modalities", json!(["CANARY"]), true),
            ("audio", json!({"voice": "CANARY"}), true),
        ],
        Dialect::Responses => vec![
            ("instructions", json!("CANARY"), false),
            ("input", json!("CANARY"), false),
            ("context_management", json!([{"type": "CANARY"}]), false),
            ("include", json!(["CANARY"]), false),
            ("max_tool_calls", json!(7), false),
            ("truncation", json!("CANARY"), false),
            ("previous_response_id", json!("CANARY"), true),
            ("conversation", json!("CANARY"), true),
            ("prompt", json!({"id": "CANARY"}), true),
            ("background", json!(true), true),
        ],
    }
}

fn asked(from: Dialect) -> Value {
    match from {
        Dialect::Messages => json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}),
        Dialect::Chat => json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        Dialect::Responses => json!({"model": "m", "input": "hi"}),
    }
}

fn converted(from: Dialect, to: Dialect, body: &Value) -> Result<(Value, Vec<String>), Refused> {
    let request = Request::parse(from, RequestKind::Turn, body.to_string().into()).unwrap();
    let converted = super::super::request(&request, to, "m")?;
    Ok((serde_json::from_slice(&converted.body).unwrap(), converted.dropped))
}

#[test]
fn what_only_the_target_knows_is_named_or_refused() {
    for to in Dialect::ALL {
        for (name, value, refused) in fields(to) {
            for from in Dialect::ALL.into_iter().filter(|from| *from != to) {
                let mut body = asked(from);
                if body.get(name).is_some() || KNOWN.contains(&(from, name)) {
                    continue;
                }
                let plain = converted(from, to, &body).unwrap().0;
                body[name] = value.clone();
                let outcome = converted(from, to, &body);
                let expected = if refused { Err(Some(name.to_owned())) } else { Ok((plain, vec![name.to_owned()])) };
                assert_eq!(outcome.map_err(|refused| refused.param), expected, "{name}: {from} to {to}");
            }
        }
    }
}

/// What a client's own dialect knows too: it is read there, or has a fate of its own.
const KNOWN: [(Dialect, &str); 9] = [
    (Dialect::Messages, "container"),
    (Dialect::Messages, "context_management"),
    (Dialect::Messages, "mcp_servers"),
    (Dialect::Messages, "fallbacks"),
    (Dialect::Responses, "context_management"),
    (Dialect::Responses, "conversation"),
    (Dialect::Responses, "previous_response_id"),
    // Some Responses servers stop at texts.
    (Dialect::Responses, "stop"),
    (Dialect::Chat, "prediction"),
];

#[test]
fn nothing_is_kept_that_the_client_did_not_ask_to_keep() {
    let stored = |from: Dialect, to: Dialect| {
        let mut body = asked(from);
        body["store"] = true.into();
        let (body, dropped) = converted(from, to, &body).unwrap();
        (body["store"].clone(), dropped)
    };
    let named = vec!["store".to_owned()];
    assert_eq!(stored(Dialect::Messages, Dialect::Responses), (json!(false), named.clone()));
    assert_eq!(stored(Dialect::Messages, Dialect::Chat), (Value::Null, named));
    assert_eq!(stored(Dialect::Chat, Dialect::Responses), (json!(true), Vec::new()));
}

#[test]
fn values_that_say_nothing_are_no_reason_to_refuse() {
    for (to, name, value) in [
        (Dialect::Chat, "n", json!(1)),
        (Dialect::Responses, "background", json!(false)),
        (Dialect::Responses, "previous_response_id", json!("")),
        (Dialect::Responses, "prompt", Value::Null),
    ] {
        let mut body = asked(Dialect::Messages);
        body[name] = value;
        let (body, dropped) = converted(Dialect::Messages, to, &body).unwrap();
        assert_eq!((body.get(name), dropped), (None, Vec::new()), "{name}");
    }
}
