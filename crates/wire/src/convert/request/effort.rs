//! How much is to be thought: the words of one vendor and the token budgets of the other.
//!
//! | effort | budget in tokens | budget | effort |
//! |---|---|---|---|
//! | `minimal` | 1 024 | to 4 096 | `low` |
//! | `low` | 4 096 | to 16 384 | `medium` |
//! | `medium` | 12 288 | above | `high` |
//! | `high` | 24 576 | | |
//! | `xhigh` | 32 768 | | |
//! | `max` | 49 152 | | |
//!
//! A budget becomes one of three words, since not every server knows the others; a word that the client gave goes as it is.

use serde_json::Value;

use super::ask::Effort;
use super::take;

/// The least that Messages takes.
pub(super) const LEAST: u64 = 1_024;

/// The budget for an effort.
pub(super) fn budget(level: &str) -> u64 {
    match level {
        "minimal" => LEAST,
        "low" => 4_096,
        "high" => 24_576,
        "xhigh" => 32_768,
        "max" => 49_152,
        _ => 12_288,
    }
}

/// The effort for a budget.
pub(super) fn level(budget: u64) -> &'static str {
    match budget {
        0..=4_096 => "low",
        4_097..=16_384 => "medium",
        _ => "high",
    }
}

/// Takes up a `thinking` object as Messages has it.
pub(super) fn read(effort: &mut Effort, thinking: Value) {
    let mut thinking = take::members(thinking);
    effort.on = match take::kind(&mut thinking).as_str() {
        "disabled" => Some(false),
        "enabled" | "adaptive" => Some(true),
        _ => effort.on,
    };
    effort.budget = thinking.get("budget_tokens").and_then(Value::as_u64);
    effort.shown = thinking.get("display").and_then(Value::as_str).map(|display| display != "omitted");
}

impl Effort {
    /// The word that OpenAI's dialects have for it; none where the model is to decide.
    pub(super) fn word(&self) -> Option<String> {
        match (self.on, &self.level, self.budget) {
            (Some(false), ..) => Some("none".to_owned()),
            (_, Some(level), _) => Some(level.clone()),
            (_, None, Some(budget)) => Some(level(budget).to_owned()),
            (_, None, None) => None,
        }
    }
}
