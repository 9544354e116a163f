//! The responses that the upstream keeps, and the endpoints around them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::Method;
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::asked::Asked;
use crate::reply::{Reply, Step, frames};

/// Stored responses by id.
#[derive(Debug, Default)]
pub(super) struct Stored {
    responses: Mutex<HashMap<String, One>>,
}

#[derive(Clone, Debug)]
struct One {
    whole: Reply,
    stream: Reply,
    input: Value,
}

impl Stored {
    /// Keeps the answer to a request, where its vendor would.
    pub(super) fn keep(&self, answer: &Answer, asked: &Asked) {
        if !asked.stored() {
            return;
        }
        let one = One {
            whole: Reply::json(200, &answer.whole(asked)),
            stream: Reply::frames(answer.frames(asked)),
            input: input_items(asked),
        };
        self.with(|all| all.insert(asked.response_id(), one));
    }

    /// Keeps what is to be read under this id.
    pub(super) fn put(&self, id: &str, reply: &Reply) {
        let one = One { whole: reply.clone(), stream: reply.clone(), input: json!([]) };
        self.with(|all| all.insert(id.to_owned(), one));
    }

    /// The answer for a path below `responses/`.
    pub(super) fn answer(&self, method: &Method, path: &str, query: &str, body: &[u8]) -> Reply {
        let (id, rest) = path.split_once('/').unwrap_or((path, ""));
        match (method, id, rest) {
            (&Method::POST, "input_tokens", "") => {
                return Reply::json(200, &json!({"object": "response.input_tokens", "input_tokens": body.len() / 4}));
            }
            (&Method::POST, "compact", "") => return compact(body),
            _ => {}
        }
        let Some(one) = self.with(|all| all.get(id).cloned()) else { return missing(id) };
        match (method, rest) {
            (&Method::GET, "") if query.split('&').any(|pair| pair == "stream=true") => from(one.stream, query),
            (&Method::GET, "") => one.whole,
            (&Method::GET, "input_items") => list(&one.input),
            (&Method::POST, "cancel") => cancelled(one.whole),
            (&Method::DELETE, "") => {
                self.with(|all| all.remove(id));
                Reply::json(200, &json!({"id": id, "object": "response", "deleted": true}))
            }
            _ => missing(id),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, One>) -> T) -> T {
        work(&mut self.responses.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn missing(id: &str) -> Reply {
    let message = format!("Response with id '{id}' not found.");
    Reply::error(Dialect::Responses, 404, "invalid_request_error", &message)
}

/// The events of a stream after the one that the query names.
fn from(mut stream: Reply, query: &str) -> Reply {
    let after = query.split('&').find_map(|pair| pair.strip_prefix("starting_after=")?.parse::<u64>().ok());
    let Some(after) = after else { return stream };
    let later = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let data = text.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or_default().to_owned();
        let data: Value = serde_json::from_str(&data).unwrap_or_default();
        data["sequence_number"].as_u64().is_none_or(|number| number > after)
    };
    let all: Vec<u8> = stream
        .steps
        .iter()
        .flat_map(|step| if let Step::Send(bytes) = step { bytes.to_vec() } else { vec![] })
        .collect();
    stream.steps = frames(&all).into_iter().filter(|frame| later(frame)).map(Step::Send).collect();
    stream
}

fn cancelled(whole: Reply) -> Reply {
    let Some(Step::Send(bytes)) = whole.steps.first() else { return whole };
    let mut response: Value = serde_json::from_slice(bytes).unwrap_or_default();
    response["status"] = "cancelled".into();
    Reply::json(200, &response)
}

fn list(items: &Value) -> Reply {
    let id = |item: Option<&Value>| item.map(|item| item["id"].clone());
    let all = items.as_array();
    let (first, last) = (id(all.and_then(|all| all.first())), id(all.and_then(|all| all.last())));
    Reply::json(200, &json!({"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": false}))
}

/// The items of a request's input as the vendor lists them: each with an id, a string as a message.
fn input_items(asked: &Asked) -> Value {
    let input = match &asked.value()["input"] {
        Value::String(text) => {
            json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}])
        }
        items => items.clone(),
    };
    let named = |(number, mut item): (usize, Value)| {
        if item["id"].is_null() && item.is_object() {
            item["id"] = format!("item_Script{}{number:02}", asked.tag()).into();
        }
        item
    };
    let items = input.as_array().cloned().unwrap_or_default();
    items.into_iter().enumerate().map(named).collect()
}

/// A compacted conversation: the user's messages, and the rest as one item that only the vendor can read.
fn compact(body: &[u8]) -> Reply {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let tag = format!("{:08x}", crc32fast::hash(body));
    let items = asked["input"].as_array().map_or(&[][..], Vec::as_slice);
    let mut output: Vec<Value> = items.iter().filter(|item| item["role"] == "user").cloned().collect();
    output.push(json!({"id": format!("cmp_Script{tag}"), "type": "compaction", "encrypted_content": format!("Y29tcGFjdGVk{tag}")}));
    let input = body.len() / 4;
    Reply::json(
        200,
        &json!({
            "id": format!("resp_Script{tag}"),
            "object": "response.compaction",
            "created_at": 1_790_000_000,
            "output": output,
            "usage": {
                "input_tokens": input,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 64,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": input + 64,
            },
        }),
    )
}
