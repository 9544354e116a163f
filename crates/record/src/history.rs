//! What people and older callers read: sessions, turns, calls and diffs in the shapes of the public API.

mod calls;
mod diff;
mod export;
mod session;
mod sessions;

pub(crate) use calls::lifecycle;
pub use calls::{CallDetail, CallEvent, CallSummary, Calls, call, calls};
pub use diff::{BlockDiff, Diff, MessageDiff, RequestDiff, ResponseDiff, diff};
pub use export::{json, jsonl, markdown};
pub use session::{Annotation, Conversation, Message, MessageType, Turn, session};
pub use sessions::{SessionSummary, Sessions, sessions};
