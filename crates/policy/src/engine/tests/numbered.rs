//! Writes Responses streams.

use serde_json::{Value, json};

use super::support::ev;

/// Writes the events of a stream, numbered.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) out: String,
    number: u64,
    pub(super) output: Vec<Value>,
}

impl Stream {
    pub(super) fn new() -> Self {
        let mut stream = Self::default();
        let response =
            json!({"id": "resp_1", "object": "response", "status": "in_progress", "model": "m", "output": []});
        stream.event("response.created", json!({"response": response}));
        stream.event("response.in_progress", json!({"response": response}));
        stream
    }

    pub(super) fn event(&mut self, kind: &str, members: impl Into<Value>) -> &mut Self {
        let mut data = json!({"type": kind, "sequence_number": self.number});
        data.as_object_mut().unwrap().extend(members.into().as_object().unwrap().clone());
        self.number += 1;
        self.out += &ev(&data.to_string());
        self
    }

    pub(super) fn item(&mut self, begun: impl Into<Value>, events: Vec<(&str, Value)>, done: Value) -> &mut Self {
        let at = self.output.len();
        self.event("response.output_item.added", json!({"output_index": at, "item": begun.into()}));
        for (kind, mut members) in events {
            members["output_index"] = at.into();
            self.event(kind, members);
        }
        self.event("response.output_item.done", json!({"output_index": at, "item": done}));
        self.output.push(done);
        self
    }

    pub(super) fn text(&mut self, id: &str, pieces: &[&str]) -> &mut Self {
        let whole = pieces.concat();
        let place = json!({"item_id": id, "content_index": 0});
        let with = |key: &str, value: Value| {
            let mut members = place.clone();
            members[key] = value;
            members
        };
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
        let mut events = vec![("response.content_part.added", with("part", part("")))];
        events.extend(pieces.iter().map(|piece| ("response.output_text.delta", with("delta", (*piece).into()))));
        events.push(("response.output_text.done", with("text", whole.clone().into())));
        events.push(("response.content_part.done", with("part", part(&whole))));
        let item = |content: Value| json!({"id": id, "type": "message", "role": "assistant", "content": content});
        self.item(item(json!([])), events, item(json!([part(&whole)])))
    }

    pub(super) fn call(&mut self, name: &str, arguments: &str) -> &mut Self {
        let item = |arguments: &str| {
            json!({"id": format!("fc_{name}"), "type": "function_call", "call_id": format!("call_{name}"),
                "name": name, "arguments": arguments})
        };
        let place = json!({"item_id": format!("fc_{name}")});
        let (mut delta, mut done) = (place.clone(), place);
        delta["delta"] = arguments.into();
        done["arguments"] = arguments.into();
        let events =
            vec![("response.function_call_arguments.delta", delta), ("response.function_call_arguments.done", done)];
        self.item(item(""), events, item(arguments))
    }

    pub(super) fn shell(&mut self) -> &mut Self {
        let item =
            |action: Value| json!({"id": "lsh_1", "type": "local_shell_call", "call_id": "call_l", "action": action});
        self.item(item(Value::Null), vec![], item(json!({"type": "exec", "command": ["rm", "-rf", "/"]})))
    }

    pub(super) fn reasoning(&mut self) -> &mut Self {
        let id = format!("rs_{}", self.output.len());
        let item = |text: Value| json!({"id": id, "type": "reasoning", "summary": text, "encrypted_content": "c2ln"});
        let part = |text: &str| json!({"type": "summary_text", "text": text});
        let with = |key: &str, value: Value| {
            let mut members = json!({"item_id": id, "summary_index": 0});
            members[key] = value;
            members
        };
        let events = vec![
            ("response.reasoning_summary_part.added", with("part", part(""))),
            ("response.reasoning_summary_text.delta", with("delta", "hm".into())),
            ("response.reasoning_summary_text.done", with("text", "hm".into())),
            ("response.reasoning_summary_part.done", with("part", part("hm"))),
        ];
        self.item(item(json!([])), events, item(json!([part("hm")])))
    }

    pub(super) fn done(&mut self) -> String {
        let response = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m",
            "output": self.output, "usage": {"input_tokens": 3, "output_tokens": 7, "total_tokens": 10}});
        self.event("response.completed", json!({"response": response}));
        std::mem::take(&mut self.out)
    }

    /// A search that the vendor has run.
    pub(super) fn search(&mut self, query: &str) -> &mut Self {
        let id = format!("ws_{query}");
        let item =
            |action: Value| json!({"id": id, "type": "web_search_call", "status": "completed", "action": action});
        let events = vec![("response.web_search_call.searching", json!({"item_id": id}))];
        self.item(item(Value::Null), events, item(json!({"type": "search", "query": query})))
    }
}
