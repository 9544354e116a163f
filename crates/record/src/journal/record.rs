//! The journal's records: length, checksum, kind, the transaction's id, and what is new.

use bytes::Bytes;
use luthien_wire::Dialect;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::model::{Decision, End, Evaluation, Event, Headers, Start, TransactionId};
use crate::recorder::gather::{Kept, Pieces, Sent, State};
use crate::recorder::redacting::Keepable;

const START: u8 = 1;
const SENT: u8 = 2;
const FACTS: u8 = 3;
const RESPONSE: u8 = 4;
const CLIENT_BEGINS: u8 = 5;
const CLIENT: u8 = 6;
const END: u8 = 7;
const LATE: u8 = 8;
const HEADS: u8 = 9;

/// Length and checksum before each record.
const HEAD: usize = 8;

/// What is small and changes on the way: written whole whenever it has changed.
#[derive(Serialize, Deserialize)]
struct Facts {
    response_status: Option<u16>,
    response_headers: Headers,
    first_byte: Option<jiff::Timestamp>,
    decisions: Vec<Decision>,
    events: Vec<Event>,
    evaluation: Evaluation,
    http_status: Option<u16>,
}

#[derive(Serialize, Deserialize)]
struct SentHead {
    upstream: String,
    method: String,
    url: String,
    own: bool,
    dialect: Option<Dialect>,
    /// How many bytes at the end are what the policies made of the request, if that is a body of its own.
    edited: Option<usize>,
}

impl SentHead {
    fn with(self, mut bodies: Bytes) -> Sent {
        let Self { upstream, method, url, own, dialect, edited } = self;
        let edited = edited.map(|length| bodies.split_off(bodies.len().saturating_sub(length)));
        Sent { upstream, method, url, dialect, body: own.then_some(bodies), edited }
    }
}

/// A record as it was read.
pub(super) enum Read {
    /// Something of a transaction.
    Piece(Uuid, Piece),
    /// A late decision, with the key that tells it from others.
    Late { key: [u8; 16], id: TransactionId, decision: Decision },
    /// Something that cannot be read, of this transaction unless that is what is damaged.
    Damaged(Uuid),
}

/// What a record says of its transaction.
pub(super) struct Piece {
    kind: u8,
    rest: Bytes,
}

/// Appends records of what was not kept yet, and gives what is kept once they are on disk.
pub(crate) fn write_new(state: &State, out: &mut Vec<u8>) -> Kept {
    let (pieces, mut kept) = (&state.pieces, state.kept);
    let Some(keepable) = state.keepable() else { return kept };
    let Keepable { start, sent, response, client, decisions, events, response_headers, heads, end } = keepable;
    let id = start.id.0;
    if !kept.start {
        with_bodies(out, START, id, &start, &[&start.request]);
        kept.start = true;
    }
    if let Some(sent) = sent.filter(|_| !kept.sent) {
        let Sent { upstream, method, url, dialect, body, edited } = sent;
        let (own, edited_length) = (body.is_some(), edited.as_ref().map(Bytes::len));
        let head = SentHead { upstream, method, url, own, dialect, edited: edited_length };
        let bodies = [body.as_deref().unwrap_or_default(), edited.as_deref().unwrap_or_default()];
        with_bodies(out, SENT, id, &head, &bodies);
        kept.sent = true;
    }
    if !kept.facts {
        let facts = Facts {
            response_status: pieces.response_status,
            response_headers,
            first_byte: pieces.first_byte,
            decisions,
            events,
            evaluation: pieces.evaluation,
            http_status: pieces.http_status,
        };
        with_json(out, FACTS, id, &facts);
        kept.facts = true;
    }
    if let Some(heads) = heads.filter(|_| !kept.heads) {
        with_json(out, HEADS, id, &heads);
        kept.heads = true;
    }
    if response.len() > kept.response {
        frame(out, RESPONSE, id, |out| out.extend_from_slice(&response[kept.response..]));
        kept.response = response.len();
    }
    if let Some(client) = client
        && kept.client != Some(client.len())
    {
        let (kind, from) = kept.client.map_or((CLIENT_BEGINS, 0), |from| (CLIENT, from));
        frame(out, kind, id, |out| out.extend_from_slice(&client[from..]));
        kept.client = Some(client.len());
    }
    if let Some(end) = end.filter(|_| !kept.end) {
        with_json(out, END, id, end);
        kept.end = true;
    }
    kept
}

/// Appends the record of a late decision.
pub(crate) fn write_late(out: &mut Vec<u8>, key: [u8; 16], id: TransactionId, decision: &Decision) {
    let decision = serde_json::to_vec(decision).unwrap_or_default();
    frame(out, LATE, id.0, |out| {
        out.extend_from_slice(&key);
        out.extend_from_slice(&decision);
    });
}

