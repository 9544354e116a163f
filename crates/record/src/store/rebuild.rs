//! Bodies and transactions put together again from what is stored, each piece read once.

use std::collections::HashMap;

use bytes::Bytes;
use luthien_wire::Dialect;

use super::{StoreError, TransactionDetail, UpstreamRequest, damaged};
use crate::body::manifest::{Piece, pieces};
use crate::body::marks::put_back;
use crate::body::{Hash, pack};
use crate::model::{Decision, Evaluation, Headers, Status, TransactionId};
use crate::sql::Sql;
use crate::sql::bodies::{self, NodeBytes};
use crate::sql::transactions::{TransactionRow, late_decisions};
use crate::words;

/// How many nodes are read at a time: later turns need few that earlier ones did not.
const NODES_AT_ONCE: u32 = 32;

/// So many bytes of contents are remembered, and so many nodes.
const MOST_BYTES: usize = 64 << 20;
const MOST_NODES: usize = 100_000;

#[derive(Clone, Debug)]
struct Node {
    parent: Option<Hash>,
    identity: Hash,
    bytes: NodeBytes,
}

/// Pieces that were read: later turns of a session need few that earlier ones did not.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    contents: HashMap<Hash, Bytes>,
    /// The bytes of the contents.
    size: usize,
    nodes: HashMap<Hash, Node>,
}

impl Pieces {
    /// Forgets everything where it is more than it may be.
    fn bound(&mut self) {
        if self.size > MOST_BYTES || self.nodes.len() > MOST_NODES {
            *self = Self::default();
        }
    }
}

/// Puts bodies together, remembering pieces between them.
pub(crate) struct Rebuild<'a, 'c> {
    sql: &'a mut Sql<'c>,
    pieces: &'a mut Pieces,
}

impl<'a, 'c> Rebuild<'a, 'c> {
    pub(crate) fn new(sql: &'a mut Sql<'c>, pieces: &'a mut Pieces) -> Self {
        pieces.bound();
        Self { sql, pieces }
    }

    /// The transaction of a row.
    pub(crate) async fn detail(
        &mut self,
        row: TransactionRow,
        session_id: String,
    ) -> Result<TransactionDetail, StoreError> {
        let id = TransactionId(row.id);
        let what = format!("transaction {id}");
        let bad = |why: &str| damaged(&what, why);
        let request = self.body(&row.request).await?;
        let client = dialect(&row.dialect).ok_or_else(|| bad("unknown dialect"))?;
        let upstream = row.upstream_dialect.as_deref().map(|name| dialect(name).ok_or_else(|| bad("unknown dialect")));
        let upstream = upstream.transpose()?.unwrap_or(client);
        let upstream_request = match row.upstream {
            Some([name, method, url]) => {
                let body = match &row.upstream_request {
                    Some(own) => self.body(own).await?,
                    None => request.clone(),
                };
                Some(UpstreamRequest { upstream: name, method, url, dialect: upstream, body })
            }
            None => None,
        };
        let final_request = match &row.edited_request {
            Some(edited) => Some(self.body(edited).await?),
            None => upstream_request.as_ref().filter(|sent| sent.dialect == client).map(|sent| sent.body.clone()),
        };
        let edited_request = final_request.filter(|edited| *edited != request);
        let upstream_response = match &row.upstream_response {
            Some(stored) => self.body(stored).await?,
            None => Bytes::new(),
        };
        let own_response = match &row.client_response {
            Some(stored) => Some(self.body(stored).await?),
            None => None,
        };
        let mut decisions: Vec<Decision> = list(row.decisions.as_deref()).map_err(|error| damaged(&what, error))?;
        for late in late_decisions(self.sql, row.id).await? {
            decisions.push(serde_json::from_str(&late).map_err(|error| damaged(&what, error))?);
        }
        let headers: Headers = list(row.upstream_headers.as_deref()).map_err(|error| damaged(&what, error))?;
        Ok(TransactionDetail {
            id,
            session_id,
            at: row.started_at,
            first_byte: row.first_byte_at,
            ended: row.ended_at,
            dialect: client,
            path: row.path,
            turn: row.turn,
            user_id: row.user_id,
            model: row.model,
            streamed: row.streamed,
            policy: row.policy,
            status: Status::from_name(&row.status).ok_or_else(|| bad("unknown status"))?,
            http_status: row.http_status,
            error: row.error,
            evaluation: Evaluation::from_name(&row.evaluation).ok_or_else(|| bad("unknown evaluation"))?,
            request,
            edited_request,
            upstream_request,
            upstream_status: row.upstream_status,
            upstream_headers: headers,
            upstream_response,
            own_response,
            decisions,
            events: list(row.events.as_deref()).map_err(|error| damaged(&what, error))?,
            identities: match row.history {
                Some(last) => self.chain(last).await?.into_iter().map(|node| node.identity).collect(),
                None => Vec::new(),
            },
        })
    }

