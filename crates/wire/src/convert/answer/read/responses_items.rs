//! The output items of a Responses answer: which event belongs to which, and what has been said of each already.
//!
//! Everything comes up to three times (as deltas, at the part's end, at the item's end). What came first is taken, and
//! from a later time only what is missing.

use std::collections::HashMap;

use serde_json::Value;

use super::responses::Data;
use super::responses_json::{ItemKind, array, id_of, kind_of, missing, missing_arguments, text};
use crate::convert::answer::event::{Delta, Event, Key, Kind, Opaque};
use crate::convert::answer::logprobs::{self, tokens};
use crate::turn::Unreadable;

/// More items, or parts of an item, than any answer has.
const MAX: usize = 10_000;

mod again;
mod found;

const CALLS: [ItemKind; 2] = [ItemKind::Call, ItemKind::FreeCall];

/// The items so far.
#[derive(Debug, Default)]
pub(super) struct Items {
    all: Vec<Item>,
    by_index: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
    called: bool,
    searched: u64,
    next: Key,
}

#[derive(Debug, Default)]
struct Item {
    kind: ItemKind,
    /// A call's tool.
    name: String,
    /// What has been said of each part; calls and reasoning have one block.
    parts: Vec<Part>,
    ended: bool,
}

#[derive(Debug)]
struct Part {
    /// Which it is by the upstream's numbers: content, or a part of the summary.
    at: (Place, u64),
    key: Key,
    said: String,
    /// How many sources have been told.
    cited: usize,
    /// How many tokens have been told.
    spelt: usize,
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Summary,
    Content,
}

impl Items {
    /// The answer has a call that the client is to run.
    pub(super) fn called(&self) -> bool {
        self.called
    }

    /// How often the vendor searched the web, if it did.
    pub(super) fn searched(&self) -> Option<u64> {
        Some(self.searched).filter(|searched| *searched > 0)
    }

    /// An event of an item or its parts; others say nothing.
    pub(super) fn event(&mut self, data: &Data<'_>, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let content = (Place::Content, data.content_index.unwrap_or(0));
        let summary = (Place::Summary, data.summary_index.unwrap_or(0));
        match &*data.kind {
            "response.output_item.added" => {
                if let Some(item) = &data.item {
                    self.begin(data.output_index, item, out)?;
                }
            }
            "response.output_item.done" => {
                let item = data.item.as_ref().ok_or(Unreadable::Contradiction)?;
                let kind = kind_of(item);
                let found = self.find(data.output_index, id_of(item), |known| known == kind);
                let at = match found.filter(|at| !self.is_another(*at, item)) {
                    Some(at) => at,
                    None => self.begin(data.output_index, item, out)?,
                };
                self.end(at, item, out)?;
            }
            "response.content_part.added" => self.part(data, content, out)?,
            "response.output_text.delta" => {
                let from = out.len();
                self.say(data, ItemKind::Message, content, Kind::Text, text(data.delta.as_ref()), out)?;
                let at = self.of(data, &[ItemKind::Message]);
                self.spell(at, content, tokens(data.logprobs.as_ref()).cloned().collect(), from, out)?;
            }
            "response.refusal.delta" => {
                self.say(data, ItemKind::Message, content, Kind::Refusal, text(data.delta.as_ref()), out)?;
            }
            "response.reasoning_text.delta" => {
                self.say(data, ItemKind::Reasoning, content, Kind::Thinking, text(data.delta.as_ref()), out)?;
            }
            "response.reasoning_summary_text.delta" => {
                self.say(data, ItemKind::Reasoning, summary, Kind::Thinking, text(data.delta.as_ref()), out)?;
            }
            "response.output_text.done" => {
                let from = out.len();
                self.rest_of(data, content, Kind::Text, data.text.as_ref(), out)?;
                let at = self.of(data, &[ItemKind::Message]);
                let more = self.unspelt(at, content, data.logprobs.as_ref());
                self.spell(at, content, more, from, out)?;
            }
            "response.refusal.done" => self.rest_of(data, content, Kind::Refusal, data.refusal.as_ref(), out)?,
            "response.reasoning_text.done" => {
                self.rest_of(data, content, Kind::Thinking, data.text.as_ref(), out)?;
            }
            "response.reasoning_summary_text.done" => {
                self.rest_of(data, summary, Kind::Thinking, data.text.as_ref(), out)?;
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.arguments(data, text(data.delta.as_ref()), out)?;
            }
            "response.output_text.annotation.added" => {
                if let Some(annotation) = &data.annotation {
                    self.annotation(data, content, annotation, out);
                }
            }
            "response.function_call_arguments.done" => self.all_arguments(data, data.arguments.as_ref(), out)?,
            "response.custom_tool_call_input.done" => self.all_arguments(data, data.input.as_ref(), out)?,
            _ => {}
        }
        Ok(())
    }

