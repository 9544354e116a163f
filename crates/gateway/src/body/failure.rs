//! The event by which a client learns that its answer has failed, of the response that the answer began with.

use bytes::Bytes;
use luthien_wire::{Dialect, SoFar, responses};
use memchr::memmem;

/// Learns how a response began, and makes the event that says that it failed.
#[derive(Debug)]
pub(crate) struct Failure {
    dialect: Dialect,
    /// The response as it began: clients refuse a terminal event of another one.
    begun: Option<String>,
    /// Nothing more is looked for: responses begin at the beginning.
    looked: bool,
}

impl Failure {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, begun: None, looked: dialect != Dialect::Responses }
    }

    /// These frames go out.
    pub(crate) fn saw(&mut self, frames: &[u8]) {
        if !self.looked && memmem::find(frames, b"\"response\"").is_some() {
            self.looked = true;
            self.begun = responses::begun(frames);
        }
    }

    /// The event. `id` is the transaction's, `last` the number of the last event.
    pub(crate) fn event(&self, kind: &str, message: &str, id: &str, last: Option<u64>) -> Bytes {
        self.dialect.error_frame(kind, message, id, SoFar { last, begun: self.begun.as_deref() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        let frame = Dialect::Responses.error_frame("api_error", "gone", "t-1", SoFar::default());
        assert_eq!(failure.event("api_error", "gone", "t-1", None), frame);
    }
}
