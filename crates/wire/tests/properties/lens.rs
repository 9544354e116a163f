//! Requests and answers of each dialect, read into what they say: by other code than the product's.

use luthien_wire::Dialect;
use serde_json::Value;

use crate::said::{Ask, Choice, Item, Tool};

/// What a request says and asks for.
pub(crate) fn request(dialect: Dialect, body: &[u8]) -> Ask {
    let body: Value = serde_json::from_slice(body).expect("json");
    let (limit, tools) = match dialect {
        Dialect::Messages => ("max_tokens", "input_schema"),
        Dialect::Chat => ("max_tokens", "parameters"),
        Dialect::Responses => ("max_output_tokens", "parameters"),
    };
    let tools = list(&body["tools"]).map(|tool| {
        let tool = if dialect == Dialect::Chat { &tool["function"] } else { tool };
        Tool { name: text(&tool["name"]), description: maybe(&tool["description"]), schema: tool[tools].clone() }
    });
    let (choice, one_call) = match dialect {
        Dialect::Messages => messages_choice(&body["tool_choice"]),
        Dialect::Chat => (openai_choice(&body["tool_choice"], "/function/name"), body["parallel_tool_calls"] == false),
        Dialect::Responses => (openai_choice(&body["tool_choice"], "/name"), body["parallel_tool_calls"] == false),
    };
    let (system, items) = match dialect {
        Dialect::Messages => (plain(&body["system"]), messages(&body)),
        Dialect::Chat => chat(&body),
        Dialect::Responses => (plain(&body["instructions"]), responses(&body)),
    };
    let (stop, user, schema) = match dialect {
        Dialect::Messages => {
            (&body["stop_sequences"], &body["metadata"]["user_id"], &body["output_config"]["format"]["schema"])
        }
        Dialect::Chat => (
            &body["stop"],
            first(&body, ["user", "safety_identifier"]),
            &body["response_format"]["json_schema"]["schema"],
        ),
        Dialect::Responses => {
            (&body["stop"], first(&body, ["safety_identifier", "user"]), &body["text"]["format"]["schema"])
        }
    };
    Ask {
        system,
        items,
        tools: tools.collect(),
        choice,
        one_call,
        limit: body[limit].as_u64().unwrap_or_default(),
        temperature: body["temperature"].as_f64(),
        stop: list(stop).map(text).collect(),
        stream: body["stream"] == true,
        user: maybe(user),
        schema: Some(schema.clone()).filter(|schema| !schema.is_null()),
    }
}

/// What a whole answer says: texts first, as one, then calls; and why it stopped.
pub(crate) fn answer(dialect: Dialect, body: &Value) -> (Vec<Item>, String) {
    let (mut said, mut calls) = (String::new(), Vec::new());
    let stop = match dialect {
        Dialect::Messages => {
            for block in list(&body["content"]) {
                match kind(block) {
                    "text" => said += &text(&block["text"]),
                    "tool_use" => calls.push(call(&block["id"], &block["name"], block["input"].clone())),
                    _ => {}
                }
            }
            text(&body["stop_reason"])
        }
        Dialect::Chat => {
            let choice = &body["choices"][0];
            said += &maybe(&choice["message"]["content"]).unwrap_or_default();
            for made in list(&choice["message"]["tool_calls"]) {
                calls.push(call(&made["id"], &made["function"]["name"], written(&made["function"]["arguments"])));
            }
            text(&choice["finish_reason"])
        }
        Dialect::Responses => {
            for item in list(&body["output"]) {
                match kind(item) {
                    "message" => list(&item["content"]).for_each(|part| said += &text(&part["text"])),
                    "function_call" => {
                        calls.push(call(&item["call_id"], &item["name"], written(&item["arguments"])));
                    }
                    _ => {}
                }
            }
            match text(&body["status"]).as_str() {
                "completed" if !calls.is_empty() => "tool_use".to_owned(),
                other => other.to_owned(),
            }
        }
    };
    let stop = match stop.as_str() {
        "end_turn" | "stop" | "completed" => "end",
        "tool_use" | "tool_calls" => "calls",
        "max_tokens" | "length" | "incomplete" => "limit",
        other => other,
    };
    let said = (!said.is_empty()).then_some(Item::Model(said));
    (said.into_iter().chain(calls).collect(), stop.to_owned())
}

