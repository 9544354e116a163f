//! The real clients: agents and the vendors' SDKs.

mod agents;
mod inspect;
mod schemathesis;
mod sdks;

use std::time::Duration;

pub use crate::process::Run;
pub use agents::{claude_code, codex, codex_at, codex_login, luthien, luthien_claude, luthien_codex, pi};
pub use inspect::inspect;
pub use schemathesis::{Tried, schemathesis, validate};
pub use sdks::{Job, Results, Sdk, read, read_each};

/// The most that a client may take, on a machine that is busy.
const WITHIN: Duration = Duration::from_mins(2);
