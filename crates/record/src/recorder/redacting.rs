//! Takes what is not to be stored out of a transaction: of what the journal keeps on the way, and of the whole once it has ended.
//!
//! What is under way stays as it came, since the rest is compared with it. The journal gets copies, and of an answer only what
//! can be looked at for itself, whatever comes. The copies are made off the way of requests, with nothing locked.

use bytes::Bytes;

use super::gather::{Gather, Pieces, Sent, State};
use crate::model::{Decision, End, Event, Headers, RawHeads, Start};
use crate::redact::{Redactor, closed};

/// How far a transaction has been looked at.
#[derive(Debug, Default)]
pub(crate) struct Redacting {
    redactor: Redactor,
    /// Counts the requests to upstreams: another one begins another answer.
    attempt: u32,
    /// The client's request, and what the journal has of it.
    request: Option<(Bytes, Bytes)>,
    /// What was sent upstream in this attempt, as the journal has it.
    sent: Option<Sent>,
    response: Prefix,
    client: Prefix,
    /// The pieces themselves have been redacted.
    sealed: bool,
}

/// The beginning of a body.
#[derive(Debug, Default)]
struct Prefix {
    /// So many of its bytes have been looked at.
    upto: usize,
    /// What became of them.
    redacted: Vec<u8>,
}

impl Prefix {
    fn append(&mut self, length: usize, redacted: &[u8]) {
        self.upto += length;
        self.redacted.extend_from_slice(redacted);
    }

    /// The whole body.
    fn seal(&mut self, redactor: &Redactor, body: &[u8]) -> Vec<u8> {
        let rest = body.get(self.upto..).unwrap_or_default();
        let mut whole = std::mem::take(&mut self.redacted);
        match redactor.body(rest) {
            Some(redacted) => whole.extend_from_slice(&redacted),
            None => whole.extend_from_slice(rest),
        }
        whole
    }
}

/// What the journal may have of a transaction.
pub(crate) struct Keepable<'a> {
    pub(crate) start: Start,
    pub(crate) sent: Option<Sent>,
    pub(crate) response: &'a [u8],
    pub(crate) client: Option<&'a [u8]>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) events: Vec<Event>,
    pub(crate) response_headers: Headers,
    pub(crate) heads: Option<Box<RawHeads>>,
    /// Comes last: whoever reads the journal takes nothing that follows it.
    pub(crate) end: Option<&'a End>,
}

/// What is to be looked at.
struct Work {
    redactor: Redactor,
    attempt: u32,
    request: Option<Bytes>,
    sent: Option<Sent>,
    response: Vec<u8>,
    client: Vec<u8>,
}

impl Redacting {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self { redactor, ..Self::default() }
    }

    /// Another request goes upstream: what came of the one before counts no more.
    pub(crate) fn another_attempt(&mut self) {
        self.attempt += 1;
        self.sent = None;
        (self.response, self.client) = Default::default();
    }

    /// Nothing is looked for, or all has been done.
    fn is_done(&self) -> bool {
        self.sealed || self.redactor.is_idle()
    }
}

