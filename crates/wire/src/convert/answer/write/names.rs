//! What an answer is called: its id, model and time.

use crate::convert::AnswerContext;
use crate::convert::answer::event::Head;
use crate::dialect::Dialect;

/// The names that an answer carries.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) id: String,
    pub(super) model: String,
    /// Seconds since 1970.
    pub(super) created: u64,
}

impl Names {
    /// The upstream's names where they fit the client's dialect, else the gateway's own.
    pub(super) fn new(context: &AnswerContext, head: &Head) -> Self {
        let prefix = match context.to {
            Dialect::Messages => "msg_",
            Dialect::Chat => "chatcmpl-",
            Dialect::Responses => "resp_",
        };
        let id = head.id.clone().filter(|id| id.starts_with(prefix));
        Self {
            id: id.unwrap_or_else(|| format!("{prefix}{}", context.id)),
            model: head.model.clone().unwrap_or_else(|| context.model.clone()),
            created: head.created.unwrap_or_else(|| time_of(&context.id)),
        }
    }
}

/// The time within a UUID of version 7, as transactions have it; 0 in any other id.
fn time_of(id: &str) -> u64 {
    let hex: String = id.chars().filter(|c| *c != '-').collect();
    if hex.len() != 32 || hex.as_bytes()[12] != b'7' {
        return 0;
    }
    hex.get(..12).and_then(|millis| u64::from_str_radix(millis, 16).ok()).map_or(0, |millis| millis / 1000)
}
