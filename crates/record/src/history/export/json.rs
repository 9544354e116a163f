//! Exports as JSON: one document, or a line for each turn.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::history::reader::Summary;
use crate::history::session::Turn;
use crate::store::{SessionRow, StoreError};

/// The document up to its first turn.
pub(super) fn head(session: &SessionRow) -> String {
    format!("{{\"session_id\":{},\"turns\":[", Value::from(session.session_id.as_str()))
}

/// A turn in the document, the first being number 1.
pub(super) fn element(turn: &Turn, number: u64) -> Result<String, StoreError> {
    let text = text(turn)?;
    Ok(if number == 1 { format!("\n{text}") } else { format!(",\n{text}") })
}

/// The document after its last turn.
pub(super) fn tail(summary: &Summary, labels: &BTreeMap<String, String>) -> Result<String, StoreError> {
    #[derive(Serialize)]
    struct Rest<'a> {
        #[serde(flatten)]
        summary: &'a Summary,
        user_labels: &'a BTreeMap<String, String>,
    }
    let rest = text(&Rest { summary, user_labels: labels })?;
    Ok(format!("\n],{}\n", rest.strip_prefix('{').unwrap_or(&rest)))
}

/// A turn with its session, on a line.
pub(super) fn line(turn: &Turn, session: &str, labels: &BTreeMap<String, String>) -> Result<String, StoreError> {
    #[derive(Serialize)]
    struct Line<'a> {
        session_id: &'a str,
        user_label: Option<&'a str>,
        #[serde(flatten)]
        turn: &'a Turn,
    }
    let user_label = turn.user_id.as_ref().and_then(|user| labels.get(user)).map(String::as_str);
    Ok(text(&Line { session_id: session, user_label, turn })? + "\n")
}

fn text(value: &impl Serialize) -> Result<String, StoreError> {
    let damaged = |error: serde_json::Error| StoreError::Damaged { what: "a turn".into(), why: error.to_string() };
    serde_json::to_string(value).map_err(damaged)
}
