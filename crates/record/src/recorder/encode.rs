//! Pieces become rows: bodies are split, hashed and packed, and what was stored before is only referred to.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroUsize;
use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;
use lru::LruCache;
use luthien_wire::Dialect;
use uuid::Uuid;

use super::gather::Pieces;
use super::heads::logs;
use super::preflight::is_preflight;
use super::recent::{Link, Recent, Recents};
use super::texts::Said;
use crate::body::identity::understand;
use crate::body::manifest::{Piece, pieces, put};
use crate::body::marks::cut;
use crate::body::pack::Packer;
use crate::body::split::{Outline, Part, split};
use crate::body::{Hash, ROOT, chain_hash, content_hash};
use crate::history::{Course, lifecycle};
use crate::model::{Decision, End, Start, Status, TransactionId};
use crate::sql::bodies::{ContentRow, NodeBytes, NodeRow};
use crate::sql::references::Reference;
use crate::sql::sessions::session_key;
use crate::sql::transactions::{Batch, LateRow, TransactionRow};
use crate::words::MOST_UNDERSTOOD;

/// Messages up to this many bytes are not worth a row of their own.
const SMALL_MESSAGE: usize = 512;

/// Nor are those that take no more when packed, where no cache marks move along the history: these have a message come again in another
/// node.
const SMALL_PACKED_MESSAGE: usize = 900;

/// Nor are answers of so many bytes when packed: they hardly ever come twice.
const SMALL_ANSWER: usize = 1536;

/// Longer pieces than this are not packed to find out.
const MAYBE_SMALL: usize = 16 << 10;

/// How many contents and nodes are remembered as stored.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(32_767);

/// What is remembered of a node.
#[derive(Clone, Debug)]
struct Known {
    identity: Hash,
    preview: Option<Box<str>>,
}

