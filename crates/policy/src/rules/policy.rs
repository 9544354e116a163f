//! Rules as a policy: what they watch, and their verdicts as answers.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::request::Request;
use luthien_wire::turn::{Block, ToolCall};
use serde_json::json;

use super::RuleSet;
use super::config::{DefaultAction, On};
use super::decide::{Becomes, Ruling, Verdict};
use super::effects::Effects;
use super::rule::{Action as RuleAction, Rule};
use super::scope::{About, Around, Known, Scope};
use crate::contract::{
    Action, Answer, OnError, Policy, PolicyError, RequestAction, RequestAnswer, Review, ReviewContext, Sending,
    TextWatch, Watch,
};
use crate::message::{clip, fill, tool_name};
use crate::people::Question;

/// The most characters of a command that a message shows.
const SHOWN: usize = 400;

/// A set of rules under a policy's name.
#[derive(Debug)]
pub(crate) struct RulesPolicy {
    name: &'static str,
    set: Arc<RuleSet>,
}

impl RulesPolicy {
    pub(crate) fn new(name: &'static str, set: RuleSet) -> Self {
        Self { name, set: Arc::new(set) }
    }
}

struct Reviewing {
    name: &'static str,
    set: Arc<RuleSet>,
    context: Arc<ReviewContext>,
    known: Known,
}

impl RuleSet {
    fn has(&self, on: On) -> bool {
        self.rules.iter().any(|rule| rule.on == on)
    }

    fn restrains(&self) -> bool {
        self.default_action != DefaultAction::Allow || self.rules.iter().any(|rule| rule.action.restrains())
    }

    fn watches(&self) -> Watch {
        let notice = |rule: &Rule| rule.on == On::Request && matches!(rule.action, RuleAction::Notice);
        // A notice about the request needs calls to be held: it stands before them.
        let tool_calls =
            self.has(On::ToolCall) || self.default_action != DefaultAction::Allow || self.rules.iter().any(notice);
        Watch {
            request: self.has(On::Request),
            text: if self.has(On::Text) { TextWatch::Whole } else { TextWatch::None },
            tool_calls,
            unreadable_calls: tool_calls,
            turn: self.has(On::Turn),
        }
    }
}

impl Policy for RulesPolicy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn watches(&self) -> Watch {
        self.set.watches()
    }

    fn on_error(&self) -> OnError {
        let own = if self.set.restrains() { OnError::Block } else { OnError::Pass };
        self.set.on_error.unwrap_or(own)
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Reviewing {
            name: self.name,
            set: Arc::clone(&self.set),
            context: Arc::clone(context),
            known: Known::default(),
        })
    }
}

impl Reviewing {
    fn around<'a>(&'a self, earlier: &'a [Arc<Block>]) -> Around<'a> {
        Around {
            request: &self.context.request,
            known: &self.known,
            session: self.context.session_id.as_deref(),
            user: self.context.user_id.as_deref(),
            earlier,
        }
    }

    fn effects(&self, call: &ToolCall) -> Arc<Effects> {
        let scope = Scope::new(About::Call(call), self.around(&[]));
        Arc::clone(scope.allowing(self.set.allowed.as_ref()).effects())
    }

    fn answer(&self, verdict: Verdict<'_>, call: Option<&ToolCall>) -> Answer {
        self.tell(&verdict);
        let seen = call.filter(|_| !verdict.matched.is_empty()).map(|call| self.effects(call));
        let words = Words::new(call, seen);
        let score = verdict.score;
        let notices = verdict.notices.iter().map(|rule| words.of(rule, "")).collect();
        let reason = reason(&verdict);
        let failed = matches!(verdict.ruling, Ruling::Failed)
            || (matches!(verdict.ruling, Ruling::Pass) && !verdict.failures.is_empty());
        let action = match verdict.ruling {
            Ruling::Pass => match verdict.becomes {
                Some(Becomes::Text(text)) => Action::Replace(vec![Block::Text(text)]),
                Some(Becomes::Call(call)) => Action::Replace(vec![Block::ToolCall(call)]),
                Some(Becomes::Request(_)) | None => Action::Pass,
            },
            Ruling::Block(rule) => Action::Block(words.of(rule, words.blocked())),
            Ruling::DefaultBlock => Action::Block(words.fill(words.blocked(), None)),
            Ruling::Failed => Action::Block(words.fill(words.unchecked(), None)),
            Ruling::Ask(rule) => Action::Ask(question(rule, &words)),
            Ruling::DefaultAsk => Action::Ask(Question {
                why: "no rule says what becomes of this call".to_owned(),
                denied: words.fill(words.blocked(), None),
                unanswered: OnError::Block,
                timeout: None,
            }),
            Ruling::Drop => Action::Replace(Vec::new()),
        };
        Answer { action, notices, score, reason, failed, ..Answer::default() }
    }

    /// Puts the matches of rules in the shadow on the record.
    fn tell(&self, verdict: &Verdict<'_>) {
        for rule in &verdict.shadowed {
            let data =
                json!({"rule": rule.name, "on": rule.on.name(), "action": rule.action.name(), "score": rule.score});
            self.context.events.emit(format!("policy.{}.shadow_match", self.name), data);
        }
    }

