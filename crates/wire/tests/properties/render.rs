//! Requests in each dialect, as a client writes them.

use luthien_wire::Dialect;
use serde_json::{Map, Value, json};

use crate::said::{Ask, Choice, Item};

/// The request's body.
pub(crate) fn request(dialect: Dialect, ask: &Ask) -> String {
    let body = match dialect {
        Dialect::Messages => messages(ask),
        Dialect::Chat => chat(ask),
        Dialect::Responses => responses(ask),
    };
    let said: Map<String, Value> = body.into_iter().filter(|(_, value)| !value.is_null()).collect();
    Value::Object(said).to_string()
}

type Members = Vec<(String, Value)>;

fn members(value: Value) -> Members {
    match value {
        Value::Object(members) => members.into_iter().collect(),
        _ => Vec::new(),
    }
}

/// `value` unless it says nothing.
fn unless_empty(value: Vec<Value>) -> Value {
    if value.is_empty() { Value::Null } else { Value::Array(value) }
}

fn messages(ask: &Ask) -> Members {
    let mut said: Vec<(&str, Vec<Value>)> = Vec::new();
    for item in &ask.items {
        let (role, block) = match item {
            Item::User(text) => ("user", json!({"type": "text", "text": text})),
            Item::Image(data) => {
                let source = json!({"type": "base64", "media_type": "image/png", "data": data});
                ("user", json!({"type": "image", "source": source}))
            }
            Item::Model(text) => ("assistant", json!({"type": "text", "text": text})),
            Item::Call { id, name, input } => {
                ("assistant", json!({"type": "tool_use", "id": id, "name": name, "input": input}))
            }
            Item::Result { id, text, failed } => {
                ("user", json!({"type": "tool_result", "tool_use_id": id, "content": text, "is_error": failed}))
            }
        };
        match said.last_mut() {
            Some((last, blocks)) if *last == role => blocks.push(block),
            _ => said.push((role, vec![block])),
        }
    }
    let said: Vec<Value> = said.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
    let tools = ask.tools.iter().map(|tool| {
        let mut out = json!({"name": tool.name, "input_schema": tool.schema});
        if let Some(description) = &tool.description {
            out["description"] = description.as_str().into();
        }
        out
    });
    let mut choice = match &ask.choice {
        None if ask.one_call => json!({"type": "auto"}),
        None => Value::Null,
        Some(Choice::None) => json!({"type": "none"}),
        Some(Choice::Required) => json!({"type": "any"}),
        Some(Choice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if ask.one_call {
        choice["disable_parallel_tool_use"] = true.into();
    }
    let format = ask.schema.as_ref().map(|schema| json!({"format": {"type": "json_schema", "schema": schema}}));
    members(json!({
        "model": "m", "max_tokens": ask.limit, "system": ask.system, "messages": said,
        "tools": unless_empty(tools.collect()), "tool_choice": choice, "temperature": ask.temperature,
        "stop_sequences": unless_empty(ask.stop.iter().map(|stop| stop.as_str().into()).collect()),
        "metadata": ask.user.as_ref().map(|user| json!({"user_id": user})), "output_config": format, "stream": ask.stream,
    }))
}

fn chat(ask: &Ask) -> Members {
    let mut said: Vec<Value> = ask.system.iter().map(|text| json!({"role": "system", "content": text})).collect();
    let on = |said: &mut Vec<Value>, role: &str| {
        if said.last().is_none_or(|last| last["role"] != role) {
            let content = if role == "user" { json!([]) } else { Value::Null };
            said.push(json!({"role": role, "content": content}));
        }
    };
    for item in &ask.items {
        let (role, member, part) = match item {
            Item::User(text) => ("user", "content", json!({"type": "text", "text": text})),
            Item::Image(data) => {
                let url = format!("data:image/png;base64,{data}");
                ("user", "content", json!({"type": "image_url", "image_url": {"url": url}}))
            }
            Item::Model(text) => {
                said.push(json!({"role": "assistant", "content": text}));
                continue;
            }
            Item::Call { id, name, input } => {
                let function = json!({"name": name, "arguments": input.to_string()});
                ("assistant", "tool_calls", json!({"id": id, "type": "function", "function": function}))
            }
            Item::Result { id, text, failed } => {
                said.push(json!({"role": "tool", "tool_call_id": id, "content": marked(text, *failed)}));
                continue;
            }
        };
        on(&mut said, role);
        if let Some(last) = said.last_mut() {
            match &mut last[member] {
                Value::Array(parts) => parts.push(part),
                none => *none = json!([part]),
            }
        }
    }
    let tools = ask.tools.iter().map(|tool| {
        let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.schema});
        json!({"type": "function", "function": said_members(function)})
    });
    let format = ask
        .schema
        .as_ref()
        .map(|schema| json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}));
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    members(json!({
        "model": "m", "max_tokens": ask.limit, "messages": said, "tools": unless_empty(tools.collect()),
        "tool_choice": choice(ask, named), "parallel_tool_calls": ask.one_call.then_some(false),
        "temperature": ask.temperature, "stop": unless_empty(ask.stop.iter().map(|stop| stop.as_str().into()).collect()),
        "user": ask.user, "response_format": format, "stream": ask.stream,
    }))
}

fn responses(ask: &Ask) -> Members {
    let input = ask.items.iter().map(|item| match item {
        Item::User(text) => json!({"role": "user", "content": [{"type": "input_text", "text": text}]}),
        Item::Image(data) => {
            let url = format!("data:image/png;base64,{data}");
            json!({"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "auto"}]})
        }
        Item::Model(text) => {
            json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
        }
        Item::Call { id, name, input } => {
            json!({"type": "function_call", "call_id": id, "name": name, "arguments": input.to_string()})
        }
        Item::Result { id, text, failed } => {
            json!({"type": "function_call_output", "call_id": id, "output": marked(text, *failed)})
        }
    });
    let tools = ask.tools.iter().map(|tool| {
        let (description, schema) = (&tool.description, &tool.schema);
        said_members(json!({
            "type": "function", "name": tool.name, "description": description, "parameters": schema, "strict": false,
        }))
    });
    let format = ask
        .schema
        .as_ref()
        .map(|schema| json!({"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": false}}));
    let named = |name: &str| json!({"type": "function", "name": name});
    members(json!({
        "model": "m", "max_output_tokens": ask.limit, "instructions": ask.system, "input": input.collect::<Vec<_>>(),
        "tools": unless_empty(tools.collect()), "tool_choice": choice(ask, named),
        "parallel_tool_calls": ask.one_call.then_some(false), "temperature": ask.temperature,
        "safety_identifier": ask.user, "text": format, "stream": ask.stream,
    }))
}

fn choice(ask: &Ask, named: impl Fn(&str) -> Value) -> Value {
    match &ask.choice {
        None => Value::Null,
        Some(Choice::None) => "none".into(),
        Some(Choice::Required) => "required".into(),
        Some(Choice::Named(name)) => named(name),
    }
}

/// OpenAI's dialects have no mark for a failed tool but its words.
fn marked(text: &str, failed: bool) -> String {
    if failed { format!("[error] {text}") } else { text.to_owned() }
}

fn said_members(value: Value) -> Value {
    Value::Object(members(value).into_iter().filter(|(_, value)| !value.is_null()).collect())
}
