//! Reading requests: one reader for each dialect, and what they have in common.

use serde_json::{Map, Value};

use super::super::{Refused, envelope};
use super::ask::{Ask, Part, Role, Turn, What};
use super::ledger::Ledger;
use super::take;
use crate::dialect::Dialect;

mod chat;
mod chat_parts;
pub(super) mod chat_reasoning;
mod client_tools;
mod deferred;
mod messages;
mod messages_blocks;
mod responses;
mod responses_items;
mod tools;

/// A request of this dialect, without its dialect.
pub(super) fn read(dialect: Dialect, mut body: Map<String, Value>, ledger: &mut Ledger) -> Result<Ask, Refused> {
    body.shift_remove("model");
    let mut ask = Ask { stream: take::flag(&mut body, "stream"), ..Ask::default() };
    ask.temperature = take::some(&mut body, "temperature");
    ask.top_p = take::some(&mut body, "top_p");
    ask.top_k = take::some(&mut body, "top_k");
    match dialect {
        Dialect::Messages => messages::read(&mut ask, &mut body, ledger)?,
        Dialect::Chat => chat::read(&mut ask, &mut body, ledger)?,
        Dialect::Responses => responses::read(&mut ask, &mut body, ledger)?,
    }
    body.retain(|_, value| !value.is_null());
    ask.rest = body;
    Ok(ask)
}

impl Part {
    fn new(at: impl Into<String>, what: What) -> Self {
        Self { at: at.into(), what }
    }

    fn text(at: impl Into<String>, text: String) -> Self {
        Self::new(at, What::Text(text))
    }
}

impl Turn {
    fn new(role: Role) -> Self {
        Self { role, parts: Vec::new() }
    }
}

/// Reasoning that stands in the client's history as its own vendor's, unless `opaque` is an envelope of another's.
fn reasoning(client: Dialect, opaque: Option<&str>, value: Value) -> What {
    match opaque.and_then(envelope::open) {
        Some((from, value)) => What::Reasoning(from, value),
        None => What::Reasoning(client, value),
    }
}
