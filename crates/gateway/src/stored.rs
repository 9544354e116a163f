//! Responses that the vendor keeps: what is read of them goes through the response policies like an answer (W-11).

use bytes::Bytes;
use luthien_policy::engine::WholeOutcome;
use luthien_policy::plan::Reviews;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::errors::GatewayError;

/// What policies are shown as the request: which one led to the response is not known.
pub(crate) fn request() -> Result<Request, GatewayError> {
    let body = Bytes::from_static(br#"{"model":"stored","input":[]}"#);
    let request = Request::parse(Dialect::Responses, RequestKind::Turn, body);
    request.map_err(|error| GatewayError::BadRequest(error.message))
}

/// Whether what is asked for can be reviewed: a stream can only from its start.
pub(crate) fn check(query: &str) -> Result<(), GatewayError> {
    if query.split('&').any(|pair| plain(pair.split('=').next().unwrap_or_default()) == b"starting_after") {
        return Err(GatewayError::BadRequest(
            "`starting_after` cannot be used where policies check answers: they have to see the response from its start"
                .to_owned(),
        ));
    }
    Ok(())
}

/// A parameter's name as the vendor reads it, in small letters.
fn plain(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte.to_ascii_lowercase());
            rest = &after[2..];
        } else {
            out.push(first.to_ascii_lowercase());
            rest = after;
        }
    }
    out
}

/// A list of input items as far as it is read: each entry stays as it came.
#[derive(serde::Deserialize)]
struct Items<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// What has to be known of an entry.
#[derive(serde::Deserialize)]
struct Item {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    role: String,
}

/// Reviews the model's words among the items that were put into a response. They pass as they are or not at all.
pub(crate) async fn review_items(reviews: &Reviews, body: Bytes) -> Result<WholeOutcome, GatewayError> {
    let answer =
        as_answer(&body).ok_or_else(|| GatewayError::PathNotAllowed("/v1/responses/{id}/input_items".to_owned()))?;
    let reviewed = reviews.whole(answer.clone()).await;
    if reviewed.body == answer {
        Ok(WholeOutcome { body, summary: reviewed.summary })
    } else {
        let why = "these items hold words of the model that a policy blocks or changes; they are not handed out";
        Err(GatewayError::PolicyBlocked(why.to_owned()))
    }
}

/// The model's items of a list as a response of their own. `None` where the list or an item cannot be read.
fn as_answer(body: &[u8]) -> Option<Bytes> {
    let items: Items<'_> = serde_json::from_slice(body).ok()?;
    let mut output = Vec::new();
    for raw in items.data {
        let item: Item = serde_json::from_str(raw.get()).ok()?;
        // Words of people and outputs of the client's tools came from the client.
        let clients = match item.kind.as_str() {
            "message" | "" => matches!(item.role.as_str(), "user" | "system" | "developer"),
            kind => kind.ends_with("_call_output") || kind == "item_reference",
        };
        if !clients {
            output.push(serde_json::from_str::<Value>(raw.get()).ok()?);
        }
    }
    let answer = json!({
        "id": "resp_stored", "object": "response", "created_at": 0, "status": "completed", "model": "stored",
        "output": output, "usage": null,
    });
    Some(answer.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_items_are_told_from_the_clients() {
        let list = json!({"object": "list", "data": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"role": "developer", "content": "rules"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yo"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"role": "assistant", "content": "yes"},
        ]});
        let answer: Value = serde_json::from_slice(&as_answer(list.to_string().as_bytes()).unwrap()).unwrap();
        let kinds: Vec<&Value> = answer["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, [&json!("message"), &json!("function_call"), &Value::Null]);
    }

    #[test]
    fn what_is_no_list_of_items_is_no_answer() {
        for body in ["{}", "[]", "{\"data\":[1]}", "{\"data\":{}}", "<html>"] {
            assert!(as_answer(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn a_stream_is_reviewed_from_its_start() {
        assert!(check("stream=true&include%5B%5D=starting_after").is_ok());
        for query in ["stream=true&starting_after=4", "starting%5Fafter=4", "%73TARTING_AFTER", "a&starting_after="] {
            assert_eq!(check(query).unwrap_err().status(), 400, "{query}");
        }
        assert!(check("%").is_ok() && check("%zz=starting").is_ok());
    }
}