    /// The output as the terminal event repeats it, or as a whole body has it: what no event told.
    pub(super) fn rest(&mut self, output: &[Value], out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let known = self.repeated(output);
        for (item, at) in output.iter().zip(&known) {
            if let Some(at) = at {
                self.end(*at, item, out)?;
            }
        }
        let last = known.iter().rposition(Option::is_some);
        for (index, item) in output.iter().enumerate().filter(|(index, _)| known[*index].is_none()) {
            // Behind what it led to, its vendor would not take it back.
            if kind_of(item) == ItemKind::Reasoning && last.is_some_and(|last| index < last) {
                out.push(Event::Dropped("reasoning (told at the end only)".into()));
                continue;
            }
            let at = self.begin(Some(index as u64), item, out)?;
            self.end(at, item, out)?;
        }
        Ok(())
    }

    /// The item of an event: by its id, else its number, else the one that came last; of the ids and numbers that servers
    /// give, either may be wrong.
    fn find(&self, index: Option<u64>, id: Option<&str>, fits: impl Fn(ItemKind) -> bool) -> Option<usize> {
        let by_id = id.and_then(|id| self.by_id.get(id)).copied();
        let by_index = index.and_then(|index| self.by_index.get(&index)).copied();
        let last = if index.is_none() { self.all.len().checked_sub(1) } else { None };
        [by_id, by_index, last].into_iter().flatten().find(|at| fits(self.all[*at].kind))
    }

    /// The item of an event that is about its content. What is said of others than those it can be of is nobody's.
    fn of(&self, data: &Data<'_>, kinds: &[ItemKind]) -> Option<usize> {
        let id = data.item_id.as_deref().filter(|id| !id.is_empty());
        self.find(data.output_index, id, |kind| kinds.contains(&kind) || kind == ItemKind::Other)
    }

    fn begin(&mut self, index: Option<u64>, item: &Value, out: &mut Vec<Event>) -> Result<usize, Unreadable> {
        let at = self.all.len();
        if at >= MAX {
            return Err(Unreadable::Contradiction);
        }
        let kind = kind_of(item);
        self.by_index.insert(index.unwrap_or(at as u64), at);
        for name in ["id", "call_id"] {
            if let Some(id) = item.get(name).and_then(Value::as_str).filter(|id| !id.is_empty()) {
                self.by_id.entry(id.to_owned()).or_insert(at);
            }
        }
        let text = |name: &str| text(item.get(name)).to_owned();
        let name = if CALLS.contains(&kind) { text("name") } else { String::new() };
        self.all.push(Item { kind, name, ..Item::default() });
        match kind {
            ItemKind::Call | ItemKind::FreeCall => {
                self.called = true;
                let free_text = kind == ItemKind::FreeCall;
                let call = Kind::Call { id: text("call_id"), name: text("name"), free_text };
                self.block(at, (Place::Content, 0), call, out)?;
            }
            ItemKind::Search => self.block(at, (Place::Content, 0), Kind::Search { id: text("id") }, out)?,
            ItemKind::Other => {
                let kind = text("type");
                let name = text("name");
                out.push(Event::Dropped(if name.is_empty() { kind } else { format!("{kind} ({name})") }));
            }
            ItemKind::Message | ItemKind::Reasoning => {}
        }
        Ok(at)
    }

    /// A new block of an item.
    fn block(&mut self, at: usize, place: (Place, u64), kind: Kind, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let item = &mut self.all[at];
        if item.parts.len() >= MAX {
            return Err(Unreadable::Contradiction);
        }
        let key = self.next;
        self.next += 1;
        item.parts.push(Part { at: place, key, said: String::new(), cited: 0, spelt: 0, ended: false });
        out.push(Event::Start(key, kind));
        Ok(())
    }

