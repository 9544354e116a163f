//! Fits what an answer says to what the client's dialect can hold: calls in the form the client declared, with ids; a
//! refusal's words as a block; names for what is left out.

use std::collections::{HashMap, HashSet};

use super::event::{Delta, Event, Key, Kind, Opaque, Stop};
use super::free_text::{AROUND, Unwrap, escaped};
use super::logprobs;
use crate::convert::{AnswerContext, call_signature, search};
use crate::dialect::Dialect;

/// What a name in the record may have.
const MAX_NAME: usize = 100;

/// The digits that a counter has; ids that are numbers by chance have more.
const MAX_COUNTER: usize = 3;

/// How many names are kept; an upstream could name things without end.
const MAX_NAMES: usize = 100;

/// Whether an id is good for the client's whole conversation, which may go to its own vendor later: one that this vendor
/// takes, and no number that the server counts anew in each answer (`call_0`, `get_weather_1`).
fn lasts(to: Dialect, id: &str) -> bool {
    let longest = if to == Dialect::Chat { 40 } else { 64 };
    let is_word = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'-';
    let before = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let counted = (1..=MAX_COUNTER).contains(&(id.len() - before.len())) && before.bytes().all(is_word);
    let taken = id.bytes().all(|b| is_word(b) || b.is_ascii_digit());
    (1..=longest).contains(&id.len()) && taken && !counted
}

/// The fitter. Events come in sequence, one block at a time.
#[derive(Debug)]
pub(super) struct Fit {
    to: Dialect,
    id: String,
    free_text_tools: Vec<String>,
    renamed_tools: Vec<(String, String)>,
    calls: usize,
    /// The upstream's ids so far.
    ids: HashSet<String>,
    /// The client's, by the calls' keys.
    given: HashMap<Key, String>,
    refused: bool,
    cut: bool,
    call: Option<Call>,
    /// How many searches of the vendor's there were, and whether one is open.
    searches: usize,
    searching: bool,
    /// A call has ended: what comes next tells whether it was cut off.
    ending: Option<(Key, Call)>,
    /// What the client's dialect has no place for.
    pub(super) dropped: Vec<String>,
}

/// How the arguments of the open call are written.
#[derive(Debug)]
enum Call {
    /// As they are. `blank`: nothing has come yet.
    Json { blank: bool },
    /// Free text stays free text.
    Free,
    /// JSON becomes free text.
    Unwrap(Unwrap),
    /// Free text becomes JSON.
    Wrap,
}

impl Fit {
    pub(super) fn new(context: &AnswerContext) -> Self {
        Self {
            to: context.to,
            id: context.id.clone(),
            free_text_tools: context.free_text_tools.clone(),
            renamed_tools: context.renamed_tools.clone(),
            calls: 0,
            ids: HashSet::new(),
            given: HashMap::new(),
            refused: false,
            cut: false,
            call: None,
            searches: 0,
            searching: false,
            ending: None,
            dropped: Vec::new(),
        }
    }

    /// Names something that the client does not get.
    pub(super) fn drop(&mut self, name: &str) {
        let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        if self.dropped.len() < MAX_NAMES {
            self.dropped.push(name);
        }
    }

    /// The same where there may be many of a kind.
    fn drop_once(&mut self, name: &str) {
        if !self.dropped.iter().any(|known| known == name) {
            self.drop(name);
        }
    }