fn messages(body: &Value) -> Vec<Item> {
    let mut out = Vec::new();
    for message in list(&body["messages"]) {
        let user = message["role"] == "user";
        if let Value::String(words) = &message["content"] {
            out.push(if user { Item::User(words.clone()) } else { Item::Model(words.clone()) });
        }
        for block in list(&message["content"]) {
            out.push(match kind(block) {
                "text" if user => Item::User(text(&block["text"])),
                "text" => Item::Model(text(&block["text"])),
                "image" => Item::Image(text(&block["source"]["data"])),
                "tool_use" => call(&block["id"], &block["name"], block["input"].clone()),
                "tool_result" => {
                    let words = plain(&block["content"]).unwrap_or_default();
                    result(&block["tool_use_id"], &words, block["is_error"] == true)
                }
                other => panic!("a block {other:?}"),
            });
        }
    }
    out
}

fn chat(body: &Value) -> (Option<String>, Vec<Item>) {
    let (mut system, mut out) = (None, Vec::new());
    for message in list(&body["messages"]) {
        let content = &message["content"];
        match message["role"].as_str().expect("a role") {
            "system" | "developer" => system = plain(content),
            "user" => user_parts(content, &mut out),
            "assistant" => {
                out.extend(plain(content).map(Item::Model));
                for made in list(&message["tool_calls"]) {
                    out.push(call(&made["id"], &made["function"]["name"], written(&made["function"]["arguments"])));
                }
            }
            "tool" => out.push(result(&message["tool_call_id"], &plain(content).unwrap_or_default(), false)),
            other => panic!("a role {other:?}"),
        }
    }
    (system, out)
}

fn responses(body: &Value) -> Vec<Item> {
    let mut out = Vec::new();
    for item in list(&body["input"]) {
        match item["type"].as_str().unwrap_or("message") {
            "message" if item["role"] == "user" => user_parts(&item["content"], &mut out),
            "message" => out.extend(plain(&item["content"]).map(Item::Model)),
            "function_call" => out.push(call(&item["call_id"], &item["name"], written(&item["arguments"]))),
            "function_call_output" => {
                out.push(result(&item["call_id"], &plain(&item["output"]).unwrap_or_default(), false));
            }
            other => panic!("an item {other:?}"),
        }
    }
    out
}

/// What a user says and shows, in either of OpenAI's dialects.
fn user_parts(content: &Value, out: &mut Vec<Item>) {
    if let Value::String(words) = content {
        out.push(Item::User(words.clone()));
    }
    for part in list(content) {
        out.push(match kind(part) {
            "text" | "input_text" => Item::User(text(&part["text"])),
            "image_url" => image(&part["image_url"]["url"]),
            "input_image" => image(&part["image_url"]),
            other => panic!("a part {other:?}"),
        });
    }
}

fn image(url: &Value) -> Item {
    Item::Image(text(url).strip_prefix("data:image/png;base64,").expect("a picture").to_owned())
}

fn call(id: &Value, name: &Value, input: Value) -> Item {
    Item::Call { id: text(id), name: text(name), input }
}

/// A result; where the dialect has no other mark for failure, its words say it.
fn result(id: &Value, words: &str, failed: bool) -> Item {
    let (words, failed) = match words.strip_prefix("[error] ") {
        Some(rest) => (rest, true),
        None => (words, failed),
    };
    Item::Result { id: text(id), text: words.to_owned(), failed }
}

fn messages_choice(choice: &Value) -> (Option<Choice>, bool) {
    let read = match choice["type"].as_str() {
        Some("none") => Some(Choice::None),
        Some("any") => Some(Choice::Required),
        Some("tool") => Some(Choice::Named(text(&choice["name"]))),
        _ => None,
    };
    (read, choice["disable_parallel_tool_use"] == true)
}

fn openai_choice(choice: &Value, name: &str) -> Option<Choice> {
    match choice.as_str() {
        Some("none") => Some(Choice::None),
        Some("required") => Some(Choice::Required),
        Some(_) => None,
        None => choice.pointer(name).map(|name| Choice::Named(text(name))),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn kind(value: &Value) -> &str {
    value["type"].as_str().unwrap_or_default()
}

fn text(value: &Value) -> String {
    maybe(value).unwrap_or_default()
}

fn maybe(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn first<'a>(body: &'a Value, names: [&str; 2]) -> &'a Value {
    names.iter().map(|name| &body[*name]).find(|value| !value.is_null()).unwrap_or(&Value::Null)
}

/// Arguments that stand in a string.
fn written(value: &Value) -> Value {
    serde_json::from_str(value.as_str().expect("a string")).expect("arguments")
}

/// A text, or the texts of blocks; none where nothing is said.
fn plain(content: &Value) -> Option<String> {
    let words = match content {
        Value::String(words) => words.clone(),
        _ => list(content).map(|part| text(&part["text"])).collect::<Vec<_>>().join("\n"),
    };
    Some(words).filter(|words| !words.is_empty())
}
