//! One transaction being gathered: every call locks a mutex that nobody else wants and appends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use super::Inner;
use crate::model::{Decision, End, Evaluation, Event, Headers, Start, Status, TransactionId};

/// What was sent upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) upstream: String,
    pub(crate) method: String,
    pub(crate) url: String,
    /// `None`: the client's own.
    pub(crate) body: Option<Bytes>,
}

/// The pieces of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    pub(crate) start: Start,
    pub(crate) sent: Option<Sent>,
    pub(crate) response_status: Option<u16>,
    pub(crate) response_headers: Headers,
    pub(crate) response: Vec<u8>,
    /// `None`: the upstream's own.
    pub(crate) client: Option<Vec<u8>>,
    pub(crate) first_byte: Option<Timestamp>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) events: Vec<Event>,
    pub(crate) evaluation: Evaluation,
    pub(crate) http_status: Option<u16>,
    pub(crate) end: Option<End>,
}

impl Pieces {
    pub(crate) fn new(start: Start) -> Self {
        Self {
            start,
            sent: None,
            response_status: None,
            response_headers: Headers::new(),
            response: Vec::new(),
            client: None,
            first_byte: None,
            decisions: Vec::new(),
            events: Vec::new(),
            evaluation: Evaluation::NotEvaluated,
            http_status: None,
            end: None,
        }
    }
}

/// The pieces, shared between the gateway, the journal and the writer.
#[derive(Debug)]
pub(crate) struct Gather {
    pieces: Mutex<Pieces>,
}

impl Gather {
    pub(crate) fn new(start: Start) -> Self {
        Self { pieces: Mutex::new(Pieces::new(start)) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction in flight. Dropped without [`InFlight::finish`], it is recorded as `client_disconnected`.
#[derive(Debug)]
pub struct InFlight {
    id: TransactionId,
    recorder: Arc<Inner>,
    gather: Arc<Gather>,
    finished: bool,
}

impl InFlight {
    pub(super) fn new(recorder: Arc<Inner>, gather: Arc<Gather>) -> Self {
        let id = gather.lock().start.id;
        Self { id, recorder, gather, finished: false }
    }

    /// The transaction's id.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Changes what was known at the start: body, model and session become known after the head. The id stays.
    pub fn set_start(&self, change: impl FnOnce(&mut Start)) {
        let start = &mut self.gather.lock().start;
        change(start);
        start.id = self.id;
    }

    /// What is sent upstream. Called again for another attempt, it drops the earlier attempt's answer.
    pub fn upstream_request(&self, upstream: &str, method: &str, url: &str, body: &Bytes) {
        let mut pieces = self.gather.lock();
        let own = (*body != pieces.start.request).then(|| body.clone());
        let sent = Sent { upstream: upstream.into(), method: method.into(), url: url.into(), body: own };
        if pieces.sent.replace(sent).is_some() {
            pieces.response_status = None;
            pieces.response_headers.clear();
            pieces.response.clear();
        }
    }

    /// The head of the upstream's answer, without credentials.
    pub fn upstream_response(&self, status: u16, headers: Headers) {
        let mut pieces = self.gather.lock();
        pieces.response_status = Some(status);
        pieces.response_headers = headers;
    }

    /// Bytes of the upstream's answer, as received.
    pub fn upstream_bytes(&self, bytes: &[u8]) {
        self.gather.lock().response.extend_from_slice(bytes);
    }

    /// Bytes that went to the client; counted only after [`InFlight::own_client_copy`].
    pub fn client_bytes(&self, bytes: &[u8]) {
        if let Some(client) = &mut self.gather.lock().client {
            client.extend_from_slice(bytes);
        }
    }

    /// From here the client's bytes are not the upstream's: they begin with the first `prefix` bytes of the upstream's answer.
    /// A second call changes nothing.
    pub fn own_client_copy(&self, prefix: usize) {
        let mut pieces = self.gather.lock();
        if pieces.client.is_none() {
            let prefix = prefix.min(pieces.response.len());
            pieces.client = Some(pieces.response[..prefix].to_vec());
        }
    }

    /// When the first byte went to the client.
    pub fn first_byte(&self, at: Timestamp) {
        self.gather.lock().first_byte.get_or_insert(at);
    }

    /// A policy's decision.
    pub fn decision(&self, decision: Decision) {
        self.gather.lock().decisions.push(decision);
    }

    /// A policy's event.
    pub fn event(&self, event: Event) {
        self.gather.lock().events.push(event);
    }

    /// What was evaluated so far: counts if the transaction is dropped or interrupted.
    pub fn note_evaluation(&self, evaluation: Evaluation) {
        self.gather.lock().evaluation = evaluation;
    }

    /// The HTTP status that went out: counts if the transaction is dropped or interrupted.
    pub fn note_http_status(&self, status: u16) {
        self.gather.lock().http_status = Some(status);
    }

    /// Ends the transaction and hands it to the writer.
    pub fn finish(mut self, end: End) {
        self.close(|_| end);
    }

    fn close(&mut self, end: impl FnOnce(&Pieces) -> End) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        {
            let mut pieces = self.gather.lock();
            let end = end(&pieces);
            pieces.end = Some(end);
        }
        self.recorder.finished(Arc::clone(&self.gather));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.close(|pieces| End {
            at: Timestamp::now(),
            status: Status::ClientDisconnected,
            http_status: pieces.http_status,
            error: None,
            evaluation: pieces.evaluation,
        });
    }
}
