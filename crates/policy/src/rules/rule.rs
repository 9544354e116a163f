//! One rule, compiled.

use std::time::Duration;

use super::config::On;
use super::effects::Kinds;
use super::examples::Example;
use super::expression::{Expression, Failure};
use super::pattern::Globs;
use super::rewrite::TextEdit;
use super::scope::Scope;
use crate::contract::OnError;

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its place in the configuration.
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) on: On,
    pub(super) tools: Option<Globs>,
    pub(super) effects: Option<Kinds>,
    pub(super) when: Option<Expression>,
    pub(super) action: Action,
    pub(super) message: Option<String>,
    pub(super) score: Option<f64>,
    /// A match is recorded, and nothing happens.
    pub(super) shadow: bool,
    pub(super) on_error: OnError,
    pub(super) matches: Vec<Example>,
    pub(super) no_match: Vec<Example>,
}

/// What happens to what matches.
#[derive(Debug)]
pub(super) enum Action {
    Block,
    Ask {
        unanswered: OnError,
        timeout: Option<Duration>,
    },
    Drop,
    Allow,
    Flag,
    Notice,
    /// Texts, and requests by their texts.
    Edit(TextEdit),
    /// A tool call's arguments.
    Arguments(Expression),
    Route {
        upstream: Option<String>,
        model: Option<String>,
    },
}

impl Action {
    /// The name that configurations give it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Ask { .. } => "ask",
            Self::Drop => "drop",
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::Notice => "notice",
            Self::Edit(_) | Self::Arguments(_) => "rewrite",
            Self::Route { .. } => "route",
        }
    }

    /// It keeps something from going on.
    pub(super) fn restrains(&self) -> bool {
        matches!(self, Self::Block | Self::Ask { .. } | Self::Drop)
    }
}

impl Rule {
    /// Whether the rule matches what `scope` shows. Names and effects are looked at before the expression is evaluated.
    pub(super) fn matches(&self, scope: &Scope<'_>) -> Result<bool, String> {
        if let (Some(tools), Some(call)) = (&self.tools, scope.call())
            && !tools.matches(&call.name)
        {
            return Ok(false);
        }
        if let Some(effects) = self.effects {
            // What cannot be read may have any effect.
            if let Some(Err(why)) = scope.call().map(|call| &call.arguments) {
                return Err(format!("the arguments are {why}"));
            }
            if !scope.effects().kinds().meets(effects) {
                return Ok(false);
            }
        }
        match self.when.as_ref().map(|when| when.holds(scope)) {
            None => Ok(true),
            Some(Ok(holds)) => Ok(holds),
            Some(Err(Failure::Missing(_))) => Ok(false),
            Some(Err(Failure::Error(why))) => Err(why),
        }
    }
}
