//! Reads OpenAI Responses, also from servers that leave out events, numbers or ids.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::responses_items::Items;
use crate::convert::answer::event::{Event, Head, Stop, Usage};
use crate::convert::answer::usage::{self, whole_number};
use crate::convert::errors::Failure;
use crate::dialect::Dialect;
use crate::turn::Unreadable;

/// The reader.
#[derive(Debug, Default)]
pub(in crate::convert::answer) struct Reader {
    headed: bool,
    items: Items,
}

/// An event, as far as it says something.
#[derive(Deserialize)]
pub(super) struct Data<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    response: Option<Value>,
    pub(super) item: Option<Value>,
    pub(super) part: Option<Value>,
    pub(super) output_index: Option<u64>,
    #[serde(borrow)]
    pub(super) item_id: Option<Cow<'a, str>>,
    pub(super) content_index: Option<u64>,
    pub(super) summary_index: Option<u64>,
    pub(super) delta: Option<Value>,
    pub(super) text: Option<Value>,
    pub(super) refusal: Option<Value>,
    pub(super) arguments: Option<Value>,
    pub(super) input: Option<Value>,
    pub(super) annotation: Option<Value>,
    pub(super) logprobs: Option<Value>,
    error: Option<Value>,
    code: Option<Value>,
    message: Option<Value>,
    param: Option<Value>,
}

impl Reader {
    pub(super) fn event(&mut self, name: &[u8], text: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        // Not of this dialect, but sent by servers that think so.
        if text.trim() == "[DONE]" {
            return Ok(());
        }
        let data: Data<'_> = match serde_json::from_str(text) {
            Ok(data) => data,
            Err(_) if !name.is_empty() && !name.starts_with(b"response.") && name != b"error" => return Ok(()),
            Err(error) => return Err(Unreadable::from(&error)),
        };
        if !name.is_empty() && name != data.kind.as_bytes() {
            return Err(Unreadable::Contradiction);
        }
        match &*data.kind {
            "response.created" | "response.queued" | "response.in_progress" => {
                self.head(data.response.as_ref(), out);
                Ok(())
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let response = data.response.ok_or(Unreadable::Contradiction)?;
                self.ended(&response, &data.kind["response.".len()..], out)
            }
            "error" => {
                let flat = || serde_json::json!({"code": data.code, "message": data.message, "param": data.param});
                let error = data.error.filter(|error| !error.is_null()).unwrap_or_else(flat);
                out.push(Event::Failure(Failure::read(Dialect::Responses, &error, None)));
                Ok(())
            }
            _ => self.items.event(&data, out),
        }
    }

    pub(super) fn whole(&mut self, text: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let response: Value = serde_json::from_str(text).map_err(|error| Unreadable::from(&error))?;
        let status = response.get("status").and_then(Value::as_str).unwrap_or("completed").to_owned();
        let failed = response.get("error").is_some_and(|error| !error.is_null());
        if !failed && !response.get("output").is_some_and(Value::is_array) {
            return Err(Unreadable::Contradiction);
        }
        self.ended(&response, if failed { "failed" } else { &status }, out)
    }

    fn head(&mut self, response: Option<&Value>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.headed, true) {
            return;
        }
        let text = |name: &str| {
            let value = response?.get(name)?.as_str()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let created = response.and_then(|response| response.get("created_at")).and_then(whole_number);
        out.push(Event::Head(Head {
            id: text("id"),
            model: text("model"),
            created: created.filter(|created| *created > 0),
            usage: Usage::default(),
        }));
    }

    /// The terminal event, or a whole body.
    fn ended(&mut self, response: &Value, status: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        if matches!(status, "failed" | "cancelled" | "queued" | "in_progress") {
            let unfinished = || serde_json::json!({"message": format!("the response is {status}")});
            let error = response.get("error").filter(|error| !error.is_null()).cloned().unwrap_or_else(unfinished);
            out.push(Event::Failure(Failure::read(Dialect::Responses, &error, None)));
            return Ok(());
        }
        self.head(Some(response), out);
        let output = response.get("output").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        self.items.rest(output, out)?;
        let told = response.get("usage").filter(|usage| usage.is_object()).map(usage::responses);
        let searches = self.items.searched();
        if told.is_some() || searches.is_some() {
            out.push(Event::Usage(Usage { searches, ..told.unwrap_or_default() }));
        }
        let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
        let stop = match (status, reason) {
            ("incomplete", Some("content_filter")) => Stop::Refusal { category: None, explanation: None },
            // Whatever it was, there would have been more.
            ("incomplete", _) => Stop::MaxTokens,
            _ if self.items.called() => Stop::ToolUse,
            _ => Stop::End,
        };
        out.push(Event::Stop(stop));
        out.push(Event::Done);
        Ok(())
    }
}
