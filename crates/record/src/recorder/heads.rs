//! The rows of raw HTTP: the heads of both exchanges of a transaction.

use super::encode::json;
use super::gather::Pieces;
use crate::model::{Heads, RawHeads};
use crate::sql::request_logs::LogRow;

/// The rows of the raw exchanges, where they were kept.
pub(super) fn logs(pieces: &Pieces, http_status: Option<u16>) -> Vec<LogRow> {
    let Some(RawHeads { inbound, outbound }) = pieces.heads.as_deref() else { return Vec::new() };
    let row = |direction, heads: &Heads, response_status| LogRow {
        transaction: pieces.start.id.0,
        direction,
        method: heads.method.clone(),
        url: heads.url.clone(),
        endpoint: endpoint(&heads.url).to_owned(),
        request_headers: json(&heads.request_headers).unwrap_or_default(),
        response_status,
        response_headers: json(&heads.response_headers).unwrap_or_default(),
        started_at: heads.started_at.unwrap_or(pieces.start.at),
        completed_at: heads.completed_at,
    };
    let outbound = outbound.as_ref().map(|heads| row("outbound", heads, pieces.response_status));
    [row("inbound", inbound, http_status)].into_iter().chain(outbound).collect()
}

/// The path of a URL.
fn endpoint(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    rest.split('?').next().unwrap_or_default()
}