/// Makes rows, remembering what it has made.
#[derive(Debug)]
pub(super) struct Encoder {
    packer: Packer,
    contents: LruCache<Hash, ()>,
    nodes: LruCache<Hash, Known>,
    recents: Recents,
    referred: LruCache<Reference, ()>,
    batch: Batch,
    manifest: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            packer: Packer::new(),
            contents: LruCache::new(REMEMBERED),
            nodes: LruCache::new(REMEMBERED),
            recents: Recents::new(),
            referred: LruCache::new(REMEMBERED),
            batch: Batch::default(),
            manifest: Vec::new(),
        }
    }

    /// Forgets everything: the rows made so far may not have been stored.
    pub(super) fn forget(&mut self) {
        self.contents.clear();
        self.nodes.clear();
        self.recents.clear();
        self.referred.clear();
        self.batch = Batch::default();
    }

    /// The rows made since the last call.
    pub(super) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// A late decision; `key` tells it from others.
    pub(super) fn late(&mut self, key: [u8; 16], id: TransactionId, decision: &Decision) {
        let decision = json(decision).unwrap_or_default();
        self.batch.late.push(LateRow { id: Uuid::from_bytes(key), transaction: id.0, decision });
    }

    /// A transaction.
    pub(super) fn transaction(&mut self, pieces: &Pieces) {
        let start = &pieces.start;
        let mut end = pieces.end.clone().unwrap_or_else(|| interrupted(pieces, start.at));
        if pieces.incomplete {
            let why = end.error.map(|why| why + "; ").unwrap_or_default();
            end.error = Some(why + "part of this record was damaged in the journal and is missing");
        }
        let name = start.session_id.clone().unwrap_or_else(|| start.id.to_string());
        let credential = start.credential.map(Vec::from).unwrap_or_default();
        let session = session_key(&name, &credential);
        let outline = split(start.dialect, &start.request);
        let turn = start.conversation && !is_preflight(&start.request, &outline, start.session_id.is_some());
        let client = Origin { caller: caller(start, Whose::Client), session, turn, dialect: start.dialect };
        let Encoded { packed: request, last, known } = self.request(&start.request, &outline, client);
        let (sent, dialect) = (pieces.sent.as_ref(), pieces.sent.as_ref().and_then(|sent| sent.dialect));
        let mut other = |body, dialect, whose| {
            let origin = Origin { caller: caller(start, whose), session, turn: false, dialect };
            self.request(body, &split(dialect, body), origin).packed
        };
        let edited = sent.and_then(|sent| sent.edited.as_ref());
        let edited_request = edited.map(|body| other(body, start.dialect, Whose::Policies));
        let own = sent.and_then(|sent| sent.body.as_ref());
        let upstream_request = own.map(|body| other(body, dialect.unwrap_or(start.dialect), Whose::Upstream));
        let upstream_response = (!pieces.response.is_empty()).then(|| self.response(&pieces.response, session));
        let client = pieces.client.as_ref().filter(|client| **client != pieces.response);
        let client_response = client.map(|client| self.response(client, session));
        let course = Course {
            status: end.status,
            sent: pieces.sent.is_some(),
            answered: pieces.response_status.is_some(),
            responded: end.http_status.is_some(),
        };
        let events = lifecycle(course, start.streamed).len() + pieces.events.len() + pieces.decisions.len();
        let preview = last.map_or_else(
            || understand(&start.request[outline.text.clone()?])?.preview,
            |last| self.preview(&last, &start.request, &outline.messages),
        );
        if turn {
            let said = Said {
                dialect: start.dialect,
                request: &start.request,
                outline: &outline,
                known,
                upstream: dialect.unwrap_or(start.dialect),
                answer: &pieces.response,
                own: client.map(Vec::as_slice),
            };
            self.batch.texts.extend(said.rows(start.id.0, session));
        }
        self.batch.logs.extend(logs(pieces, end.http_status));
        self.batch.transactions.push(TransactionRow {
            id: start.id.0,
            session_key: session,
            session: name,
            credential,
            started_at: start.at,
            first_byte_at: pieces.first_byte,
            ended_at: end.at,
            dialect: start.dialect.name().into(),
            path: start.path.clone(),
            turn,
            user_id: start.user_id.clone(),
            model: start.model.clone(),
            streamed: start.streamed,
            policy: start.policy.clone(),
            status: end.status.name().into(),
            http_status: end.http_status,
            error: end.error,
            evaluation: end.evaluation.name().into(),
            event_count: i64::try_from(events).unwrap_or(i64::MAX),
            preview,
            history: last,
            request,
            upstream: pieces.sent.as_ref().map(|sent| [sent.upstream.clone(), sent.method.clone(), sent.url.clone()]),
            upstream_dialect: dialect.map(|dialect| dialect.name().into()),
            edited_request,
            upstream_request,
            upstream_status: pieces.response_status,
            upstream_headers: (!pieces.response_headers.is_empty()).then(|| json(&pieces.response_headers)).flatten(),
            upstream_response,
            client_response,
            decisions: (!pieces.decisions.is_empty()).then(|| json(&pieces.decisions)).flatten(),
            events: (!pieces.events.is_empty()).then(|| json(&pieces.events)).flatten(),
        });
    }

    /// A request's manifest.
    fn request(&mut self, body: &Bytes, outline: &Outline, origin: Origin) -> Encoded {
        let Origin { caller, session, turn, dialect } = origin;
        let mut manifest = std::mem::take(&mut self.manifest);
        manifest.clear();
        let before = self.recents.take(caller);
        let mut recent = Recent::new(body.clone());
        let (mut last, mut known) = (None, 0);
        for part in &outline.parts {
            match part {
                Part::Inline(span) => put(&mut manifest, &Piece::Inline(&body[span.clone()])),
                Part::Content(span) => {
                    let bytes = &body[span.clone()];
                    let known = before.as_ref().and_then(|before| before.content(bytes));
                    let hash = known.unwrap_or_else(|| self.content(bytes));
                    recent.add_content(span.clone(), hash);
                    put(&mut manifest, &Piece::Content(hash));
                }
                Part::Messages(slices) => {
                    let links = self.links(body, slices, outline, dialect, before.as_ref());
                    known = before.as_ref().map_or(0, |before| before.alike(&links).min(before.found()));
                    recent.set_found(if turn { slices.len() } else { known });
                    last = links.last().map(|link| link.node);
                    put(&mut manifest, &Piece::Chain(last.unwrap_or(ROOT)));
                    recent.set_messages(slices.first().map_or(0, |first| first.start), links);
                }
            }
        }
        self.recents.put(caller, recent);
        Encoded { packed: self.finish(manifest, session), last, known }
    }

    /// The nodes of all messages.
    fn links(
        &mut self,
        body: &[u8],
        slices: &[Range<usize>],
        outline: &Outline,
        dialect: Dialect,
        before: Option<&Recent>,
    ) -> Vec<Link> {
        let begin = slices.first().map_or(0, |first| first.start);
        let mut links = Vec::with_capacity(slices.len());
        links.extend_from_slice(before.map_or(&[], |before| before.shared(body, slices)));
        for (slice, bare) in slices.iter().zip(&outline.messages).skip(links.len()) {
            let (parent, identity) = links.last().map_or((ROOT, ROOT), |link: &Link| (link.node, link.identity));
            let message = Message { slice: &body[slice.clone()], bare: &body[bare.clone()], dialect };
            let (node, identity) = self.node(&parent, &identity, message);
            links.push(Link { end: slice.end - begin, node, identity });
        }
        links
    }

    /// What the user wrote in the message of this node, whose bytes are the last of `messages`.
    fn preview(&self, node: &Hash, body: &[u8], messages: &[Range<usize>]) -> Option<String> {
        if let Some(known) = self.nodes.peek(node) {
            return known.preview.as_deref().map(str::to_owned);
        }
        let message = &body[messages.last()?.clone()];
        (message.len() <= MOST_UNDERSTOOD).then(|| understand(message)).flatten()?.preview
    }

    /// A response's manifest.
    fn response(&mut self, body: &[u8], session: Uuid) -> Vec<u8> {
        let mut manifest = std::mem::take(&mut self.manifest);
        manifest.clear();
        if body.len() <= MAYBE_SMALL {
            put(&mut manifest, &Piece::Inline(body));
            let packed = self.packer.pack(&manifest);
            if packed.len() <= SMALL_ANSWER {
                self.manifest = manifest;
                return packed;
            }
            manifest.clear();
        }
        put(&mut manifest, &Piece::Content(self.content(body)));
        self.finish(manifest, session)
    }

    /// A manifest packed; what it refers to, its session refers to.
    fn finish(&mut self, manifest: Vec<u8>, session: Uuid) -> Vec<u8> {
        for piece in pieces(&manifest).into_iter().flatten() {
            let (Piece::Content(hash) | Piece::Chain(hash)) = piece else { continue };
            let reference = Reference { session, hash };
            if hash != ROOT && self.referred.put(reference, ()).is_none() {
                self.batch.references.push(reference);
            }
        }
        let packed = self.packer.pack(&manifest);
        self.manifest = manifest;
        packed
    }

    /// The hash of a content that is stored or will be.
    fn content(&mut self, bytes: &[u8]) -> Hash {
        let hash = content_hash(bytes);
        if self.contents.get(&hash).is_none() {
            self.contents.put(hash, ());
            let data = self.packer.pack(bytes);
            self.batch.contents.push(ContentRow { hash, data });
        }
        hash
    }

    /// The node of a message after `parent`, stored or to be, and the identity of the history up to it.
    fn node(&mut self, parent: &Hash, before: &Hash, message: Message<'_>) -> (Hash, Hash) {
        let Message { slice, bare, dialect } = message;
        let hash = chain_hash(parent, slice);
        if let Some(known) = self.nodes.get(&hash) {
            return (hash, known.identity);
        }
        let understood = (bare.len() <= MOST_UNDERSTOOD).then(|| understand(bare)).flatten();
        let identity = match &understood {
            Some(understood) => chain_hash(before, understood.canonical.as_bytes()),
            None => chain_hash(before, bare),
        };
        let preview = match understood {
            Some(understood) if understood.aside => self.nodes.peek(parent).and_then(|parent| parent.preview.clone()),
            understood => understood.and_then(|understood| understood.preview).map(String::into_boxed_str),
        };
        self.nodes.put(hash, Known { identity, preview });
        let bytes = if let Some(packed) = self.small(slice, dialect) {
            NodeBytes::Inline(packed)
        } else if let Some(cut) = (slice.len() <= MOST_UNDERSTOOD).then(|| cut(slice)).flatten() {
            NodeBytes::Content(self.content(&cut.rest), self.packer.pack(&cut.marks))
        } else {
            NodeBytes::Content(self.content(slice), Vec::new())
        };
        let parent = (*parent != ROOT).then_some(*parent);
        self.batch.nodes.push(NodeRow { hash, parent, identity, bytes });
        (hash, identity)
    }

    /// A message packed, if it is too small for a row of its own.
    fn small(&mut self, slice: &[u8], dialect: Dialect) -> Option<Vec<u8>> {
        if slice.len() > SMALL_MESSAGE && (dialect == Dialect::Messages || slice.len() > MAYBE_SMALL) {
            return None;
        }
        let packed = self.packer.pack(slice);
        (slice.len() <= SMALL_MESSAGE || packed.len() <= SMALL_PACKED_MESSAGE).then_some(packed)
    }
}

