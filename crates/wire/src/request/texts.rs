//! Finds the strings of a request that a policy may rewrite.

use std::ops::Range;

use super::{Request, walk};
use crate::conversation::Role;

/// How deep results and documents may nest before their texts are left alone.
const DEPTH: usize = 8;

/// A string that a policy may rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSlot {
    /// The span of its literal in the body, quotes included.
    pub span: Range<usize>,
    /// The string, decoded.
    pub text: String,
    /// Where it stands.
    pub place: TextPlace,
}

/// Where a string stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPlace {
    /// In the top-level `system`: 0 for a plain string, else the entry's number (1 or more, W-44).
    System(usize),
    /// In a message.
    Message {
        /// The message's number in `messages`.
        index: usize,
        /// Its role.
        role: Role,
    },
    /// In a tool's result.
    ToolResult {
        /// The number of the message that carries it.
        index: usize,
    },
}

pub(super) fn slots(request: &Request) -> Vec<TextSlot> {
    let body = request.text();
    let mut finder = Finder { body, slots: Vec::new() };
    let system =
        request.members.iter().filter(|(key, _)| key == "system").filter_map(|(_, span)| body.get(span.clone()));
    let messages = request.messages.iter().filter_map(|span| body.get(span.clone())).enumerate();
    // In the order of the body, as edits want them.
    for raw in system {
        finder.system(raw);
    }
    for (index, raw) in messages {
        finder.message(index, raw);
    }
    finder.slots.sort_by_key(|slot| slot.span.start);
    finder.slots
}

struct Finder<'a> {
    body: &'a str,
    slots: Vec<TextSlot>,
}

impl<'a> Finder<'a> {
    fn take(&mut self, raw: &'a str, place: &TextPlace) -> bool {
        let Some(text) = walk::string(raw) else { return false };
        let start = raw.as_ptr() as usize - self.body.as_ptr() as usize;
        self.slots.push(TextSlot { span: start..start + raw.len(), text, place: place.clone() });
        true
    }

    fn system(&mut self, raw: &'a str) {
        if self.take(raw, &TextPlace::System(0)) {
            return;
        }
        for (number, entry) in walk::array(raw).unwrap_or_default().into_iter().enumerate().skip(1) {
            self.block(entry, &TextPlace::System(number), 0);
        }
    }

    fn message(&mut self, index: usize, raw: &'a str) {
        let Some(members) = walk::object(raw) else { return };
        let role = Role::of(&members);
        let place = match role {
            Role::Tool => TextPlace::ToolResult { index },
            role => TextPlace::Message { index, role },
        };
        // A repeated member is a text too: whichever of them the upstream takes, the policy has seen it.
        for (key, value) in &members {
            match key.as_str() {
                "content" => self.content(value, &place, 0),
                "refusal" => {
                    self.take(value, &place);
                }
                _ => {}
            }
        }
    }

    /// A `content`: one string, or blocks.
    fn content(&mut self, raw: &'a str, place: &TextPlace, depth: usize) {
        if self.take(raw, place) || depth > DEPTH {
            return;
        }
        for block in walk::array(raw).unwrap_or_default() {
            self.block(block, place, depth);
        }
    }

    fn block(&mut self, raw: &'a str, place: &TextPlace, depth: usize) {
        let Some(members) = walk::object(raw) else { return };
        let is = |kind: &str| {
            members.iter().any(|(key, value)| key == "type" && walk::string(value).as_deref() == Some(kind))
        };
        let result = match place {
            TextPlace::Message { index, .. } if is("tool_result") => Some(TextPlace::ToolResult { index: *index }),
            _ => None,
        };
        for (key, value) in &members {
            match key.as_str() {
                "text" if is("text") => {
                    self.take(value, place);
                }
                "refusal" if is("refusal") => {
                    self.take(value, place);
                }
                "content" if result.is_some() || is("tool_result") || is("search_result") => {
                    self.content(value, result.as_ref().unwrap_or(place), depth + 1);
                }
                "source" if is("document") => self.document(value, place, depth + 1),
                _ => {}
            }
        }
    }

    /// A document that is plain text or made of blocks.
    fn document(&mut self, raw: &'a str, place: &TextPlace, depth: usize) {
        let Some(members) = walk::object(raw) else { return };
        let text = members.iter().any(|(key, value)| key == "type" && walk::string(value).as_deref() == Some("text"));
        for (key, value) in &members {
            match key.as_str() {
                "data" if text => {
                    self.take(value, place);
                }
                "content" => self.content(value, place, depth),
                _ => {}
            }
        }
    }
}
