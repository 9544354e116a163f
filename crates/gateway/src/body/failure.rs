//! The event by which a client learns that its answer has failed, under the name that the answer began with.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::sse::{Frame, Splitter};
use memchr::memmem;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a response is called: clients refuse a terminal event that names another one than the first did.
#[derive(Debug, Deserialize)]
struct Response {
    id: String,
    #[serde(default)]
    model: Value,
    #[serde(default)]
    created_at: Value,
}

/// Learns a response's name and makes the event that says that it failed.
#[derive(Debug)]
pub(crate) struct Failure {
    dialect: Dialect,
    begun: Option<Response>,
    /// Nothing more is looked for: names stand at the beginning.
    looked: bool,
}

impl Failure {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, begun: None, looked: dialect != Dialect::Responses }
    }

    /// These frames go out.
    pub(crate) fn saw(&mut self, frames: &[u8]) {
        if self.looked || memmem::find(frames, b"\"response\"").is_none() {
            return;
        }
        self.looked = true;
        let mut splitter = Splitter::new(usize::MAX);
        splitter.push(frames);
        while let Ok(Some(frame)) = splitter.next_frame() {
            self.begun = frame.data.as_deref().and_then(named);
            if self.begun.is_some() {
                return;
            }
        }
    }

    /// The event. `id` is the transaction's, `last` the number of the last event.
    pub(crate) fn event(&self, kind: &str, message: &str, id: &str, last: Option<u64>) -> Bytes {
        let frame = self.dialect.error_frame(kind, message, id, last);
        self.begun.as_ref().and_then(|begun| renamed(&frame, begun)).unwrap_or(frame)
    }
}

fn named(data: &[u8]) -> Option<Response> {
    #[derive(Deserialize)]
    struct Event {
        response: Response,
    }
    serde_json::from_slice::<Event>(data).ok().map(|event| event.response)
}

fn renamed(frame: &Bytes, begun: &Response) -> Option<Bytes> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(frame);
    let frame = splitter.next_frame().ok()??;
    let mut event: Value = serde_json::from_slice(frame.data.as_ref()?).ok()?;
    let response = event.get_mut("response")?.as_object_mut()?;
    for (field, value) in
        [("id", json!(begun.id)), ("model", begun.model.clone()), ("created_at", begun.created_at.clone())]
    {
        response.insert(field.to_owned(), value);
    }
    Some(Frame::write(std::str::from_utf8(&frame.event).ok()?, &event.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_fails_under_its_own_name() {
        let mut failure = Failure::new(Dialect::Responses);
        failure.saw(b": hello\n\n");
        failure.saw(b"data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_7\",\"model\":\"m\",\"created_at\":5,\"tools\":[]}}\n\n");
        let event = failure.event("api_error", "gone", "t-1", Some(3));
        let text = std::str::from_utf8(&event).unwrap();
        let data = text.strip_prefix("event: response.failed\ndata: ").unwrap().trim_end();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&data["sequence_number"], &data["response"]["status"]), (&json!(4), &json!("failed")));
        let response = &data["response"];
        assert_eq!(
            [&response["id"], &response["model"], &response["created_at"]],
            [&json!("resp_7"), &json!("m"), &json!(5)]
        );
    }

    #[test]
    fn without_a_name_it_has_one_of_the_gateways() {
        let mut failure = Failure::new(Dialect::Responses);
        failure.saw(b"data: {\"type\":\"error\",\"response\":null}\n\n");
        let frame = Dialect::Responses.error_frame("api_error", "gone", "t-1", None);
        assert_eq!(failure.event("api_error", "gone", "t-1", None), frame);
    }
}
