//! `dogfood_safety`: keeps an agent's shell from stopping or damaging the gateway that it runs through.

mod command;
mod defaults;
mod variables;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::turn::{Block, ToolCall};
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{LoadError, Loading};
use crate::contract::{Answer, Policy, PolicyError, Review, ReviewContext, Watch};
use crate::message::{SHOWN, clip, fill};
use crate::tree::Tree;

const MARK: &str = "⛔ BLOCKED";

/// The configuration of `dogfood_safety`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Regular expressions over the command, in any case. A call that one of them finds is blocked.
    blocked_patterns: Vec<String>,
    /// The tools that run commands, in any case.
    tool_names: Vec<String>,
    /// What stands in place of the call; may hold {tool_name}, {command} and {pattern}.
    blocked_message: String,
}

impl Default for Config {
    fn default() -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            blocked_patterns: owned(defaults::PATTERNS),
            tool_names: owned(defaults::TOOLS),
            blocked_message: defaults::MESSAGE.to_owned(),
        }
    }
}

#[derive(Debug)]
struct DogfoodSafety {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    patterns: Vec<Regex>,
    tools: Vec<String>,
    message: String,
}

struct Guard {
    rules: Arc<Rules>,
    context: Arc<ReviewContext>,
}

impl Policy for DogfoodSafety {
    fn name(&self) -> &'static str {
        "dogfood_safety"
    }

    fn watches(&self) -> Watch {
        Watch { tool_calls: true, unreadable_calls: true, ..Watch::default() }
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Guard { rules: Arc::clone(&self.rules), context: Arc::clone(context) })
    }
}

impl Guard {
    fn judge(&self, call: &ToolCall) -> Answer {
        let name = call.name.to_lowercase();
        if !self.rules.tools.contains(&name) {
            return Answer::pass();
        }
        let readings = command::readings(call);
        let found = self.rules.patterns.iter().find(|pattern| readings.iter().any(|text| pattern.is_match(text)));
        let Some(pattern) = found else { return Answer::pass() };
        let command = clip(&command::shown(call), SHOWN);
        self.context.events.emit("policy.dogfood_safety.blocked", json!({"tool_name": call.name, "command": command}));
        let values = [("tool_name", &*call.name), ("command", &command), ("pattern", pattern.as_str())];
        let message = fill(&self.rules.message, &values);
        Answer::block(message).because(format!("the command matches {}", pattern.as_str()))
    }
}

impl Review for Guard {
    fn tool_call<'a>(&'a self, call: &'a ToolCall, _: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async move { Ok(self.judge(call)) })
    }
}

/// Patterns are compiled here, so that a bad one is refused at load.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let mut patterns = Vec::with_capacity(config.blocked_patterns.len());
    for (index, source) in config.blocked_patterns.iter().enumerate() {
        let pattern = RegexBuilder::new(source).case_insensitive(true).build().map_err(|error| {
            loading.refuse(&["blocked_patterns", &index.to_string()], format!("not a regular expression: {error}"))
        })?;
        patterns.push(pattern);
    }
    let mut message = config.blocked_message;
    if !message.starts_with(MARK) {
        message = format!("{MARK}: {message}");
    }
    let tools = config.tool_names.iter().map(|name| name.to_lowercase()).collect();
    let policy = DogfoodSafety { rules: Arc::new(Rules { patterns, tools, message }) };
    Ok(Tree::of(policy))
}

#[cfg(test)]
mod tests;
