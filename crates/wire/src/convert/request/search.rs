//! The web search that a vendor runs for its model, asked for in each dialect in its own way.
//!
//! A target gets it where its vendor has it for this model; elsewhere it is left out as other tools of vendors are. A limit on
//! where is searched is never lost: what cannot be said is refused.

use serde_json::{Map, Value, json};

use super::super::Refused;
use super::super::search::TOOL;
use super::ask::{Ask, Choice, Gone};
use super::ledger::{Ledger, plain, refuse};
use super::{models, take};
use crate::dialect::Dialect;

/// The form that every model of Anthropic's knows which searches.
const VERSION: &str = "web_search_20250305";

/// A web search that is asked for.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Where it stands, and its type.
    at: String,
    kind: String,
    allowed: Option<Said>,
    blocked: Option<Said>,
    /// About where the user is: city, region, country and time zone.
    location: Map<String, Value>,
    context: Option<Said>,
    uses: Option<Said>,
    /// Only what the vendor has stored is to be searched.
    offline: bool,
}

/// A setting, and where it stands.
#[derive(Debug)]
struct Said {
    at: String,
    value: Value,
}

impl Search {
    /// A tool of Messages.
    pub(super) fn of_messages(at: &str, kind: String, mut tool: Map<String, Value>, ledger: &mut Ledger) -> Self {
        let mut out = Self::new(at, kind);
        out.allowed = list(at, &mut tool, "allowed_domains");
        out.blocked = list(at, &mut tool, "blocked_domains");
        out.uses = said(at, &mut tool, "max_uses");
        out.location = take::object(&mut tool, "user_location");
        if tool.get("allowed_callers").and_then(Value::as_array).is_some_and(|all| all.contains(&"direct".into())) {
            tool.shift_remove("allowed_callers");
        }
        out.rest(&tool, ledger)
    }

    /// A tool of Responses.
    pub(super) fn of_responses(at: &str, kind: String, mut tool: Map<String, Value>, ledger: &mut Ledger) -> Self {
        let mut out = Self::new(at, kind);
        let mut filters = take::object(&mut tool, "filters");
        let within = format!("{at}.filters");
        out.allowed = list(&within, &mut filters, "allowed_domains");
        out.blocked = list(&within, &mut filters, "blocked_domains");
        out.context = said(at, &mut tool, "search_context_size");
        out.location = take::object(&mut tool, "user_location");
        out.offline = take::flag(&mut tool, "external_web_access") == Some(false);
        tool.extend(filters.into_iter().map(|(name, value)| (format!("filters.{name}"), value)));
        out.rest(&tool, ledger)
    }

    /// `web_search_options` of Chat.
    pub(super) fn of_chat(at: &str, mut options: Map<String, Value>, ledger: &mut Ledger) -> Self {
        let mut out = Self::new(at, String::new());
        out.context = said(at, &mut options, "search_context_size");
        out.location = take::object(&mut take::object(&mut options, "user_location"), "approximate");
        out.rest(&options, ledger)
    }

    fn new(at: &str, kind: String) -> Self {
        Self { at: at.to_owned(), kind, ..Self::default() }
    }

    /// The end of reading: what is left has no counterpart. Of a place only the words are wanted that all dialects know.
    fn rest(mut self, others: &Map<String, Value>, ledger: &mut Ledger) -> Self {
        self.location.retain(|name, value| {
            ["city", "region", "country", "timezone"].contains(&name.as_str()) && !value.is_null()
        });
        for (name, _) in others.iter().filter(|(_, value)| !value.is_null() && **value != Value::Bool(false)) {
            ledger.drop(&format!("{}.{}", self.at, plain(name)));
        }
        self
    }

    /// Responses counts the calls of all its tools; this is the only one that is passed on.
    pub(super) fn limit(&mut self, at: &str, calls: Option<Value>) {
        self.uses = calls.map(|value| Said { at: at.to_owned(), value }).or(self.uses.take());
    }

    fn place(&self) -> Option<Map<String, Value>> {
        let mut place = Map::from_iter([("type".to_owned(), Value::from("approximate"))]);
        place.extend(self.location.clone());
        (!self.location.is_empty()).then_some(place)
    }

    /// The tool for Messages.
    pub(super) fn for_messages(&self) -> Value {
        let mut out = json!({"type": VERSION, "name": TOOL});
        put(&mut out, "max_uses", self.uses.as_ref());
        put(&mut out, "allowed_domains", self.allowed.as_ref());
        put(&mut out, "blocked_domains", self.blocked.as_ref());
        if let Some(place) = self.place() {
            out["user_location"] = place.into();
        }
        out
    }

