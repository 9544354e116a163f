//! Readers of streams as strict as the strictest official SDK, naming the rule that a stream breaks.

mod chat;
mod messages;

pub use chat::accumulate_chat;
pub use messages::accumulate_messages;
