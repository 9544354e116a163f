//! The tool calls of a Chat stream, whose fragments servers tell apart in different ways.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::chat::REASONING;
use crate::convert::answer::event::{Delta, Event, Key, Kind, Opaque};
use crate::convert::answer::json_end::JsonEnd;
use crate::convert::call_signature;
use crate::turn::Unreadable;

/// More calls than any answer has.
const MAX_CALLS: usize = 10_000;

/// A call's arguments that come before its name are kept up to here.
const MAX_EARLY: usize = 1 << 20;

/// The calls that have begun.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    /// The newest call of each index.
    by_index: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
    last: Option<usize>,
    legacy: Option<usize>,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    free_text: bool,
    begun: bool,
    signature: Option<String>,
    /// One that came when the call had begun.
    late: Option<String>,
    /// Arguments from before the name.
    early: String,
    json: JsonEnd,
}

#[derive(Deserialize)]
pub(super) struct CallRead<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow)]
    custom: Option<Custom<'a>>,
    extra_content: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
}

/// A text, or an object from servers that forgot to write it as one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Arguments<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Object(serde_json::Map<String, serde_json::Value>),
}

#[derive(Deserialize)]
struct Custom<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<Cow<'a, str>>,
}

impl Arguments<'_> {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text.into_owned(),
            Self::Object(object) => serde_json::Value::Object(object).to_string(),
        }
    }
}

impl Call {
    /// It is whole, and a fragment with these is of another call: some servers give every call of an answer the index 0,
    /// some give no ids.
    fn is_complete_beside(&self, id: &str, name: &str, arguments: &str) -> bool {
        let named = !id.is_empty() && !self.id.is_empty();
        let same = named && id == self.id;
        let says = !arguments.trim().is_empty() || name != self.name;
        self.begun && self.json.ended() && !name.is_empty() && !same && (named || says)
    }
}

fn key_of(at: usize) -> Key {
    REASONING + 1 + at as Key
}

/// Reasoning without words that holds this.
fn sealed(key: Key, opaque: Opaque, out: &mut Vec<Event>) {
    out.push(Event::Start(key, Kind::Thinking));
    out.push(Event::Delta(key, Delta::Opaque(opaque)));
    out.push(Event::End(key));
}

impl Calls {
    /// A fragment of a call; `whole`: in a body every element is a call of its own, whatever its id and index.
    pub(super) fn fragment(&mut self, read: CallRead<'_>, whole: bool, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let id = read.id.unwrap_or_default();
        let (name, arguments, free_text) = match (read.function, read.custom) {
            (Some(_), Some(_)) => return Err(Unreadable::Contradiction),
            (Some(function), None) => (function.name, function.arguments.map(Arguments::text), false),
            (None, Some(custom)) => (custom.name, custom.input.map(Cow::into_owned), true),
            (None, None) => (None, None, false),
        };
        let name = name.unwrap_or_default();
        match read.kind.as_deref() {
            None | Some("function" | "custom" | "") => {}
            // Nobody could run it.
            Some(other) => {
                out.push(Event::Dropped(format!("{other} (a tool call)")));
                return Ok(());
            }
        }
        let arguments = arguments.unwrap_or_default();
        let found = if whole { None } else { self.find(read.index, &id) };
        let at = match found.filter(|at| !self.all[*at].is_complete_beside(&id, &name, &arguments)) {
            Some(at) => at,
            None => self.begin(read.index, free_text)?,
        };
        self.last = Some(at);
        if let Some(signature) = read.extra_content.as_ref().and_then(call_signature::read) {
            let call = &mut self.all[at];
            let place = if call.begun { &mut call.late } else { &mut call.signature };
            *place = Some(signature);
        }
        self.add(at, &id, &name, arguments, out)
    }

    /// A fragment of the one call that the old form has.
    pub(super) fn legacy(&mut self, read: Function<'_>, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let at = match self.legacy {
            Some(at) => at,
            None => self.begin(None, false)?,
        };
        self.legacy = Some(at);
        let arguments = read.arguments.map(Arguments::text).unwrap_or_default();
        self.add(at, "", &read.name.unwrap_or_default(), arguments, out)
    }

    /// The choice has ended: a call that never got a name is none. Signatures that came late follow.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        if !self.all.iter().all(|call| call.begun) {
            return Err(Unreadable::Contradiction);
        }
        for (at, call) in self.all.iter_mut().enumerate() {
            // Some servers repeat it in every fragment.
            if let Some(signature) = call.late.take().filter(|late| call.signature.as_ref() != Some(late)) {
                let key = key_of(at);
                sealed(Key::MAX / 2 - key, Opaque::OfCall(key, signature), out);
            }
        }
        Ok(())
    }

    /// The call that a fragment goes on with: by its index, or where it has none, by its id, or the last one.
    fn find(&self, index: Option<u64>, id: &str) -> Option<usize> {
        match index {
            Some(index) => self.by_index.get(&index).copied(),
            None if id.is_empty() => self.last,
            None => self.by_id.get(id).copied(),
        }
    }

    fn begin(&mut self, index: Option<u64>, free_text: bool) -> Result<usize, Unreadable> {
        let at = self.all.len();
        if at >= MAX_CALLS {
            return Err(Unreadable::Contradiction);
        }
        let index = index.unwrap_or(at as u64);
        self.by_index.insert(index, at);
        self.all.push(Call {
            id: String::new(),
            name: String::new(),
            free_text,
            begun: false,
            signature: None,
            late: None,
            early: String::new(),
            json: JsonEnd::default(),
        });
        Ok(at)
    }

    fn add(
        &mut self,
        at: usize,
        id: &str,
        name: &str,
        arguments: String,
        out: &mut Vec<Event>,
    ) -> Result<(), Unreadable> {
        let Some(call) = self.all.get_mut(at) else { return Err(Unreadable::Contradiction) };
        let key = key_of(at);
        if call.name.is_empty() && !call.begun {
            name.clone_into(&mut call.name);
        } else if !name.is_empty() && call.name != name {
            return Err(Unreadable::Contradiction);
        }
        if call.id.is_empty() && !call.begun {
            id.clone_into(&mut call.id);
        } else if !id.is_empty() && call.id != id {
            // Some servers give an id late, or a new one in each fragment: it is nobody's, and the index tells whose.
            let goes_on = name.is_empty() || call.id.is_empty();
            if !call.begun || !goes_on || self.by_id.contains_key(id) {
                return Err(Unreadable::Contradiction);
            }
        }
        if !call.id.is_empty() && !self.by_id.contains_key(&call.id) {
            self.by_id.insert(call.id.clone(), at);
        }
        call.json.push(&arguments);
        if !call.begun {
            call.early.push_str(&arguments);
            if call.early.len() > MAX_EARLY {
                return Err(Unreadable::Contradiction);
            }
            if call.name.is_empty() {
                return Ok(());
            }
            call.begun = true;
            if let Some(signature) = &call.signature {
                sealed(Key::MAX - key, Opaque::Details(vec![call_signature::element(signature)]), out);
            }
            let kind = Kind::Call { id: call.id.clone(), name: call.name.clone(), free_text: call.free_text };
            out.push(Event::Start(key, kind));
            let early = std::mem::take(&mut call.early);
            if !early.is_empty() {
                out.push(Event::Delta(key, Delta::Arguments(early)));
            }
        } else if !arguments.is_empty() {
            out.push(Event::Delta(key, Delta::Arguments(arguments)));
        }
        Ok(())
    }
}
