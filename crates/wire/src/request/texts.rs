//! Finds the strings of a request that a policy may rewrite.

use std::ops::Range;

use super::Request;
use super::walk::{self, Scan};
use crate::conversation::Role;
use crate::dialect::Dialect;

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
    /// In the top-level `system` or `instructions`: 0 for a plain string, else the entry's number (1 or more, W-44).
    System(usize),
    /// In a message.
    Message {
        /// The message's number in `messages` or `input`.
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
    let responses = request.dialect == Dialect::Responses;
    let system = if responses { "instructions" } else { "system" };
    let system = request.members.iter().filter(|(key, _)| key == system).filter_map(|(_, span)| body.get(span.clone()));
    let messages = request.messages.iter().filter_map(|span| body.get(span.clone())).enumerate();
    // In the order of the body, as edits want them.
    for raw in system {
        finder.system(raw);
    }
    for (index, raw) in messages {
        if responses {
            finder.item(index, raw);
        } else {
            finder.message(index, raw);
        }
    }
    finder.slots.sort_by_key(|slot| slot.span.start);
    finder.slots
}

struct Finder<'a> {
    body: &'a str,
    slots: Vec<TextSlot>,
}

/// What a block is, by all the types it gives itself.
#[derive(Default)]
struct Kinds {
    none: bool,
    text: bool,
    refusal: bool,
    document: bool,
    result: bool,
    search: bool,
    compaction: bool,
    system: bool,
}

/// Each goes over its text once; `None` where the text is not what was checked, which ends the search.
impl<'a> Finder<'a> {
    fn take(&mut self, raw: &'a str, place: &TextPlace) {
        if let Some(text) = walk::string(raw) {
            let start = raw.as_ptr() as usize - self.body.as_ptr() as usize;
            self.slots.push(TextSlot { span: start..start + raw.len(), text, place: place.clone() });
        }
    }

    fn system(&mut self, raw: &'a str) -> Option<()> {
        self.take(raw, &TextPlace::System(0));
        for (number, entry) in walk::array(raw)?.into_iter().enumerate().skip(1) {
            self.block(&mut Scan::new(entry), &TextPlace::System(number), 0)?;
        }
        Some(())
    }

    fn message(&mut self, index: usize, raw: &'a str) -> Option<()> {
        let first = self.slots.len();
        let mut role = None;
        let done = self.members(index, raw, &mut role);
        // The role may stand behind the content.
        let role = Role::read(role);
        for slot in self.slots.iter_mut().skip(first) {
            if matches!(slot.place, TextPlace::Message { .. }) {
                slot.place = match &role {
                    Role::Tool => TextPlace::ToolResult { index },
                    role => TextPlace::Message { index, role: role.clone() },
                };
            }
        }
        done
    }

    /// An item of `input`: a message, or a tool's output. Whatever type an item gives itself besides, it may be read as that.
    fn item(&mut self, index: usize, raw: &'a str) -> Option<()> {
        let Some(members) = walk::object(raw) else {
            // A string in an array is nothing that the protocol knows, and yet a text.
            self.take(raw, &TextPlace::Message { index, role: Role::User });
            return Some(());
        };
        let kinds: Vec<_> =
            members.iter().filter(|(key, _)| key == "type").filter_map(|(_, raw)| walk::string(raw)).collect();
        if kinds.is_empty() || kinds.iter().any(|kind| kind == "message") {
            self.message(index, raw)?;
        }
        if kinds.iter().any(|kind| kind.ends_with("_output")) {
            for (_, output) in members.iter().filter(|(key, _)| key == "output") {
                self.content(&mut Scan::new(output), &TextPlace::ToolResult { index }, 0)?;
            }
        }
        Some(())
    }

    fn members(&mut self, index: usize, raw: &'a str, role: &mut Option<&'a str>) -> Option<()> {
        let place = TextPlace::Message { index, role: Role::Other(String::new()) };
        let mut scan = Scan::new(raw);
        if !scan.takes(b'{') {
            return None;
        }
        while !scan.takes(b'}') {
            // A repeated member is a text too: whichever of them the upstream takes, the policy has seen it.
            match &*scan.key()? {
                "content" => self.content(&mut scan, &place, 0)?,
                "refusal" => self.take(scan.value()?, &place),
                "role" => *role = Some(scan.value()?),
                _ => {
                    scan.value()?;
                }
            }
            scan.takes(b',');
        }
        Some(())
    }

    /// A `content`: one string, or blocks.
    fn content(&mut self, scan: &mut Scan<'a>, place: &TextPlace, depth: usize) -> Option<()> {
        if scan.peek()? != b'[' || depth > DEPTH {
            self.take(scan.value()?, place);
            return Some(());
        }
        scan.takes(b'[');
        while !scan.takes(b']') {
            self.block(scan, place, depth)?;
            scan.takes(b',');
        }
        Some(())
    }

    fn block(&mut self, scan: &mut Scan<'a>, place: &TextPlace, depth: usize) -> Option<()> {
        if !scan.takes(b'{') {
            scan.value()?;
            return Some(());
        }
        let mut kinds = Kinds { none: true, ..Kinds::default() };
        let mut fields = Vec::with_capacity(2);
        while !scan.takes(b'}') {
            let key = scan.key()?;
            let value = scan.value()?;
            match &*key {
                "type" => kinds.add(value),
                "text" | "refusal" | "content" | "source" | "stdout" | "stderr" | "title" | "context" => {
                    fields.push((key, value));
                }
                _ => {}
            }
            scan.takes(b',');
        }
        let within = match place {
            TextPlace::Message { index, .. } if kinds.result => &TextPlace::ToolResult { index: *index },
            place => place,
        };
        for (key, value) in fields {
            match &*key {
                "text" if kinds.text || kinds.system => self.take(value, place),
                "refusal" if kinds.refusal => self.take(value, place),
                // What a shell printed, on Responses; its parts have no type.
                "stdout" | "stderr" if kinds.none => self.take(value, place),
                "content" if kinds.holds() => self.content(&mut Scan::new(value), within, depth + 1)?,
                "title" if kinds.document || kinds.search => self.take(value, place),
                "context" if kinds.document => self.take(value, place),
                "source" => {
                    if kinds.document {
                        self.document(value, place, depth + 1)?;
                    }
                    // Where a search found it: a string here.
                    if kinds.search {
                        self.take(value, place);
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// A document that is plain text or made of blocks.
    fn document(&mut self, raw: &'a str, place: &TextPlace, depth: usize) -> Option<()> {
        let members = walk::object(raw).unwrap_or_default();
        let plain = members.iter().any(|(key, value)| key == "type" && walk::is(value, "text"));
        for (key, value) in &members {
            match &**key {
                "data" if plain => self.take(value, place),
                "content" => self.content(&mut Scan::new(value), place, depth)?,
                _ => {}
            }
        }
        Some(())
    }
}

impl Kinds {
    fn add(&mut self, raw: &str) {
        self.none = false;
        match walk::string(raw).as_deref() {
            Some("text" | "input_text" | "output_text") => self.text = true,
            Some("refusal") => self.refusal = true,
            Some("document") => self.document = true,
            Some("tool_result") => self.result = true,
            Some("search_result") => self.search = true,
            Some("compaction") => self.compaction = true,
            Some("mid_conv_system") => self.system = true,
            _ => {}
        }
    }

    /// Whether its `content` is texts.
    fn holds(&self) -> bool {
        self.result || self.search || self.compaction || self.system
    }
}