/// A request as it is stored.
struct Encoded {
    packed: Vec<u8>,
    /// The node of its last message.
    last: Option<Hash>,
    /// So many of its first messages its caller had sent before in a turn: they are found by their words already.
    known: usize,
}

/// A message of a request.
#[derive(Clone, Copy)]
struct Message<'a> {
    /// With the separator before it.
    slice: &'a [u8],
    bare: &'a [u8],
    dialect: Dialect,
}

/// Where a request comes from.
#[derive(Clone, Copy)]
struct Origin {
    /// Who sent something alike before, if anybody did.
    caller: u64,
    session: Uuid,
    /// It is found by its words.
    turn: bool,
    dialect: Dialect,
}

/// Of which side a request is.
#[derive(Clone, Copy, Hash)]
enum Whose {
    Client,
    /// What the policies made of it.
    Policies,
    /// What was sent.
    Upstream,
}

/// Who is likely to send the same again: a session, or a credential with a model.
fn caller(start: &Start, whose: Whose) -> u64 {
    let mut hasher = DefaultHasher::new();
    (whose, &start.credential, &start.session_id, &start.model).hash(&mut hasher);
    hasher.finish()
}

/// The end of a transaction that has none: the gateway died before it.
pub(super) fn interrupted(pieces: &Pieces, at: Timestamp) -> End {
    End {
        at,
        status: Status::Interrupted,
        http_status: pieces.http_status,
        error: Some("the gateway stopped before the end".into()),
        evaluation: pieces.evaluation,
    }
}

pub(super) fn json(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