    /// `content_part.added`: the part's kind, which a delta would tell as well.
    fn part(&mut self, data: &Data<'_>, place: (Place, u64), out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let part = data.part.as_ref();
        let kind = match text(part.and_then(|part| part.get("type"))) {
            "output_text" => Kind::Text,
            "refusal" => Kind::Refusal,
            _ => return Ok(()),
        };
        let said = part.and_then(|part| part.get(if kind == Kind::Text { "text" } else { "refusal" }));
        self.say(data, ItemKind::Message, place, kind, text(said), out)
    }

    /// More of a part of a message or of reasoning, which may not have begun.
    fn say(
        &mut self,
        data: &Data<'_>,
        of: ItemKind,
        place: (Place, u64),
        kind: Kind,
        more: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Unreadable> {
        let at = if let Some(at) = self.of(data, &[of]) {
            at
        } else {
            let kind = if of == ItemKind::Reasoning { "reasoning" } else { "message" };
            let item = serde_json::json!({"type": kind, "id": data.item_id});
            self.begin(data.output_index, &item, out)?
        };
        if self.all[at].kind == ItemKind::Other {
            return Ok(());
        }
        self.add(at, place, kind, more, out)
    }

    fn add(
        &mut self,
        at: usize,
        place: (Place, u64),
        kind: Kind,
        more: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Unreadable> {
        let thinking = kind == Kind::Thinking;
        if more.is_empty() {
            return Ok(());
        }
        let found = self.all[at].parts.iter().position(|part| part.at == place);
        let index = match found {
            Some(index) => index,
            // Reasoning is one block, whatever its parts; they are set apart as paragraphs.
            None if thinking && !self.all[at].parts.is_empty() => {
                let key = self.all[at].parts[0].key;
                let parts = &mut self.all[at].parts;
                if parts.len() >= MAX {
                    return Err(Unreadable::Contradiction);
                }
                parts.push(Part { at: place, key, said: String::new(), cited: 0, spelt: 0, ended: false });
                out.push(Event::Delta(key, Delta::Text("\n\n".to_owned())));
                parts.len() - 1
            }
            None => {
                self.block(at, place, kind, out)?;
                self.all[at].parts.len() - 1
            }
        };
        let part = &mut self.all[at].parts[index];
        if part.ended {
            return Err(Unreadable::Contradiction);
        }
        part.said.push_str(more);
        out.push(Event::Delta(part.key, Delta::Text(more.to_owned())));
        Ok(())
    }

    /// The end of a part, which repeats all of it.
    fn rest_of(
        &mut self,
        data: &Data<'_>,
        place: (Place, u64),
        kind: Kind,
        all: Option<&Value>,
        out: &mut Vec<Event>,
    ) -> Result<(), Unreadable> {
        let of = if kind == Kind::Thinking { ItemKind::Reasoning } else { ItemKind::Message };
        let said = self.of(data, &[of]).and_then(|at| self.all[at].parts.iter().find(|part| part.at == place));
        let missing = missing(said.map_or("", |part| &part.said), text(all)).to_owned();
        self.say(data, of, place, kind, &missing, out)
    }

    fn arguments(&mut self, data: &Data<'_>, more: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        // Without its item a call has no name: the item's end will tell all of it.
        let Some(at) = self.of(data, &CALLS) else { return Ok(()) };
        let Some(part) = self.all[at].parts.first_mut() else { return Ok(()) };
        if more.is_empty() {
            return Ok(());
        }
        if part.ended {
            return Err(Unreadable::Contradiction);
        }
        part.said.push_str(more);
        out.push(Event::Delta(part.key, Delta::Arguments(more.to_owned())));
        Ok(())
    }

    fn all_arguments(&mut self, data: &Data<'_>, all: Option<&Value>, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let said = self.of(data, &CALLS).and_then(|at| self.all[at].parts.first()).map_or("", |part| &part.said);
        let more = missing_arguments(said, text(all))?.to_owned();
        self.arguments(data, &more, out)
    }

    /// An item's end, which repeats all of it.
    fn end(&mut self, at: usize, item: &Value, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        if std::mem::replace(&mut self.all[at].ended, true) {
            return Ok(());
        }
        match self.all[at].kind {
            ItemKind::Message => self.end_message(at, item, out)?,
            ItemKind::Reasoning => self.end_reasoning(at, item, out)?,
            kind @ (ItemKind::Call | ItemKind::FreeCall) => {
                let name = if kind == ItemKind::Call { "arguments" } else { "input" };
                if let Some(part) = self.all[at].parts.first_mut() {
                    let more = missing_arguments(&part.said, text(item.get(name)))?;
                    if !more.is_empty() {
                        out.push(Event::Delta(part.key, Delta::Arguments(more.to_owned())));
                        part.said.push_str(more);
                    }
                }
            }
            ItemKind::Search => self.end_search(at, item, out),
            ItemKind::Other => {}
        }
        let mut last = None;
        for part in &mut self.all[at].parts {
            part.ended = true;
            if last != Some(part.key) {
                out.push(Event::End(part.key));
            }
            last = Some(part.key);
        }
        Ok(())
    }

    fn end_message(&mut self, at: usize, item: &Value, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        for (index, part) in array(item, "content").iter().enumerate() {
            let place = (Place::Content, index as u64);
            let (kind, all) = match text(part.get("type")) {
                "output_text" | "text" => (Kind::Text, text(part.get("text"))),
                "refusal" => (Kind::Refusal, text(part.get("refusal"))),
                _ => continue,
            };
            let said = self.all[at].parts.iter().find(|part| part.at == place);
            let more = missing(said.map_or("", |part| &part.said), all).to_owned();
            let from = out.len();
            self.add(at, place, kind, &more, out)?;
            let more = self.unspelt(Some(at), place, part.get("logprobs"));
            self.spell(Some(at), place, more, from, out)?;
            // Sources are told as events, or only here.
            if let Some(known) = self.all[at].parts.iter().find(|part| part.at == place) {
                let missing = array(part, "annotations").iter().skip(known.cited);
                out.extend(missing.map(|annotation| found::cited(known.key, annotation)));
            }
        }
        Ok(())
    }

    /// The tokens of a text that have not been told, of a list that repeats all.
    fn unspelt(&self, at: Option<usize>, place: (Place, u64), all: Option<&Value>) -> Vec<Value> {
        let part = at.and_then(|at| self.all[at].parts.iter().find(|part| part.at == place));
        tokens(all).skip(part.map_or(0, |part| part.spelt)).cloned().collect()
    }

    /// Gives tokens to the text that has come with them, since `from`.
    fn spell(
        &mut self,
        at: Option<usize>,
        place: (Place, u64),
        tokens: Vec<Value>,
        from: usize,
        out: &mut Vec<Event>,
    ) -> Result<(), Unreadable> {
        let Some(at) = at.filter(|at| !tokens.is_empty() && self.all[*at].kind == ItemKind::Message) else {
            return Ok(());
        };
        if self.all[at].parts.iter().all(|part| part.at != place) {
            self.block(at, place, Kind::Text, out)?;
        }
        let Some(part) = self.all[at].parts.iter_mut().find(|part| part.at == place && !part.ended) else {
            return Ok(());
        };
        part.spelt += tokens.len();
        let alone = logprobs::spell(part.key, tokens, &mut out[from..]);
        if !alone.is_empty() {
            out.push(Event::Delta(part.key, Delta::Spelt(String::new(), alone)));
        }
        Ok(())
    }

    fn end_reasoning(&mut self, at: usize, item: &Value, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        for (place, name) in [(Place::Summary, "summary"), (Place::Content, "content")] {
            for (index, part) in array(item, name).iter().enumerate() {
                let place = (place, index as u64);
                let said = self.all[at].parts.iter().find(|part| part.at == place);
                let more = missing(said.map_or("", |part| &part.said), text(part.get("text"))).to_owned();
                self.add(at, place, Kind::Thinking, &more, out)?;
            }
        }
        let sealed = !text(item.get("encrypted_content")).is_empty();
        if self.all[at].parts.is_empty() && sealed {
            self.block(at, (Place::Summary, 0), Kind::Thinking, out)?;
        }
        if let Some(part) = self.all[at].parts.first() {
            out.push(Event::Delta(part.key, Delta::Opaque(Opaque::Item(item.clone()))));
        }
        Ok(())
    }
}
