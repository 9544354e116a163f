//! Watches an answer that its vendor keeps: what became of it, and which of its calls the client did not get.

use std::fmt;
use std::sync::Arc;

use luthien_policy::plan::Summary;
use luthien_wire::json::{elements, member};
use luthien_wire::sse::{Frame, Splitter};
use memchr::memmem;

use super::{OpenCall, OpenCalls};
use crate::errors::GatewayError;
use crate::fates::{Claim, Fate, Fates};

/// Watches one answer.
pub(crate) struct CallWatch {
    calls: Arc<OpenCalls>,
    fates: Arc<Fates>,
    caller: [u8; 16],
    of: Of,
    /// A policy has changed the request, so that the summary alone does not tell what became of the answer.
    request_changed: bool,
    claims: Vec<Claim>,
    vendors: Seen,
    clients: Seen,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A turn: the answer is the last of its conversation.
    Turn,
    /// Something else that makes a new response.
    Other,
    /// Reading a response that is there.
    Read,
}

/// How the review of an answer ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) summary: Summary,
    /// The client's bytes are not the vendor's.
    pub(crate) differs: bool,
    /// The client has got an end.
    pub(crate) ended: bool,
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
    /// Nothing will be added to it any more.
    whole: bool,
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
    /// For an answer to this caller, whose events have at most so many bytes.
    pub(crate) fn new(
        calls: &Arc<OpenCalls>,
        fates: &Arc<Fates>,
        caller: [u8; 16],
        event_bytes: usize,
        of: Of,
    ) -> Self {
        Self {
            calls: Arc::clone(calls),
            fates: Arc::clone(fates),
            caller,
            of,
            request_changed: false,
            claims: Vec::new(),
            vendors: Seen::new(event_bytes),
            clients: Seen::new(event_bytes),
        }
    }

    /// A policy has changed the request or not.
    pub(crate) fn request_changed(mut self, changed: bool) -> Self {
        self.request_changed = changed;
        self
    }

    /// The response is this one. Refused where it is read and may not be.
    pub(crate) fn is_of(&mut self, response: &str) -> Result<(), GatewayError> {
        if self.claims.iter().any(|claim| claim.is_of(response)) {
            return Ok(());
        }
        let claim = if self.of == Of::Read { self.fates.read(response)? } else { self.fates.answer(response) };
        self.claims.push(claim);
        Ok(())
    }

    /// Bytes of the vendor's stream. An error: nothing of them may go on.
    pub(crate) fn came(&mut self, bytes: &[u8]) -> Result<(), GatewayError> {
        self.vendors.push(bytes);
        self.named()
    }

    /// Bytes that the client gets of it.
    pub(crate) fn went(&mut self, bytes: &[u8]) {
        self.clients.push(bytes);
    }

    /// The whole of the vendor's answer, before its review.
    pub(crate) fn whole_came(&mut self, body: &[u8]) -> Result<(), GatewayError> {
        self.vendors.whole(body);
        self.named()
    }

    /// The whole of what the client gets.
    pub(crate) fn whole_went(&mut self, body: &[u8], summary: Summary, differs: bool) {
        self.clients.whole(body);
        self.settle(Ending { summary, differs, ended: true });
    }

    /// The vendor may call the response by another name than the client.
    fn named(&mut self) -> Result<(), GatewayError> {
        let Some(id) = self.vendors.response.take() else { return Ok(()) };
        let known = self.is_of(&id);
        self.vendors.response = Some(id);
        known
    }

    /// The answer is over: what the client has not got by now is withheld. Only the first call counts.
    pub(crate) fn settle(&mut self, ending: Ending) {
        let Ending { summary, differs, ended } = ending;
        let complete = ended && self.vendors.whole && !summary.undecided;
        let given = &self.clients.calls;
        let mut withheld = std::mem::take(&mut self.vendors.calls);
        withheld.retain(|call| !given.contains(call));
        let fate = if summary.intervened && (!self.request_changed || differs) {
            Some(Fate::Changed)
        } else if !complete {
            None
        } else if !withheld.is_empty() || (differs && !summary.repaired) {
            Some(Fate::Changed)
        } else {
            Some(Fate::Released)
        };
        for claim in self.claims.drain(..) {
            if let Some(fate) = fate {
                claim.end(fate);
            }
        }
        let Some(response) = self.vendors.response.take() else { return };
        for call in &mut withheld {
            call.blocked = complete;
        }
        if let (Some(conversation), Of::Turn) = (&self.vendors.conversation, self.of) {
            self.calls.now_open(self.caller, conversation, withheld.clone());
        }
        // A reader who goes at once has closed nothing.
        if complete || !withheld.is_empty() {
            self.calls.now_open(self.caller, &response, withheld);
        }
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
            whole: false,
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
        const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];
        const HEADS: [&str; 2] = ["response.created", "response.output_item.done"];
        let Some(data) = &frame.data else { return };
        if !HEADS.iter().chain(&ENDS).any(|head| memmem::find(data, head.as_bytes()).is_some()) {
            return;
        }
        let Ok(event) = std::str::from_utf8(data) else { return };
        if let Some(response) = raw(event, "response") {
            self.response(response);
        }
        if let Some(item) = raw(event, "item") {
            self.item(item);
        }
        self.whole |= text(event, "type").is_some_and(|kind| ENDS.contains(&kind.as_str()));
    }

    /// An answer in one piece.
    fn whole(&mut self, body: &[u8]) {
        let Ok(body) = std::str::from_utf8(body) else { return };
        self.response(body);
        let status = text(body, "status");
        self.whole = !matches!(status.as_deref(), Some("queued" | "in_progress"));
    }

    /// What cannot be read of it is as if it were not there.
    fn response(&mut self, response: &str) {
        if self.response.is_none() {
            self.response = text(response, "id").filter(|id| !id.is_empty());
        }
        if self.conversation.is_none() {
            let conversation = raw(response, "conversation").unwrap_or_default();
            self.conversation = text(conversation, "id").or_else(|| serde_json::from_str(conversation).ok());
        }
        let output = raw(response, "output").unwrap_or_default();
        for span in elements(output).unwrap_or_default() {
            self.item(&output[span]);
        }
    }

    fn item(&mut self, item: &str) {
        let call = text(item, "type").zip(text(item, "call_id"));
        let Some((kind, id)) = call.filter(|(kind, id)| OpenCall::awaits_output(kind) && !id.is_empty()) else {
            return;
        };
        let call = OpenCall { kind, id, blocked: false };
        if !self.calls.contains(&call) {
            self.calls.push(call);
        }
    }
}

/// The JSON text of a member that is not null.
fn raw<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    // Most items and events have few members: each is looked through anew.
    object.get(member(object, name)?).filter(|value| *value != "null")
}

/// A member that is a text.
fn text(object: &str, name: &str) -> Option<String> {
    serde_json::from_str(raw(object, name)?).ok()
}
