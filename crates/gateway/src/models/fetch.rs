//! One upstream's list of models, in time or not at all.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body_util::{BodyExt, Limited};
use luthien_wire::{Dialect, convert};
use tokio::time::timeout;

use super::entry::{Entry, Form};
use crate::credentials::Caller;
use crate::decode_body::{decode, encodings};
use crate::errors::GatewayError;
use crate::headers::strip_hop_by_hop;
use crate::upstream::Upstream;
use crate::upstream::execute::{broken, execute, silent};
use crate::upstream::prepare::{Outgoing, prepare};
use crate::way::Core;

/// The most that one upstream is waited for: clients give up after 3 seconds.
const PATIENCE: Duration = Duration::from_millis(2500);

/// The largest list, in bytes.
const LARGEST: usize = 8 << 20;

/// What came of asking.
pub(super) enum Fetched {
    List(Vec<Entry>),
    Failed(Failed),
}

/// Why there is no list.
pub(super) enum Failed {
    /// It could not be asked for, or did not come.
    Gateway(GatewayError),
    /// The upstream refused.
    Answered(Box<Parts>, Bytes),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(error) => error.fmt(f),
            Self::Answered(head, _) => write!(f, "it answered {}", head.status.as_u16()),
        }
    }
}

/// On whose behalf lists are asked for.
pub(super) struct Asker<'a> {
    pub(super) core: &'a Core,
    pub(super) caller: &'a Caller,
    pub(super) dialect: Dialect,
    pub(super) headers: &'a HeaderMap,
    /// The transaction's.
    pub(super) id: String,
}

impl Asker<'_> {
    /// The list of an upstream.
    pub(super) async fn fetch(&self, upstream: &Upstream) -> Fetched {
        let patience = PATIENCE.min(upstream.first_byte);
        match timeout(patience, self.list(upstream)).await {
            Ok(Ok(entries)) => Fetched::List(entries),
            Ok(Err(failed)) => Fetched::Failed(failed),
            Err(_) => Fetched::Failed(Failed::Gateway(silent(upstream, patience))),
        }
    }

    /// The caller may ask this upstream.
    pub(super) fn may_ask(&self, upstream: &Upstream) -> bool {
        let callers = self.core.upstreams.is_callers(upstream, self.dialect);
        self.core.keys.forward(self.caller, upstream, callers).is_ok()
    }

    async fn list(&self, upstream: &Upstream) -> Result<Vec<Entry>, Failed> {
        let core = self.core;
        let spoken = upstream.asked_in(self.dialect).next().unwrap_or(self.dialect);
        let form = Form::of(spoken);
        let foreign = form != Form::of(self.dialect);
        // The caller's own credential goes to the caller's own upstream alone.
        let callers = core.upstreams.is_callers(upstream, self.dialect);
        let forward = core.keys.forward(self.caller, upstream, callers).map_err(Failed::Gateway)?;
        let mut headers = self.headers.clone();
        if form == Form::Anthropic {
            headers.entry("anthropic-version").or_insert(HeaderValue::from_static("2023-06-01"));
        }
        let outgoing = Outgoing {
            dialect: spoken,
            method: Method::GET,
            path: "/models",
            // The vendor gives 20 unless asked for more.
            query: if form == Form::Anthropic { "limit=1000" } else { "" },
            headers,
            forward: &forward,
            callers,
            converted: foreign.then_some(false),
            plain_answer: true,
            body_decoded: true,
            body: Bytes::new(),
        };
        let request = prepare(upstream, &core.keys, outgoing).map_err(Failed::Gateway)?;
        let (mut head, body) = execute(upstream, request).await.map_err(Failed::Gateway)?.into_parts();
        let unread = |why: String| Failed::Gateway(broken(upstream, &why));
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| unread(error.to_string()))?.to_bytes();
        let coded = encodings(&head.headers).map_err(|error| unread(error.to_string()))?;
        let plain = decode(body, &coded, LARGEST).await.map_err(|error| unread(error.to_string()))?;
        if head.status.is_success() {
            let entries = Entry::read(&plain, &upstream.name);
            return entries.ok_or_else(|| unread("its answer is no list of models".to_owned()));
        }
        head.version = Version::HTTP_11;
        strip_hop_by_hop(&mut head.headers);
        head.headers.remove(CONTENT_ENCODING);
        head.headers.remove(CONTENT_LENGTH);
        let body =
            if foreign { convert::error(spoken, self.dialect, head.status.as_u16(), &plain, &self.id) } else { plain };
        Err(Failed::Answered(Box::new(head), body))
    }
}
