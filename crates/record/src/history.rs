//! What people and older callers read: sessions, turns, calls and diffs in the shapes of the public API.

mod alike;
mod calls;
mod diff;
mod export;
mod messages;
mod notes;
mod reader;
mod session;
mod sessions;

pub use calls::{CallDetail, CallEvent, CallSummary, Calls, call, calls};
pub(crate) use calls::{Course, lifecycle};
pub use diff::{BlockDiff, Diff, MessageDiff, RequestDiff, ResponseDiff, diff};
pub use export::{Export, Format};
pub use messages::{Message, MessageType};
pub(crate) use messages::{blocks, ending};
pub use session::{Annotation, Conversation, Turn, session};
pub use sessions::{SessionSummary, Sessions, sessions};

#[cfg(test)]
mod tests;
