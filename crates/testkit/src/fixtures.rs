//! Answers of vendors and local servers, byte for byte, as files: the usual ones and the odd ones.

use luthien_wire::Dialect;

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Fixture {
    /// Its name: the file's, without the ending.
    pub name: &'static str,
    /// The dialect it speaks.
    pub dialect: Dialect,
    /// Whether it is an event stream; else a JSON body.
    pub streamed: bool,
    /// The HTTP status it comes with.
    pub status: u16,
    /// The body as it stands on the wire.
    pub bytes: &'static [u8],
    /// Whether it holds a call of any kind that a policy judges (W-07), whole or not, the vendor's own included.
    pub has_tool_calls: bool,
    /// Whether the strict readers of [`crate::accumulate`] accept it (a stream), or it is a whole answer (a body).
    pub well_formed: bool,
}

/// All fixtures of a dialect.
pub fn all(dialect: Dialect) -> &'static [Fixture] {
    match dialect {
        Dialect::Messages => MESSAGES,
        Dialect::Chat => CHAT,
    }
}

/// The fixture of this name.
pub fn named(dialect: Dialect, name: &str) -> Option<&'static Fixture> {
    all(dialect).iter().find(|fixture| fixture.name == name)
}

const MESSAGES: &[Fixture] = &[];
const CHAT: &[Fixture] = &[];