    /// Takes an event, adds what the client gets of it to `out`.
    pub(super) fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        if !matches!(event, Event::Cut | Event::Usage(_) | Event::Dropped(_)) {
            self.end_call(out);
        }
        match event {
            Event::Start(key, Kind::Call { id, name, free_text }) => {
                out.push(self.start(key, id, name, free_text));
                if matches!(self.call, Some(Call::Wrap)) {
                    out.push(Event::Delta(key, Delta::Arguments(AROUND.0.to_owned())));
                }
            }
            Event::Start(key, Kind::Search { id }) => self.start_search(key, &id, out),
            Event::Delta(..) if self.searching => self.of_search(event, out),
            Event::End(_) if self.searching => {
                self.of_search(event, out);
                self.searching = false;
            }
            Event::Start(_, Kind::Refusal) => {
                self.refused = true;
                out.push(event);
            }
            Event::Delta(key, Delta::Arguments(fragment)) => self.arguments(key, fragment, out),
            Event::Delta(key, Delta::Spelt(text, _)) if self.to == Dialect::Messages => {
                self.drop_once("logprobs");
                if !text.is_empty() {
                    out.push(Event::Delta(key, Delta::Text(text)));
                }
            }
            Event::Delta(key, Delta::Spelt(text, tokens)) => {
                let tokens = tokens.into_iter().map(|token| logprobs::fitted(token, self.to)).collect();
                out.push(Event::Delta(key, Delta::Spelt(text, tokens)));
            }
            Event::Delta(key, Delta::Opaque(Opaque::OfCall(call, signature))) => {
                let id = self.given.get(&call).map(String::as_str).unwrap_or_default();
                let element = call_signature::element_of(id, &signature);
                out.push(Event::Delta(key, Delta::Opaque(Opaque::Details(vec![element]))));
            }
            Event::Cut => {
                self.cut = true;
                out.push(event);
            }
            Event::End(key) => match self.call.take() {
                Some(call) => self.ending = Some((key, call)),
                None => out.push(event),
            },
            Event::Stop(stop) => {
                self.stop(&stop, out);
                out.push(Event::Stop(stop));
            }
            Event::Dropped(name) => self.drop(&name),
            other => out.push(other),
        }
    }

    fn start(&mut self, key: Key, id: String, name: String, free_text: bool) -> Event {
        self.calls += 1;
        let renamed = self.renamed_tools.iter().find(|(there, _)| *there == name);
        let name = renamed.map_or(name, |(_, here)| here.clone());
        let declared = self.free_text_tools.contains(&name);
        let call = match (free_text, self.to) {
            (true, Dialect::Messages) => Call::Wrap,
            (true, _) => Call::Free,
            (false, Dialect::Chat | Dialect::Responses) if declared => Call::Unwrap(Unwrap::default()),
            (false, _) => Call::Json { blank: true },
        };
        let free_text = matches!(call, Call::Free | Call::Unwrap(_));
        self.call = Some(call);
        // Results are told apart by the ids of their calls.
        let id = if lasts(self.to, &id) && self.ids.insert(id.clone()) { id } else { self.own_id() };
        self.given.insert(key, id.clone());
        Event::Start(key, Kind::Call { id, name, free_text })
    }

    /// A search that the vendor runs, for clients that know such a thing.
    fn start_search(&mut self, key: Key, id: &str, out: &mut Vec<Event>) {
        self.searching = true;
        if self.to == Dialect::Chat {
            self.drop("web search");
            return;
        }
        self.searches += 1;
        let own = || {
            let prefix = if self.to == Dialect::Messages { search::FOREIGN } else { "ws_" };
            format!("{prefix}{}_{}", self.id, self.searches)
        };
        let told = search::id(self.to, id).filter(|_| !self.ids.contains(id)).unwrap_or_else(own);
        self.ids.insert(id.to_owned());
        out.push(Event::Start(key, Kind::Search { id: told }));
    }

    fn of_search(&self, event: Event, out: &mut Vec<Event>) {
        if self.to != Dialect::Chat {
            out.push(event);
        }
    }

    fn own_id(&self) -> String {
        let prefix = if self.to == Dialect::Messages { "toolu" } else { "call" };
        format!("{prefix}_{}_{}", self.id, self.calls)
    }

    fn arguments(&mut self, key: Key, fragment: String, out: &mut Vec<Event>) {
        let text = match &mut self.call {
            None => return,
            Some(Call::Json { blank }) => {
                *blank &= fragment.trim().is_empty();
                fragment
            }
            Some(Call::Free) => fragment,
            Some(Call::Unwrap(unwrap)) => unwrap.push(&fragment),
            Some(Call::Wrap) => escaped(&fragment),
        };
        if !text.is_empty() {
            out.push(Event::Delta(key, Delta::Arguments(text)));
        }
    }

    /// The end of a call. No arguments are an empty object: readers parse what they get. What was cut off gets nothing that
    /// would make it look whole.
    fn end_call(&mut self, out: &mut Vec<Event>) {
        let Some((key, call)) = self.ending.take() else { return };
        let rest = match call {
            _ if self.cut => String::new(),
            Call::Json { blank: true } => "{}".to_owned(),
            Call::Unwrap(mut unwrap) => unwrap.finish(),
            Call::Wrap => AROUND.1.to_owned(),
            Call::Json { blank: false } | Call::Free => String::new(),
        };
        if !rest.is_empty() {
            out.push(Event::Delta(key, Delta::Arguments(rest)));
        }
        out.push(Event::End(key));
    }

    /// Messages tells beside the answer why it refused; the other dialects have a place within it.
    fn stop(&mut self, stop: &Stop, out: &mut Vec<Event>) {
        match stop {
            Stop::Refusal { explanation: Some(words), .. }
                if self.to != Dialect::Messages && !self.refused && !words.is_empty() =>
            {
                self.refused = true;
                out.push(Event::Start(Key::MAX, Kind::Refusal));
                out.push(Event::Delta(Key::MAX, Delta::Text(words.clone())));
                out.push(Event::End(Key::MAX));
            }
            Stop::Pause if self.to != Dialect::Messages => self.drop("stop reason pause_turn"),
            Stop::Other(name) => self.drop(&format!("stop reason {name}")),
            _ => {}
        }
    }
}
