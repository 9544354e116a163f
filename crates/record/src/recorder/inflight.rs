//! One transaction being gathered: every call locks a mutex that nobody else wants and appends.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use luthien_wire::Dialect;

use super::gather::{Gather, Pieces, Sent};
use super::shared::Shared;
use crate::model::{Decision, End, Evaluation, Event, Headers, RawHeads, Start, Status, TransactionId};

/// What is sent upstream.
#[derive(Clone, Copy, Debug)]
pub struct SentRequest<'a> {
    /// The upstream's name.
    pub upstream: &'a str,
    /// The method.
    pub method: &'a str,
    /// The URL, without credentials.
    pub url: &'a str,
    /// What the upstream speaks.
    pub dialect: Dialect,
    /// The client's request as the policies left it, in the client's dialect.
    pub edited: &'a Bytes,
    /// The body that is sent.
    pub body: &'a Bytes,
}

/// What is known of a transaction beside its bodies.
#[derive(Clone, Debug)]
pub struct Outline {
    /// What was known at the start, without the request's body.
    pub start: Start,
    /// The upstream that was asked last.
    pub upstream: Option<String>,
    /// When the first byte went to the client.
    pub first_byte: Option<Timestamp>,
    /// The first decisions, as many as were wanted.
    pub decisions: Vec<Decision>,
    /// How many more there are.
    pub decisions_left_out: usize,
}

/// A transaction in flight. Dropped without [`InFlight::finish`], it is recorded as `client_disconnected`.
#[derive(Debug)]
pub struct InFlight {
    id: TransactionId,
    shared: Arc<Shared>,
    gather: Arc<Gather>,
    finished: bool,
}

impl InFlight {
    pub(super) fn new(shared: Arc<Shared>, gather: Arc<Gather>) -> Self {
        let id = gather.lock().pieces.start.id;
        Self { id, shared, gather, finished: false }
    }

    /// The transaction's id.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Changes what was known at the start: body, model and session become known after the head. The id stays.
    pub fn set_start(&self, change: impl FnOnce(&mut Start)) {
        let mut state = self.gather.lock();
        state.kept.start = false;
        let start = &mut state.pieces.start;
        change(start);
        start.id = self.id;
    }

    /// What is sent upstream. Called again for another attempt, before anything has gone to the client, it drops the earlier
    /// attempt's answer. From an upstream of another dialect no byte goes to the client as it came, so that the client's copy
    /// is its own from the start (see [`InFlight::own_client_copy`]).
    pub fn upstream_request(&self, request: &SentRequest<'_>) {
        let mut state = self.gather.lock();
        let start = &state.pieces.start;
        let converted = request.dialect != start.dialect;
        let unsaid = if converted { &start.request } else { request.body };
        let sent = Sent {
            upstream: request.upstream.into(),
            method: request.method.into(),
            url: request.url.into(),
            dialect: converted.then_some(request.dialect),
            body: unlike(request.body, &start.request),
            edited: unlike(request.edited, unsaid),
        };
        state.kept.sent = false;
        if state.pieces.sent.replace(sent).is_some() {
            state.kept.facts = false;
            state.kept.response = 0;
            state.pieces.response_status = None;
            state.pieces.response_headers.clear();
            state.pieces.response.clear();
        }
        state.redacting.another_attempt();
        state.kept.client = None;
        state.pieces.client = converted.then(Vec::new);
    }

    /// The head of the upstream's answer, without credentials.
    pub fn upstream_response(&self, status: u16, headers: Headers) {
        self.facts(|pieces| {
            pieces.response_status = Some(status);
            pieces.response_headers = headers;
        });
    }

    /// Bytes of the upstream's answer, as received.
    pub fn upstream_bytes(&self, bytes: &[u8]) {
        self.gather.lock().pieces.response.extend_from_slice(bytes);
    }

    /// Bytes that went to the client; counted only after [`InFlight::own_client_copy`].
    pub fn client_bytes(&self, bytes: &[u8]) {
        if let Some(client) = &mut self.gather.lock().pieces.client {
            client.extend_from_slice(bytes);
        }
    }

    /// From here the client's bytes are not the upstream's: they begin with the first `prefix` bytes of the upstream's answer.
    /// A second call changes nothing.
    pub fn own_client_copy(&self, prefix: usize) {
        let pieces = &mut self.gather.lock().pieces;
        if pieces.client.is_none() {
            let prefix = prefix.min(pieces.response.len());
            pieces.client = Some(pieces.response[..prefix].to_vec());
        }
    }

    /// When the first byte went to the client.
    pub fn first_byte(&self, at: Timestamp) {
        self.facts(|pieces| {
            pieces.first_byte.get_or_insert(at);
        });
    }

    /// A policy's decision.
    pub fn decision(&self, decision: Decision) {
        self.facts(|pieces| pieces.decisions.push(decision));
    }

    /// A policy's event.
    pub fn event(&self, event: Event) {
        self.facts(|pieces| pieces.events.push(event));
    }

    /// What is known so far, with so many decisions at most.
    pub fn outline(&self, most: usize) -> Outline {
        let state = self.gather.lock();
        let pieces = &state.pieces;
        Outline {
            start: Start { request: Bytes::new(), ..pieces.start.clone() },
            upstream: pieces.sent.as_ref().map(|sent| sent.upstream.clone()),
            first_byte: pieces.first_byte,
            decisions: pieces.decisions.iter().take(most).cloned().collect(),
            decisions_left_out: pieces.decisions.len().saturating_sub(most),
        }
    }

    /// What was evaluated so far: counts if the transaction is dropped or interrupted.
    pub fn note_evaluation(&self, evaluation: Evaluation) {
        self.facts(|pieces| pieces.evaluation = evaluation);
    }

    /// The HTTP status that went out: counts if the transaction is dropped or interrupted.
    pub fn note_http_status(&self, status: u16) {
        self.facts(|pieces| pieces.http_status = Some(status));
    }

    /// Ends the transaction and hands it to the writer.
    pub fn finish(mut self, end: End) {
        self.close(|_| end);
    }

    /// Adds to the heads of the raw exchanges; for those whose HTTP is logged.
    pub fn heads(&self, change: impl FnOnce(&mut RawHeads)) {
        let mut state = self.gather.lock();
        state.kept.heads = false;
        change(state.pieces.heads.get_or_insert_default());
    }

    fn facts(&self, change: impl FnOnce(&mut Pieces)) {
        let mut state = self.gather.lock();
        state.kept.facts = false;
        change(&mut state.pieces);
    }

    fn close(&mut self, end: impl FnOnce(&Pieces) -> End) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let size = {
            let mut state = self.gather.lock();
            let end = end(&state.pieces);
            state.pieces.end = Some(end);
            state.finished = Some(Instant::now());
            state.pieces.size()
        };
        self.shared.finished(&self.gather, size);
    }
}

/// The bytes, unless they are those of `other`.
fn unlike(bytes: &Bytes, other: &Bytes) -> Option<Bytes> {
    let same = (bytes.as_ptr(), bytes.len()) == (other.as_ptr(), other.len()) || bytes == other;
    (!same).then(|| bytes.clone())
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.close(|pieces| End {
            at: super::now(),
            status: Status::ClientDisconnected,
            http_status: pieces.http_status,
            error: None,
            evaluation: pieces.evaluation,
        });
    }
}
