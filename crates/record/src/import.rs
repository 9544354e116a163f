//! Transactions from elsewhere, written to the record as if they had happened here, also beside a gateway that records.
//!
//! They go the writer's own way (split, hashed, packed, stored in batches), so that search, sessions and storage once hold for
//! them too. A batch is one short database transaction, for which a running gateway's writer waits as for any other.

use std::collections::HashSet;
use std::path::PathBuf;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use luthien_wire::Dialect;
use serde::Serialize;

use crate::model::{Decision, End, Event, Headers, Start, TransactionId};
use crate::older::{Listed, OlderError, OlderRecord, Read, Unreadable};
use crate::recorder::gather::{Pieces, Sent};
use crate::recorder::{Importer, OpenError, Refused};
use crate::store::{Store, StoreError};

mod archived;

pub use archived::archive;

/// A transaction from elsewhere.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What was known at its start, the request's body included.
    pub start: Start,
    /// What was sent upstream.
    pub request: Option<ImportedRequest>,
    /// What came back.
    pub response: Option<ImportedAnswer>,
    /// What the client got, where it was something else.
    pub client: Option<Bytes>,
    /// When the first byte went to the client.
    pub first_byte: Option<Timestamp>,
    /// The policies' decisions.
    pub decisions: Vec<Decision>,
    /// The policies' events.
    pub events: Vec<Event>,
    /// How it ended.
    pub end: End,
}

/// What was sent upstream.
#[derive(Clone, Debug)]
pub struct ImportedRequest {
    /// The upstream's name.
    pub upstream: String,
    /// The method.
    pub method: String,
    /// The URL; empty where it is not known.
    pub url: String,
    /// What the upstream speaks.
    pub dialect: Dialect,
    /// What the policies made of the client's request, where that is neither the body nor the client's own.
    pub edited: Option<Bytes>,
    /// The body.
    pub body: Bytes,
}

/// The upstream's answer.
#[derive(Clone, Debug)]
pub struct ImportedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl Imported {
    pub(crate) fn pieces(self) -> Pieces {
        let Self { start, request, response, client, first_byte, decisions, events, end } = self;
        let sent = request.map(|request| {
            let converted = request.dialect != start.dialect;
            let unsaid = if converted { &start.request } else { &request.body };
            Sent {
                upstream: request.upstream,
                method: request.method,
                url: request.url,
                dialect: converted.then_some(request.dialect),
                edited: request.edited.filter(|edited| edited != unsaid),
                body: Some(request.body).filter(|body| *body != start.request),
            }
        });
        let (response_status, response_headers, response) = match response {
            Some(answer) => (Some(answer.status), answer.headers, answer.body.to_vec()),
            None => (None, Headers::new(), Vec::new()),
        };
        Pieces {
            sent,
            response_status,
            response_headers,
            response,
            client: client.map(|client| client.to_vec()),
            first_byte,
            decisions,
            events,
            evaluation: end.evaluation,
            http_status: end.http_status,
            end: Some(end),
            ..Pieces::new(start)
        }
    }

    /// Bytes of its bodies.
    fn size(&self) -> usize {
        let request = self.request.as_ref().map_or(0, |request| request.body.len());
        let response = self.response.as_ref().map_or(0, |answer| answer.body.len());
        self.start.request.len() + request + response + self.client.as_ref().map_or(0, Bytes::len)
    }
}

/// So many transactions are stored together, or so many bytes of bodies: a running gateway's writer waits meanwhile.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 8 << 20;

/// A call without an answer or an end is taken for one under way for so long.
const UNDER_WAY: SignedDuration = SignedDuration::from_hours(1);

