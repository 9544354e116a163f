//! Answers of vendors and local servers, byte for byte, as files: the usual ones and the odd ones.

use luthien_wire::Dialect;

mod chat;
mod messages;
pub mod requests;
mod responses;

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
    /// A header that it comes with, beside its type.
    pub header: Option<(&'static str, &'static str)>,
    /// The body as it stands on the wire.
    pub bytes: &'static [u8],
    /// Whether it holds a call of any kind that a policy judges (W-07), whole or not, the vendor's own included.
    pub has_tool_calls: bool,
    /// Whether the strict readers of [`crate::accumulate`] accept it (a stream), or it is a whole answer (a body).
    pub well_formed: bool,
}

/// All answers to turns of a dialect.
pub fn all(dialect: Dialect) -> &'static [Fixture] {
    match dialect {
        Dialect::Messages => messages::ALL,
        Dialect::Chat => chat::ALL,
        Dialect::Responses => responses::ALL,
    }
}

/// Answers of a dialect's other endpoints.
pub fn others(dialect: Dialect) -> &'static [Fixture] {
    match dialect {
        Dialect::Messages | Dialect::Chat => &[],
        Dialect::Responses => responses::OTHERS,
    }
}

/// The fixture of this name.
pub fn named(dialect: Dialect, name: &str) -> Option<&'static Fixture> {
    all(dialect).iter().chain(others(dialect)).find(|fixture| fixture.name == name)
}

impl Fixture {
    const fn with_calls(self) -> Self {
        Self { has_tool_calls: true, ..self }
    }

    const fn with_header(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    const fn defective(self) -> Self {
        Self { well_formed: false, ..self }
    }
}

const fn stream(dialect: Dialect, name: &'static str, bytes: &'static [u8]) -> Fixture {
    let (has_tool_calls, well_formed) = (false, true);
    Fixture { name, dialect, streamed: true, status: 200, header: None, bytes, has_tool_calls, well_formed }
}

const fn body(dialect: Dialect, name: &'static str, bytes: &'static [u8]) -> Fixture {
    Fixture { streamed: false, ..stream(dialect, name, bytes) }
}

const fn error(dialect: Dialect, name: &'static str, status: u16, bytes: &'static [u8]) -> Fixture {
    Fixture { status, well_formed: false, ..body(dialect, name, bytes) }
}

#[cfg(test)]
mod tests;
