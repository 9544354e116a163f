//! Calls that a policy withheld and that the vendor still holds open in a response it keeps (W-11).
//!
//! A client that goes on from such a response, or in its conversation, knows nothing of the call, and its vendor takes no further turn until the call
//! has an output. So the gateway remembers, for each caller and response, what was withheld, and puts an output that says so
//! in front of the next input. What is remembered is lost with the process; the vendor then refuses the turn by itself.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use luthien_wire::Dialect;
use luthien_wire::json;
use luthien_wire::request::{Request, RequestKind};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::errors::GatewayError;

pub(crate) use watch::{CallWatch, Ending, Of};

mod watch;

/// The most responses remembered, over all callers; the one not asked for longest is forgotten first.
const MOST: usize = 10_000;

/// The most that they may take together, in bytes of names.
const MOST_BYTES: usize = 8 << 20;

/// What the model is told in place of the output of a call that a policy blocked.
const BLOCKED: &str = "This call was blocked by policy. It was not passed on to the client and has not been run.";

/// What it is told of a call that was lost on the way.
const LOST: &str = "The client never received this call. It has not been run.";

/// A keyed hash of the caller's credential, and the id of the response or of the conversation.
type Key = ([u8; 16], String);

/// What a request goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Response(String),
    Conversation(String),
}

/// A call of a stored response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenCall {
    /// The item's type.
    kind: String,
    /// The id by which its output names it.
    id: String,
    /// A policy withheld it; else the answer ended before the client could have it.
    blocked: bool,
}

impl OpenCall {
    /// The client runs calls of this type, and the vendor waits for their output.
    fn awaits_output(kind: &str) -> bool {
        matches!(
            kind,
            "function_call"
                | "custom_tool_call"
                | "shell_call"
                | "local_shell_call"
                | "apply_patch_call"
                | "computer_call"
        )
    }

    /// An output that says that nothing was run; `None` where no text can say it.
    fn output(&self) -> Option<Value> {
        let (id, not_run) = (&self.id, if self.blocked { BLOCKED } else { LOST });
        Some(match self.kind.as_str() {
            "function_call" | "custom_tool_call" => {
                json!({"type": format!("{}_output", self.kind), "call_id": id, "output": not_run})
            }
            "shell_call" => {
                let outcome = json!({"type": "exit", "exit_code": 126});
                let output = json!([{"stdout": "", "stderr": not_run, "outcome": outcome}]);
                json!({"type": "shell_call_output", "call_id": id, "output": output})
            }
            "apply_patch_call" => {
                json!({"type": "apply_patch_call_output", "call_id": id, "status": "failed", "output": not_run})
            }
            _ => return None,
        })
    }

    fn weight(&self) -> usize {
        self.kind.len() + self.id.len()
    }
}

/// What is remembered.
#[derive(Debug)]
pub(crate) struct OpenCalls(Mutex<Known>);

#[derive(Debug)]
struct Known {
    responses: LruCache<Key, Vec<OpenCall>>,
    bytes: usize,
}

/// A request with outputs for the calls that its client knows nothing of.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) request: Request,
    /// For the record: the response and the calls.
    pub(crate) data: Value,
}