fn with_json(out: &mut Vec<u8>, kind: u8, id: Uuid, head: &impl Serialize) {
    let head = serde_json::to_vec(head).unwrap_or_default();
    frame(out, kind, id, |out| out.extend_from_slice(&head));
}

fn with_bodies(out: &mut Vec<u8>, kind: u8, id: Uuid, head: &impl Serialize, bodies: &[&[u8]]) {
    let head = serde_json::to_vec(head).unwrap_or_default();
    frame(out, kind, id, |out| {
        out.extend_from_slice(&(head.len() as u64).to_le_bytes());
        out.extend_from_slice(&head);
        for body in bodies {
            out.extend_from_slice(body);
        }
    });
}

fn frame(out: &mut Vec<u8>, kind: u8, id: Uuid, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    out.push(kind);
    out.extend_from_slice(id.as_bytes());
    fill(out);
    let payload = &out[start + HEAD..];
    // Bodies are limited far below what the length can say; one that is not would fail its checksum and be left out.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let sum = crc32fast::hash(payload);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// Takes the next record off `bytes`; `None` at the end, and where it is torn, so that nobody knows what follows.
pub(super) fn read(bytes: &mut Bytes) -> Option<Read> {
    let length = usize::try_from(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let sum = u32::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
    if bytes.len() - HEAD < length || length < 17 {
        return None;
    }
    let payload = bytes.slice(HEAD..HEAD + length);
    *bytes = bytes.slice(HEAD + length..);
    let whole = crc32fast::hash(&payload) == sum;
    Some(whole.then(|| parse(payload.clone())).flatten().unwrap_or_else(|| Read::Damaged(id_of(&payload))))
}

fn id_of(payload: &[u8]) -> Uuid {
    payload.get(1..17).and_then(|id| Uuid::from_slice(id).ok()).unwrap_or_default()
}

fn parse(mut payload: Bytes) -> Option<Read> {
    let id = id_of(&payload);
    let kind = payload.split_to(17)[0];
    if kind == LATE {
        let key = payload.get(..16)?.try_into().ok()?;
        let decision = serde_json::from_slice(&payload[16..]).ok()?;
        return Some(Read::Late { key, id: TransactionId(id), decision });
    }
    Some(Read::Piece(id, Piece { kind, rest: payload }))
}

impl Piece {
    /// The pieces that this record begins; `None` if it is not a start.
    pub(super) fn begins(&self) -> Option<Pieces> {
        (self.kind == START).then(|| self.head::<Start>())?.map(|(mut start, body)| {
            start.request = body;
            Pieces::new(start)
        })
    }

    /// Adds what this record says.
    pub(super) fn apply(self, pieces: &mut Pieces) {
        match self.kind {
            START => {
                if let Some((start, body)) = self.head::<Start>() {
                    pieces.start = Start { request: body, ..start };
                }
            }
            SENT => {
                if let Some((head, body)) = self.head::<SentHead>() {
                    pieces.client = head.dialect.is_some().then(Vec::new);
                    pieces.sent = Some(head.with(body));
                    pieces.response.clear();
                }
            }
            FACTS => {
                if let Some(facts) = self.json::<Facts>() {
                    pieces.response_status = facts.response_status;
                    pieces.response_headers = facts.response_headers;
                    pieces.first_byte = facts.first_byte;
                    pieces.decisions = facts.decisions;
                    pieces.events = facts.events;
                    pieces.evaluation = facts.evaluation;
                    pieces.http_status = facts.http_status;
                }
            }
            RESPONSE => pieces.response.extend_from_slice(&self.rest),
            CLIENT_BEGINS => pieces.client = Some(self.rest.to_vec()),
            CLIENT => {
                if let Some(client) = &mut pieces.client {
                    client.extend_from_slice(&self.rest);
                }
            }
            END => pieces.end = self.json::<End>(),
            HEADS => pieces.heads = self.json(),
            _ => {}
        }
    }

    fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.rest).ok()
    }

    fn head<T: DeserializeOwned>(&self) -> Option<(T, Bytes)> {
        let length = usize::try_from(u64::from_le_bytes(self.rest.get(..8)?.try_into().ok()?)).ok()?;
        let head = self.rest.get(8..length.checked_add(8)?)?;
        // A copy: a slice would hold the whole segment in memory for as long as the body.
        Some((serde_json::from_slice(head).ok()?, Bytes::copy_from_slice(&self.rest[8 + length..])))
    }
}
