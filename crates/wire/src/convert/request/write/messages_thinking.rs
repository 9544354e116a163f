//! Thinking in a Messages request, and what may not be asked for beside it.

use serde_json::{Map, Value, json};

use super::super::ask::{Ask, Choice, Role, What};
use super::super::effort::{self, LEAST};
use super::super::ledger::Ledger;
use super::super::models::{self, Thinks, thinks};
use super::put;
use crate::dialect::Dialect;

/// What a request says of thinking.
#[derive(Default)]
pub(super) struct Thinking {
    /// The member `thinking`.
    pub(super) value: Option<Value>,
    /// `output_config.effort`.
    pub(super) effort: Option<String>,
}

impl Thinking {
    /// Whether the model thinks, which narrows what else may be asked.
    pub(super) fn is_on(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value["type"] != "disabled")
    }
}

/// How this model is asked to think as much as the request says, within the answer's limit.
pub(super) fn decide(ask: &Ask, model: &str, limit: Option<u64>, ledger: &mut Ledger) -> Thinking {
    let wish = &ask.effort;
    match wish.on {
        None => return Thinking { value: wish.native.clone(), effort: wish.level.clone().map(word) },
        // Newer models think where they are asked to, and not all of them take the word.
        Some(false) if !models::samples(model) => return Thinking::default(),
        Some(false) => return Thinking { value: Some(json!({"type": "disabled"})), effort: None },
        Some(true) => {}
    }
    let forced = match &ask.choice {
        Some(Choice::Named(_) | Choice::Hosted(_) | Choice::Required) => true,
        Some(Choice::Allowed { required, .. }) => *required,
        _ => false,
    };
    if forced {
        ledger.drop_as(wish.at, "a forced tool call leaves no room for thinking");
        return Thinking::default();
    }
    // What the client wrote for a model of budgets others refuse: it is said in their words.
    let fits = |native: &&Value| native["type"] != "enabled" || thinks(model) == Thinks::Budget && below(native, limit);
    if let Some(native) = wish.native.as_ref().filter(fits) {
        return Thinking { value: Some(native.clone()), effort: wish.level.clone().map(word) };
    }
    match thinks(model) {
        Thinks::Never => {
            ledger.drop_as(wish.at, "this model does not think");
            Thinking::default()
        }
        Thinks::Budget => Thinking { value: budget(ask, limit, ledger), effort: None },
        Thinks::Adaptive => {
            let mut value = json!({"type": "adaptive"});
            if wish.shown == Some(true) {
                value["display"] = "summarized".into();
            }
            let budgeted = || wish.budget.map(|budget| effort::level(budget).to_owned());
            Thinking { value: Some(value), effort: wish.level.clone().or_else(budgeted).map(word) }
        }
    }
}

/// Whether the budget that the client named leaves room for an answer.
fn below(native: &Value, limit: Option<u64>) -> bool {
    native["budget_tokens"].as_u64().is_some_and(|budget| limit.is_none_or(|limit| budget < limit))
}

/// A budget below the answer's limit, where there is room for one.
fn budget(ask: &Ask, limit: Option<u64>, ledger: &mut Ledger) -> Option<Value> {
    let wish = &ask.effort;
    let wanted = wish.budget.unwrap_or_else(|| effort::budget(wish.level.as_deref().unwrap_or("medium")));
    let limit = limit.unwrap_or(u64::MAX);
    if limit <= LEAST {
        ledger.drop_as(wish.at, "the limit of tokens leaves no room for thinking");
        return None;
    }
    if !may_go_on(ask) {
        ledger.drop_as(wish.at, "the turn that goes on began without thinking of this vendor");
        return None;
    }
    // Half of the limit stays for the answer, as long as that leaves the least budget that is taken.
    Some(json!({"type": "enabled", "budget_tokens": wanted.min(limit / 2).max(LEAST)}))
}

/// Models with budgets want a turn that goes on after tools ran to begin with their own thinking.
fn may_go_on(ask: &Ask) -> bool {
    let Some(last) = ask.turns.iter().rposition(|turn| turn.role == Role::Assistant) else { return true };
    let goes_on =
        ask.turns.get(last + 1).is_none_or(|turn| turn.parts.iter().any(|part| matches!(part.what, What::Outcome(_))));
    let own = |what: &What| match what {
        What::Reasoning(from, _) => (*from == Dialect::Messages).then_some(true),
        _ => Some(false),
    };
    // Reasoning of others is left out, so it does not count.
    let begins = ask.turns[last].parts.iter().find_map(|part| own(&part.what));
    !goes_on || begins == Some(true)
}

/// Messages' words for an effort.
fn word(level: String) -> String {
    if level == "minimal" { "low".to_owned() } else { level }
}

/// Temperature and its like: what Messages refuses beside thinking, or of two that exclude each other, is left out.
pub(super) fn sampling(body: &mut Map<String, Value>, ask: &mut Ask, model: &str, thinks: bool, ledger: &mut Ledger) {
    if !models::samples(model) {
        super::unsampled(ask, ledger);
        if ask.top_k.take().is_some() {
            ledger.drop_as("top_k", super::UNSAMPLED);
        }
    }
    let number = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64);
    let (temperature, top_p) = (number(&ask.temperature), number(&ask.top_p));
    // As good as not said.
    if top_p == Some(1.0) {
        ask.top_p = None;
    }
    if thinks {
        if temperature.is_some_and(|t| (t - 1.0).abs() > f64::EPSILON) {
            ledger.drop_as("temperature", "not beside thinking");
        }
        ask.temperature = None;
        if ask.top_k.take().is_some() {
            ledger.drop_as("top_k", "not beside thinking");
        }
        if ask.top_p.is_some() && top_p.is_none_or(|p| p < 0.95) {
            ledger.drop_as("top_p", "not beside thinking");
            ask.top_p = None;
        }
    }
    if ask.temperature.is_some() && ask.top_p.take().is_some() {
        ledger.drop_as("top_p", "not beside temperature");
    }
    if temperature.is_some_and(|t| t > 1.0) && ask.temperature.is_some() {
        ledger.drop_as("temperature", "1 is the most there");
        ask.temperature = Some(1.into());
    }
    put(body, "temperature", ask.temperature.take());
    put(body, "top_p", ask.top_p.take());
    put(body, "top_k", ask.top_k.take());
}