    /// What was said in a transaction whose last `count` messages are new.
    pub(crate) async fn fresh(&mut self, row: &TransactionRow, count: u32) -> Result<String, StoreError> {
        let bad = || damaged("a transaction", "unknown dialect");
        let client = dialect(&row.dialect).ok_or_else(bad)?;
        let upstream = row.upstream_dialect.as_deref().map_or(Some(client), dialect).ok_or_else(bad)?;
        let mut text = String::new();
        if let Some(last) = row.history.filter(|_| count > 0) {
            for node in bodies::chain(self.sql, &last, count).await?.into_iter().rev() {
                let mut message = Vec::new();
                self.message(node.bytes, &mut message).await?;
                if message.len() <= words::MOST_UNDERSTOOD {
                    words::of_message_to_model(client, bare(&message), &mut text);
                }
            }
        }
        for (dialect, stored) in [(upstream, &row.upstream_response), (client, &row.client_response)] {
            if let Some(stored) = stored {
                words::of_answer(dialect, &self.body(stored).await?, &mut text);
            }
        }
        Ok(text)
    }

    /// The body of a packed manifest.
    async fn body(&mut self, packed: &[u8]) -> Result<Bytes, StoreError> {
        let manifest = pack::unpack(packed).ok_or_else(|| damaged("a body", "its manifest cannot be unpacked"))?;
        let pieces = pieces(&manifest).ok_or_else(|| damaged("a body", "its manifest cannot be read"))?;
        let mut out = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Inline(bytes) => out.extend_from_slice(bytes),
                Piece::Content(hash) => out.extend_from_slice(&self.content(hash).await?),
                Piece::Chain(last) => {
                    for node in self.chain(last).await? {
                        self.message(node.bytes, &mut out).await?;
                    }
                }
            }
        }
        Ok(out.into())
    }

    async fn message(&mut self, bytes: NodeBytes, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let bad = || damaged("a message", "it cannot be unpacked");
        match bytes {
            NodeBytes::Inline(packed) => out.extend_from_slice(&pack::unpack(&packed).ok_or_else(bad)?),
            NodeBytes::Content(hash, marks) => {
                let rest = self.content(hash).await?;
                if marks.is_empty() {
                    out.extend_from_slice(&rest);
                } else {
                    let whole = pack::unpack(&marks).and_then(|marks| put_back(&rest, &marks));
                    out.extend_from_slice(&whole.ok_or_else(bad)?);
                }
            }
        }
        Ok(())
    }

    async fn content(&mut self, hash: Hash) -> Result<Bytes, StoreError> {
        if let Some(known) = self.pieces.contents.get(&hash) {
            return Ok(known.clone());
        }
        let packed = bodies::content(self.sql, &hash).await?;
        let packed = packed.ok_or_else(|| damaged("a body", "a content is missing"))?;
        let bytes = Bytes::from(pack::unpack(&packed).ok_or_else(|| damaged("a content", "it cannot be unpacked"))?);
        self.pieces.size += bytes.len();
        self.pieces.contents.insert(hash, bytes.clone());
        Ok(bytes)
    }

    /// The nodes up to `last`, the first first.
    async fn chain(&mut self, last: Hash) -> Result<Vec<Node>, StoreError> {
        let mut out = Vec::new();
        let mut next = Some(last);
        while let Some(hash) = next {
            if !self.pieces.nodes.contains_key(&hash) {
                for row in bodies::chain(self.sql, &hash, NODES_AT_ONCE).await? {
                    self.pieces
                        .nodes
                        .insert(row.hash, Node { parent: row.parent, identity: row.identity, bytes: row.bytes });
                }
            }
            let node = self.pieces.nodes.get(&hash).ok_or_else(|| damaged("a body", "a message is missing"))?;
            next = node.parent;
            out.push(node.clone());
        }
        out.reverse();
        Ok(out)
    }
}

/// A message without the separator before it.
fn bare(slice: &[u8]) -> &[u8] {
    let separator = slice.iter().take_while(|byte| **byte == b',' || byte.is_ascii_whitespace()).count();
    &slice[separator..]
}

fn dialect(name: &str) -> Option<Dialect> {
    Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
}

fn list<T: serde::de::DeserializeOwned>(json: Option<&str>) -> Result<Vec<T>, serde_json::Error> {
    json.map_or_else(|| Ok(Vec::new()), serde_json::from_str)
}