    /// The tool for Responses, and how often tools may be called there.
    pub(super) fn for_responses(&self) -> (Value, Option<Value>) {
        let mut out = json!({"type": TOOL});
        if let Some(allowed) = &self.allowed {
            out["filters"] = json!({"allowed_domains": allowed.value});
        }
        put(&mut out, "search_context_size", self.context.as_ref());
        if let Some(place) = self.place() {
            out["user_location"] = place.into();
        }
        (out, self.uses.as_ref().map(|uses| uses.value.clone()))
    }

    /// The options for Chat.
    pub(super) fn for_chat(&self) -> Value {
        let mut out = json!({});
        put(&mut out, "search_context_size", self.context.as_ref());
        if !self.location.is_empty() {
            out["user_location"] = json!({"type": "approximate", "approximate": self.location});
        }
        out
    }

    /// What limits it and cannot be said there.
    fn unsaid(&self, to: Dialect) -> Option<&Said> {
        match to {
            Dialect::Messages => None,
            // Its server knows domains to leave out, but does not keep to them.
            Dialect::Responses => self.blocked.as_ref(),
            Dialect::Chat => self.allowed.as_ref().or(self.blocked.as_ref()),
        }
    }
}

fn said(at: &str, from: &mut Map<String, Value>, name: &str) -> Option<Said> {
    take::some(from, name).map(|value| Said { at: format!("{at}.{name}"), value })
}

/// A list that has something in it.
fn list(at: &str, from: &mut Map<String, Value>, name: &str) -> Option<Said> {
    said(at, from, name).filter(|said| said.value.as_array().is_none_or(|list| !list.is_empty()))
}

fn put(out: &mut Value, name: &str, said: Option<&Said>) {
    if let Some(said) = said {
        out[name] = said.value.clone();
    }
}

/// Leaves the search out where this target has none, and names or refuses what it cannot say of it.
pub(super) fn settle(ask: &mut Ask, to: Dialect, model: &str, ledger: &mut Ledger) -> Result<(), Refused> {
    let Some(search) = ask.search.take() else { return Ok(()) };
    let never = search.uses.as_ref().is_some_and(|uses| uses.value == 0);
    // Two tools of one name are refused there.
    let twin = to == Dialect::Messages && ask.tools.iter().any(|tool| tool.name == TOOL);
    if search.offline || never || twin || !models::searches(to, model) {
        let why =
            if search.offline { format!("{} without access to the web", search.kind) } else { search.kind.clone() };
        ledger.drop_as(&search.at, &why);
        if let Some(uses) = search.uses.as_ref().filter(|uses| !uses.at.starts_with(&search.at)) {
            ledger.drop(&uses.at);
        }
        ask.gone.push(Gone { kind: search.kind, name: Some(TOOL.to_owned()) });
        return Ok(());
    }
    if let Some(unsaid) = search.unsaid(to) {
        return Err(refuse(&unsaid.at, "the upstream that answers this model cannot be held to these domains"));
    }
    if let Some(uses) = search.uses.as_ref().filter(|_| to == Dialect::Chat) {
        ledger.drop(&uses.at);
    }
    if let Some(context) =
        search.context.as_ref().filter(|context| to == Dialect::Messages && context.value != "medium")
    {
        ledger.drop(&context.at);
    }
    ask.search = Some(search);
    Ok(())
}

/// Whether a type of tool or choice is a web search.
pub(super) fn is_search(kind: &str) -> bool {
    kind == TOOL || kind.strip_prefix(TOOL).is_some_and(|rest| rest.starts_with('_'))
}

/// For Chat, whose choices know no search: the options, if it may search at all, and the choice among the other tools.
pub(super) fn apart(ask: &mut Ask) -> Option<Value> {
    let search = ask.search.take()?;
    let wanted = match &mut ask.choice {
        Some(Choice::None) => false,
        Some(Choice::Allowed { names, .. }) => {
            let wanted = names.iter().any(|name| name == TOOL);
            names.retain(|name| name != TOOL);
            wanted
        }
        _ => true,
    };
    let nothing = match &ask.choice {
        // Its models that search do so for every answer.
        Some(Choice::Hosted(_)) => true,
        Some(Choice::Allowed { names, .. }) => names.is_empty(),
        _ => ask.tools.is_empty(),
    };
    if nothing {
        ask.choice = None;
    }
    if ask.tools.is_empty() {
        ask.parallel = None;
    }
    wanted.then(|| search.for_chat())
}

#[cfg(test)]
mod tests;
