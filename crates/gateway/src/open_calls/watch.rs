//! Compares the calls that a vendor keeps of a response with those that its client got.

use std::fmt;
use std::sync::Arc;

use luthien_wire::sse::{Frame, Splitter};
use memchr::memmem;
use serde::Deserialize;

use super::{OpenCall, OpenCalls};
use crate::errors::GatewayError;

/// Watches one answer. Dropped, it remembers which calls were withheld.
pub(crate) struct CallWatch {
    calls: Arc<OpenCalls>,
    caller: [u8; 16],
    latest: bool,
    vendors: Seen,
    clients: Seen,
}

/// What one side has of a response.
#[derive(Debug)]
struct Seen {
    splitter: Splitter,
    /// Something could not be read; the rest is not looked at.
    lost: bool,
    response: Option<String>,
    conversation: Option<String>,
    calls: Vec<OpenCall>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    item: Option<Item>,
    #[serde(default)]
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Response {
    id: String,
    #[serde(default)]
    conversation: Option<Conversation>,
    #[serde(default)]
    output: Vec<Item>,
}

#[derive(Deserialize)]
struct Conversation {
    id: String,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    call_id: String,
}

impl fmt::Debug for CallWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallWatch")
            .field("vendors", &self.vendors)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

impl CallWatch {
    /// For an answer to this caller, whose events have at most so many bytes. `latest`: it is an answer to a turn, and so the
    /// last of its conversation, and not one that is read again.
    pub(crate) fn new(calls: Arc<OpenCalls>, caller: [u8; 16], event_bytes: usize, latest: bool) -> Self {
        Self { calls, caller, latest, vendors: Seen::new(event_bytes), clients: Seen::new(event_bytes) }
    }

    /// Bytes of the vendor's stream.
    pub(crate) fn came(&mut self, bytes: &[u8]) {
        self.vendors.push(bytes);
    }

    /// Bytes that the client gets of it.
    pub(crate) fn went(&mut self, bytes: &[u8]) {
        self.clients.push(bytes);
    }

    /// The end of the answer goes out: what the client has not got by now is withheld.
    pub(crate) fn settle(&mut self) {
        let Some(response) = self.vendors.response.take() else { return };
        let given = &self.clients.calls;
        let withheld = std::mem::take(&mut self.vendors.calls).into_iter().filter(|call| !given.contains(call));
        self.remember(&response, self.vendors.conversation.as_deref(), withheld.collect());
    }

    /// Whether this response may be read as a stream: not where calls of it have been withheld before, which another verdict
    /// might let out.
    pub(crate) fn allow_stream(&self, response: &str) -> Result<(), GatewayError> {
        if self.calls.of(self.caller, response).is_empty() {
            return Ok(());
        }
        Err(GatewayError::PolicyBlocked(
            "a policy has blocked a call in this response: read it without `stream`".to_owned(),
        ))
    }

    /// A whole answer: the vendor's, and what the client is to get. Refused if that holds a call that was withheld before:
    /// who asks again does not get a second verdict.
    pub(crate) fn whole(&self, vendors: &[u8], clients: &[u8]) -> Result<(), GatewayError> {
        let Some(vendors) = read(vendors) else { return Ok(()) };
        let given: Vec<OpenCall> = calls(read(clients).map(|response| response.output).unwrap_or_default()).collect();
        let before = self.calls.of(self.caller, &vendors.id);
        if given.iter().any(|call| before.contains(call)) {
            let why = "this response holds a call that a policy has blocked before; it is not handed out";
            return Err(GatewayError::PolicyBlocked(why.to_owned()));
        }
        let withheld = calls(vendors.output).filter(|call| !given.contains(call)).collect();
        let conversation = vendors.conversation.map(|conversation| conversation.id);
        self.remember(&vendors.id, conversation.as_deref(), withheld);
        Ok(())
    }

    fn remember(&self, response: &str, conversation: Option<&str>, withheld: Vec<OpenCall>) {
        if let (Some(conversation), true) = (conversation, self.latest) {
            self.calls.conversation(self.caller, conversation, withheld.clone());
        }
        if !withheld.is_empty() {
            self.calls.remember(self.caller, response, withheld);
        }
    }
}

impl Drop for CallWatch {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Seen {
    fn new(event_bytes: usize) -> Self {
        Self {
            splitter: Splitter::new(event_bytes),
            lost: false,
            response: None,
            conversation: None,
            calls: Vec::new(),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.lost {
            return;
        }
        self.splitter.push(bytes);
        loop {
            match self.splitter.next_frame() {
                Ok(Some(frame)) => self.frame(&frame),
                Ok(None) => return,
                Err(_) => {
                    self.lost = true;
                    return;
                }
            }
        }
    }

    fn frame(&mut self, frame: &Frame) {
        let Some(data) = &frame.data else { return };
        let heads =
            [&b"response.created"[..], b"response.output_item.done", b"response.completed", b"response.incomplete"];
        if !heads.iter().any(|head| memmem::find(data, head).is_some()) {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
        if let Some(response) = event.response {
            self.add(response);
        }
        self.extend(event.item);
    }

    fn add(&mut self, response: Response) {
        self.response.get_or_insert(response.id);
        self.conversation = self.conversation.take().or(response.conversation.map(|conversation| conversation.id));
        self.extend(response.output);
    }

    fn extend(&mut self, items: impl IntoIterator<Item = Item>) {
        for call in calls(items) {
            if !self.calls.contains(&call) {
                self.calls.push(call);
            }
        }
    }
}

fn read(body: &[u8]) -> Option<Response> {
    serde_json::from_slice(body).ok()
}

fn calls(items: impl IntoIterator<Item = Item>) -> impl Iterator<Item = OpenCall> {
    items
        .into_iter()
        .filter(|item| OpenCall::awaits_output(&item.kind) && !item.call_id.is_empty())
        .map(|item| OpenCall { kind: item.kind, id: item.call_id })
}