    fn request_answer(&self, verdict: Verdict<'_>) -> RequestAnswer {
        self.tell(&verdict);
        let words = Words::new(None, None);
        let failed = matches!(verdict.ruling, Ruling::Failed)
            || (matches!(verdict.ruling, Ruling::Pass) && !verdict.failures.is_empty());
        let reason = reason(&verdict);
        let notices = verdict.notices.iter().map(|rule| words.of(rule, "")).collect();
        let sending = Sending { upstream: verdict.upstream.map(str::to_owned), credential: None };
        let score = verdict.score;
        let action = match verdict.ruling {
            Ruling::Pass | Ruling::Drop | Ruling::DefaultBlock | Ruling::DefaultAsk => match verdict.becomes {
                Some(Becomes::Request(request)) => RequestAction::Replace(request),
                _ => RequestAction::Pass,
            },
            Ruling::Block(rule) => RequestAction::Block(words.of(rule, words.blocked())),
            Ruling::Failed => RequestAction::Block(words.fill(words.unchecked(), None)),
            Ruling::Ask(rule) => RequestAction::Ask(question(rule, &words)),
        };
        RequestAnswer { action, sending, notices, score, reason, failed }
    }
}

impl Review for Reviewing {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async move {
            // What earlier policies made of it, which is not what the answer's rules see.
            let around = Around { request, known: &Known::default(), ..self.around(&[]) };
            Ok(self.request_answer(self.set.decide(On::Request, About::Request, around)))
        })
    }

    fn text<'a>(&'a self, text: &'a str, earlier: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(
            async move { Ok(self.answer(self.set.decide(On::Text, About::Text(text), self.around(earlier)), None)) },
        )
    }

    fn tool_call<'a>(
        &'a self,
        call: &'a ToolCall,
        earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async move {
            let verdict = self.set.decide(On::ToolCall, About::Call(call), self.around(earlier));
            Ok(self.answer(verdict, Some(call)))
        })
    }

    fn turn<'a>(&'a self, blocks: &'a [Block]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async move { Ok(self.answer(self.set.decide(On::Turn, About::Turn(blocks), self.around(&[])), None)) })
    }
}

/// What is put into messages.
struct Words {
    effects: Option<Arc<Effects>>,
    tool: String,
    command: String,
    is_call: bool,
}

impl Words {
    fn new(call: Option<&ToolCall>, effects: Option<Arc<Effects>>) -> Self {
        let command = call.and_then(super::scope::command_of).unwrap_or_default();
        Self {
            effects,
            tool: call.map(|call| tool_name(&call.name)).unwrap_or_default(),
            command: clip(&command, SHOWN),
            is_call: call.is_some(),
        }
    }

    fn fill(&self, template: &str, rule: Option<&Rule>) -> String {
        let effects = rule.map(|rule| self.seen(rule)).unwrap_or_default();
        let values = [
            ("effects", effects.as_str()),
            ("rule", rule.map_or("", |rule| &rule.name)),
            ("description", rule.map_or("", |rule| &rule.description)),
            ("tool_name", &self.tool),
            ("command", &self.command),
        ];
        fill(template, &values)
    }

    /// What the rule saw.
    fn seen(&self, rule: &Rule) -> String {
        let lines = self.effects.as_ref().map(|effects| effects.lines_of(rule.effects)).unwrap_or_default();
        clip(&lines.join(", "), SHOWN)
    }

    /// The rule's message, or the one that stands in for it.
    fn of(&self, rule: &Rule, otherwise: &str) -> String {
        self.fill(rule.message.as_deref().unwrap_or(otherwise), Some(rule))
    }

    /// Without the reason: an agent that learns it can try around it.
    fn blocked(&self) -> &'static str {
        if self.is_call {
            "[Blocked: the operator's rules do not allow this call of the tool `{tool_name}`.]"
        } else {
            "[Blocked: the operator's rules do not allow this.]"
        }
    }

    fn unchecked(&self) -> &'static str {
        if self.is_call {
            "[Blocked: the operator's rules could not be applied to this call of the tool `{tool_name}`.]"
        } else {
            "[Blocked: the operator's rules could not be applied to this.]"
        }
    }
}

fn question(rule: &Rule, words: &Words) -> Question {
    let (unanswered, timeout) = match rule.action {
        RuleAction::Ask { unanswered, timeout } => (unanswered, timeout),
        _ => (OnError::Block, None),
    };
    let why = if rule.description.is_empty() {
        format!("the rule `{}`", rule.name)
    } else {
        format!("the rule `{}`: {}", rule.name, rule.description)
    };
    Question { why, denied: words.of(rule, words.blocked()), unanswered, timeout }
}

/// What matched and what failed, for the record.
fn reason(verdict: &Verdict<'_>) -> Option<String> {
    let mut parts: Vec<String> = verdict
        .matched
        .iter()
        .map(|rule| {
            let score = rule.score.map(|score| format!(" ({score})")).unwrap_or_default();
            let about = if rule.description.is_empty() { String::new() } else { format!(": {}", rule.description) };
            format!("{} by `{}`{score}{about}", rule.action.name(), rule.name)
        })
        .collect();
    parts.extend(verdict.failures.iter().cloned());
    if matches!(verdict.ruling, Ruling::DefaultBlock | Ruling::DefaultAsk) {
        parts.push("no rule decided".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests;
