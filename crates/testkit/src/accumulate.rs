//! Readers of streams as strict as the strictest official SDK, naming the rule that a stream breaks.

use luthien_wire::Dialect;
use serde_json::Value;

mod chat;
mod messages;
mod responses;

pub use chat::accumulate_chat;
pub use messages::accumulate_messages;
pub use responses::accumulate_responses;

/// What a stream of this dialect stands for, or the rule that it breaks.
pub fn accumulate(dialect: Dialect, bytes: &[u8]) -> Result<Value, String> {
    match dialect {
        Dialect::Messages => accumulate_messages(bytes),
        Dialect::Chat => accumulate_chat(bytes),
        Dialect::Responses => accumulate_responses(bytes),
    }
}