impl State {
    /// What the journal may have now; `None` if nothing yet.
    pub(crate) fn keepable(&self) -> Option<Keepable<'_>> {
        let (pieces, redacting) = (&self.pieces, &self.redacting);
        let (mut start, mut sent) = (pieces.start.clone(), pieces.sent.clone());
        let (mut decisions, mut events) = (pieces.decisions.clone(), pieces.events.clone());
        let (mut response_headers, mut heads) = (pieces.response_headers.clone(), pieces.heads.clone());
        if redacting.is_done() {
            let (response, client) = (&pieces.response[..], pieces.client.as_deref());
            let end = pieces.end.as_ref();
            return Some(Keepable { start, sent, response, client, decisions, events, response_headers, heads, end });
        }
        let redactor = &redacting.redactor;
        let (_, request) = redacting.request.as_ref().filter(|(raw, _)| is_same(raw, &pieces.start.request))?;
        start.request = request.clone();
        redact_start(redactor, &mut start);
        sent = sent.and(redacting.sent.clone());
        redact_said(redactor, &mut decisions, &mut events);
        redact_headers(redactor, &mut response_headers);
        if let Some(heads) = &mut heads {
            redact_heads(redactor, heads);
        }
        let response = &redacting.response.redacted[..];
        let client = pieces.client.as_ref().map(|_| &redacting.client.redacted[..]);
        // It may have ended while it was looked at: the rest of its bodies has not been, and the end waits for that.
        Some(Keepable { start, sent, response, client, decisions, events, response_headers, heads, end: None })
    }

    /// Redacts a transaction that has ended. What the journal has stays as it is.
    pub(crate) fn seal(&mut self) {
        if self.redacting.is_done() || self.pieces.end.is_none() {
            return;
        }
        let Self { pieces, redacting, .. } = self;
        let redactor = redacting.redactor.clone();
        let Pieces { start, sent, response, client, decisions, events, end, response_headers, heads, .. } = pieces;
        redact_headers(&redactor, response_headers);
        if let Some(heads) = heads {
            redact_heads(&redactor, heads);
        }
        start.request = match redacting.request.take().filter(|(raw, _)| is_same(raw, &start.request)) {
            Some((_, redacted)) => redacted,
            None => redact_body(&redactor, &start.request),
        };
        redact_start(&redactor, start);
        if let Some(sent) = sent {
            *sent = redacting.sent.take().unwrap_or_else(|| redact_sent(&redactor, sent));
        }
        *response = redacting.response.seal(&redactor, response);
        if let Some(client) = client {
            *client = redacting.client.seal(&redactor, client);
        }
        redact_said(&redactor, decisions, events);
        if let Some(End { error: Some(error), .. }) = end {
            redactor.text_in(error);
        }
        redacting.sealed = true;
    }

    fn work(&self) -> Option<Work> {
        let (pieces, redacting) = (&self.pieces, &self.redacting);
        let request = &pieces.start.request;
        let known = redacting.request.as_ref().is_some_and(|(raw, _)| is_same(raw, request));
        let new = |body: &[u8], prefix: &Prefix| body.get(prefix.upto..).unwrap_or_default().to_vec();
        (!redacting.is_done()).then(|| Work {
            redactor: redacting.redactor.clone(),
            attempt: redacting.attempt,
            request: (!known).then(|| request.clone()),
            sent: pieces.sent.clone().filter(|_| redacting.sent.is_none()),
            response: new(&pieces.response, &redacting.response),
            client: new(pieces.client.as_deref().unwrap_or_default(), &redacting.client),
        })
    }
}

impl Gather {
    /// Makes ready what the journal may have. One at a time; locked only while bytes are copied.
    pub(crate) fn redact(&self) {
        let work = {
            let mut state = self.lock();
            state.seal();
            state.work()
        };
        let Some(Work { redactor, attempt, request, sent, response, client }) = work else { return };
        let request = request.map(|raw| (raw.clone(), redact_body(&redactor, &raw)));
        let sent = sent.map(|sent| redact_sent(&redactor, &sent));
        let [response, client] = [response, client].map(|body| {
            let length = closed(&body);
            let body = &body[..length];
            (length, redactor.body(body).unwrap_or_else(|| body.to_vec()))
        });
        let mut state = self.lock();
        let redacting = &mut state.redacting;
        if redacting.sealed {
            return;
        }
        redacting.request = request.or(redacting.request.take());
        if redacting.attempt == attempt {
            redacting.sent = sent.or(redacting.sent.take());
            redacting.response.append(response.0, &response.1);
            redacting.client.append(client.0, &client.1);
        }
    }
}

/// The same bytes in the same place.
fn is_same(one: &Bytes, other: &Bytes) -> bool {
    (one.as_ptr(), one.len()) == (other.as_ptr(), other.len())
}

fn redact_body(redactor: &Redactor, body: &Bytes) -> Bytes {
    redactor.body(body).map_or_else(|| body.clone(), Bytes::from)
}

fn redact_start(redactor: &Redactor, start: &mut Start) {
    redactor.text_in(&mut start.path);
    redactor.text_in(&mut start.model);
    for name in [&mut start.session_id, &mut start.user_id].into_iter().flatten() {
        redactor.text_in(name);
    }
}

fn redact_headers(redactor: &Redactor, headers: &mut Headers) {
    for (_, value) in headers {
        redactor.text_in(value);
    }
}

fn redact_heads(redactor: &Redactor, heads: &mut RawHeads) {
    for heads in [&mut heads.inbound].into_iter().chain(&mut heads.outbound) {
        redactor.text_in(&mut heads.url);
        redact_headers(redactor, &mut heads.request_headers);
        redact_headers(redactor, &mut heads.response_headers);
    }
}

fn redact_sent(redactor: &Redactor, sent: &Sent) -> Sent {
    let mut url = sent.url.clone();
    redactor.text_in(&mut url);
    let [body, edited] = [&sent.body, &sent.edited].map(|body| body.as_ref().map(|body| redact_body(redactor, body)));
    Sent { url, body, edited, ..sent.clone() }
}

fn redact_said(redactor: &Redactor, decisions: &mut [Decision], events: &mut [Event]) {
    for decision in decisions {
        redact_decision(redactor, decision);
    }
    for event in events {
        redactor.value(&mut event.data);
    }
}

pub(super) fn redact_decision(redactor: &Redactor, decision: &mut Decision) {
    redactor.value(&mut decision.target);
    if let Some(reason) = &mut decision.reason {
        redactor.text_in(reason);
    }
}