impl OpenCalls {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Known { responses: LruCache::unbounded(), bytes: 0 })))
    }

    fn remember(&self, caller: [u8; 16], response: &str, calls: Vec<OpenCall>) {
        let weight = |key: &Key, calls: &[OpenCall]| key.1.len() + calls.iter().map(OpenCall::weight).sum::<usize>();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (caller, response.to_owned());
        known.bytes += weight(&key, &calls);
        if let Some((key, old)) = known.responses.push(key, calls) {
            known.bytes -= weight(&key, &old);
        }
        while known.responses.len() > MOST || known.bytes > MOST_BYTES {
            let Some((key, old)) = known.responses.pop_lru() else { return };
            known.bytes -= weight(&key, &old);
        }
    }

    fn of(&self, caller: [u8; 16], response: &str) -> Vec<OpenCall> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.responses.get(&(caller, response.to_owned())).cloned().unwrap_or_default()
    }

    /// What is open now in a response, or in a conversation after its last one, in place of what was.
    fn now_open(&self, caller: [u8; 16], origin: &str, calls: Vec<OpenCall>) {
        if !calls.is_empty() || !self.of(caller, origin).is_empty() {
            self.remember(caller, origin, calls);
        }
    }

    /// The request with the outputs that its vendor waits for; `None` where it waits for none. Every other byte stays.
    /// `last`: nobody will see that the vendor has taken the outputs, so that they are given this once.
    pub(crate) fn complete(
        &self,
        caller: [u8; 16],
        request: &Request,
        last: bool,
    ) -> Result<Option<Completed>, GatewayError> {
        let Some(origin) = origin(request) else { return Ok(None) };
        let (Origin::Response(id) | Origin::Conversation(id)) = &origin;
        let given: Vec<String> = request.message_spans().iter().filter_map(|span| answers(request, span)).collect();
        let open: Vec<OpenCall> = self.of(caller, id).into_iter().filter(|call| !given.contains(&call.id)).collect();
        if open.is_empty() {
            return Ok(None);
        }
        if let (Origin::Conversation(id), true) = (&origin, last) {
            self.remember(caller, id, Vec::new());
        }
        let outputs: Option<Vec<String>> = open.iter().map(|call| Some(call.output()?.to_string())).collect();
        let outputs = outputs.ok_or_else(|| {
            GatewayError::BadRequest(format!(
                "a policy blocked a call in `{id}` for which only its client could give an output; go on without it, with \
                 the whole history in `input`"
            ))
        })?;
        let body = with_outputs(request.text(), &outputs.join(","));
        let parsed = Request::parse(request.dialect(), RequestKind::Turn, Bytes::from(body));
        let request = parsed.map_err(|error| GatewayError::BadRequest(error.message))?;
        let calls: Vec<&str> = open.iter().map(|call| call.id.as_str()).collect();
        let data = match &origin {
            Origin::Response(id) => json!({"previous_response_id": id, "calls": calls}),
            Origin::Conversation(id) => json!({"conversation": id, "calls": calls}),
        };
        Ok(Some(Completed { request, data }))
    }
}

/// What the request goes on from, if the vendor keeps it.
fn origin(request: &Request) -> Option<Origin> {
    if request.dialect() != Dialect::Responses {
        return None;
    }
    if let Some(id) = request.previous_response_id() {
        return Some(Origin::Response(id));
    }
    let conversation: Value = serde_json::from_str(request.raw("conversation")?).ok()?;
    conversation.get("id").unwrap_or(&conversation).as_str().map(|id| Origin::Conversation(id.to_owned()))
}

/// The call that an item of the input gives the output of.
fn answers(request: &Request, span: &std::ops::Range<usize>) -> Option<String> {
    #[derive(Deserialize)]
    struct Item {
        call_id: Option<String>,
    }
    serde_json::from_str::<Item>(request.text().get(span.clone())?).ok()?.call_id
}

/// The body with these items in front of its input. A string becomes the message that it stands for.
fn with_outputs(body: &str, outputs: &str) -> String {
    let Some(span) = json::member(body, "input") else {
        let end = body.trim_end().len().saturating_sub(1);
        let comma = if body[..end].trim_end().ends_with('{') { "" } else { "," };
        return format!("{}{comma}\"input\":[{outputs}]{}", &body[..end], &body[end..]);
    };
    let (before, input, after) = (&body[..span.start], &body[span.clone()], &body[span.end..]);
    let input = match input.strip_prefix('[') {
        Some(rest) if rest.trim_start().starts_with(']') => format!("[{outputs}{rest}"),
        Some(rest) => format!("[{outputs},{rest}"),
        None if input.starts_with('"') => {
            format!("[{outputs},{{\"type\":\"message\",\"role\":\"user\",\"content\":{input}}}]")
        }
        None => format!("[{outputs}]"),
    };
    [before, &input, after].concat()
}

#[cfg(test)]
mod tests;
