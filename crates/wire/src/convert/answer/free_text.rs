//! Free text in JSON arguments: `{"input":"…"}`, taken out of it and put into it, piece by piece.

use crate::json::quote;

/// No server writes more white space before the value; it is looked through again with each fragment.
const MAX_OPENING: usize = 4 << 10;

/// Takes the text out of arguments that come in fragments. Arguments of another form are given as they are.
#[derive(Debug, Default)]
pub(super) struct Unwrap {
    state: State,
    /// What has not been given yet: the text before the value, or an unfinished escape.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the value.
    #[default]
    Before,
    /// In the value.
    Inside,
    /// After it.
    After,
    /// It is no such object.
    Raw,
}

impl Unwrap {
    /// More arguments: what they add to the text.
    pub(super) fn push(&mut self, fragment: &str) -> String {
        match self.state {
            State::After => String::new(),
            State::Raw => fragment.to_owned(),
            State::Before => {
                self.held.push_str(fragment);
                match opening(&self.held) {
                    Opening::Unfinished if self.held.len() <= MAX_OPENING => String::new(),
                    Opening::Empty => {
                        self.state = State::After;
                        self.held.clear();
                        String::new()
                    }
                    Opening::Unfinished | Opening::Other => {
                        self.state = State::Raw;
                        std::mem::take(&mut self.held)
                    }
                    Opening::Ends(at) => {
                        self.state = State::Inside;
                        let rest = self.held.split_off(at);
                        self.held.clear();
                        self.inside(&rest)
                    }
                }
            }
            State::Inside => {
                let mut text = std::mem::take(&mut self.held);
                text.push_str(fragment);
                self.inside(&text)
            }
        }
    }

    /// The arguments have ended.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match self.state {
            // What has not come to its value is given as it is, unless it is nothing.
            State::Before if !matches!(held.trim(), "{" | "") => held,
            _ => String::new(),
        }
    }

    fn inside(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        loop {
            let Some(at) = rest.find(['"', '\\']) else {
                out.push_str(rest);
                return out;
            };
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with('"') {
                self.state = State::After;
                return out;
            }
            let Some((c, len)) = escape(rest) else {
                self.held.push_str(rest);
                return out;
            };
            out.push(c);
            rest = &rest[len..];
        }
    }
}

enum Opening {
    Unfinished,
    Ends(usize),
    /// The object has no members.
    Empty,
    Other,
}

/// Where the value of `{"input":"` begins.
fn opening(text: &str) -> Opening {
    let mut rest = text;
    for token in ["{", "\"input\"", ":", "\""] {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        match rest.strip_prefix(token) {
            Some(after) => rest = after,
            None if token.starts_with(rest) => return Opening::Unfinished,
            None if rest.starts_with('}') && token.starts_with("\"i") => return Opening::Empty,
            None => return Opening::Other,
        }
    }
    Opening::Ends(text.len() - rest.len())
}

/// The character of an escape and the escape's length; `None` while more must come.
fn escape(text: &str) -> Option<(char, usize)> {
    let kind = *text.as_bytes().get(1)?;
    let c = match kind {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => return unicode(text),
        b'"' | b'\\' | b'/' => kind.into(),
        // No escape of JSON's: the character as it is.
        _ => return text[1..].chars().next().map(|c| (c, 1 + c.len_utf8())),
    };
    Some((c, 2))
}

fn unicode(text: &str) -> Option<(char, usize)> {
    const LOST: char = char::REPLACEMENT_CHARACTER;
    let unit = |at: usize| -> Option<Result<u32, ()>> {
        let digits = text.as_bytes().get(at..at + 4)?;
        Some(std::str::from_utf8(digits).map_err(drop).and_then(|digits| u32::from_str_radix(digits, 16).map_err(drop)))
    };
    let Ok(first) = unit(2)? else { return Some((LOST, 2)) };
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first).unwrap_or(LOST), 6));
    }
    match (text.as_bytes().get(6)?, text.as_bytes().get(7)) {
        (b'\\', None) => None,
        (b'\\', Some(b'u')) => match unit(8)? {
            Ok(second @ 0xdc00..0xe000) => {
                let both = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                Some((char::from_u32(both).unwrap_or(LOST), 12))
            }
            _ => Some((LOST, 6)),
        },
        _ => Some((LOST, 6)),
    }
}

/// A fragment of free text as it stands within a JSON string.
pub(super) fn escaped(text: &str) -> String {
    let quoted = quote(text);
    quoted[1..quoted.len() - 1].to_owned()
}

/// What stands before and after a free text that is put into arguments.
pub(super) const AROUND: (&str, &str) = ("{\"input\":\"", "\"}");

#[cfg(test)]
mod tests;