/// Why an import ended early. What was stored stays, and a second run goes on behind it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The older database.
    #[error(transparent)]
    Older(#[from] OlderError),
    /// The record cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The record cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record takes nothing.
    #[error("the record's database takes nothing: {0}; what was imported stays, run the import again")]
    Write(String),
    /// An archive's file cannot be read.
    #[error("cannot read the archive's file {}: {source}; what was imported stays", path.display())]
    Archive {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What could not be read cannot be written down.
    #[error("cannot write down what could not be read: {0}")]
    Rejects(#[from] std::io::Error),
}

/// What to import, and when it is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Only calls that began then or later.
    pub since: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// How an import went: every call is in one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Calls in the older database.
    pub calls: u64,
    /// Imported now, or to be in a dry run.
    pub imported: u64,
    /// In the record already.
    pub already: u64,
    /// Before the time from which on calls were asked for.
    pub before: u64,
    /// Under way there: without an answer or an end, and not an hour old.
    pub under_way: u64,
    /// Not imported: nothing says when they were, or the database refuses them.
    pub rejected: u64,
    /// Of those imported: streamed, with the same answer before and after policies, as the older proxy wrote it.
    pub one_answer: u64,
    /// Events that could not be read; their calls are imported without them.
    pub events_rejected: u64,
    /// Events of no call.
    pub orphans: u64,
}

/// Who is told how an import goes.
pub trait Watch {
    /// So many of so many calls are dealt with.
    fn progress(&mut self, done: u64, of: u64);
    /// This could not be read or stored.
    fn rejected(&mut self, what: &Unreadable) -> std::io::Result<()>;
}

/// Where transactions go.
#[derive(Debug)]
pub enum Target {
    /// Into the record.
    Record(Box<Importer>),
    /// Nowhere: a dry run, over the record that is there.
    Nowhere(Option<Store>),
}

impl Target {
    /// Those of these ids that are recorded.
    async fn known(&self, ids: &[TransactionId]) -> Result<HashSet<TransactionId>, StoreError> {
        match self {
            Self::Record(importer) => importer.store().recorded(ids).await,
            Self::Nowhere(Some(store)) => store.recorded(ids).await,
            Self::Nowhere(None) => Ok(HashSet::new()),
        }
    }

    /// Stores them; gives those that the database refuses, with its reasons.
    pub(crate) async fn store(&mut self, batch: Vec<Imported>) -> Result<Vec<Refused>, ImportError> {
        match self {
            Self::Record(importer) => importer.import(batch.into_iter().map(Imported::pieces).collect()).await,
            Self::Nowhere(_) => Ok(Vec::new()),
        }
    }
}

/// Imports the calls of a luthien-proxy.
pub async fn luthien_proxy(
    from: &mut OlderRecord,
    into: &mut Target,
    options: Options,
    watch: &mut impl Watch,
) -> Result<Summary, ImportError> {
    let mut run = Run { into, watch, batch: Vec::new(), bytes: 0, summary: Summary::default() };
    run.summary.calls = from.calls().await?;
    run.summary.orphans = from.orphans().await?;
    let (mut last, mut done) = (None, 0);
    loop {
        let page = from.page(last.as_ref()).await?;
        let ids: Vec<_> = page.iter().map(Listed::id).collect();
        let known = run.into.known(&ids).await?;
        for listed in &page {
            done += 1;
            run.watch.progress(done, run.summary.calls.max(done));
            if options.since.is_some_and(|since| listed.created.is_some_and(|created| created < since)) {
                run.summary.before += 1;
            } else if known.contains(&listed.id()) {
                run.summary.already += 1;
            } else {
                let read = from.call(listed, options.now).await?;
                run.take(read, options.now).await?;
            }
        }
        match page.into_iter().next_back() {
            Some(listed) => last = Some(listed),
            None => break,
        }
    }
    run.flush().await?;
    // Calls may have come while this ran.
    run.summary.calls = run.summary.calls.max(done);
    Ok(run.summary)
}

/// An import under way.
struct Run<'r, W> {
    into: &'r mut Target,
    watch: &'r mut W,
    batch: Vec<(Imported, bool)>,
    bytes: usize,
    summary: Summary,
}

impl<W: Watch> Run<'_, W> {
    async fn take(&mut self, read: Read, now: Timestamp) -> Result<(), ImportError> {
        for what in &read.unreadable {
            self.watch.rejected(what)?;
            self.summary.events_rejected += u64::from(what.event_id.is_some() || what.event_type.is_some());
        }
        let Some(transaction) = read.transaction else {
            self.summary.rejected += 1;
            return Ok(());
        };
        if read.open && now.duration_since(transaction.start.at) < UNDER_WAY {
            self.summary.under_way += 1;
            return Ok(());
        }
        self.push(transaction, read.one_answer).await
    }

    async fn push(&mut self, transaction: Imported, one_answer: bool) -> Result<(), ImportError> {
        self.bytes += transaction.size();
        self.batch.push((transaction, one_answer));
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), ImportError> {
        self.bytes = 0;
        let (batch, one_answer): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batch).into_iter().unzip();
        let ids: Vec<_> = batch.iter().map(|transaction: &Imported| transaction.start.id).collect();
        let refused = self.into.store(batch).await?;
        for (id, one_answer) in ids.into_iter().zip(one_answer) {
            if let Some(refused) = refused.iter().find(|refused| refused.id == id) {
                let call_id = id.to_string();
                self.watch.rejected(&Unreadable {
                    call_id,
                    event_id: None,
                    event_type: None,
                    why: refused.why.clone(),
                })?;
                self.summary.rejected += 1;
            } else {
                self.summary.imported += 1;
                self.summary.one_answer += u64::from(one_answer);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
