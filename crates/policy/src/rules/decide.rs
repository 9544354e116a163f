//! Asks the rules in order, and makes one verdict of what they say.

use luthien_wire::request::Request;
use luthien_wire::turn::ToolCall;
use serde_json::{Map, Value};

use super::RuleSet;
use super::config::{DefaultAction, On};
use super::expression::Failure;
use super::rule::{Action, Rule};
use super::scope::{About, Around, Known, Scope};
use crate::contract::OnError;

/// What the rules say of one subject.
#[derive(Debug, Default)]
pub(super) struct Verdict<'a> {
    pub(super) ruling: Ruling<'a>,
    /// What it has become.
    pub(super) becomes: Option<Becomes>,
    /// Where a request goes.
    pub(super) upstream: Option<&'a str>,
    /// The highest score of all matches.
    pub(super) score: Option<f64>,
    /// The rules whose notices the user sees.
    pub(super) notices: Vec<&'a Rule>,
    /// The rules that matched, in order, those in the shadow apart.
    pub(super) matched: Vec<&'a Rule>,
    pub(super) shadowed: Vec<&'a Rule>,
    /// What could not be evaluated.
    pub(super) failures: Vec<String>,
}

/// What happens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Ruling<'a> {
    /// It goes on.
    #[default]
    Pass,
    /// The rule withholds it.
    Block(&'a Rule),
    /// The rule leaves it to a person.
    Ask(&'a Rule),
    /// The rule leaves it out.
    Drop,
    /// No rule decided, and the default withholds it.
    DefaultBlock,
    /// No rule decided, and the default leaves it to a person.
    DefaultAsk,
    /// A rule could not be evaluated, and that withholds it.
    Failed,
}

/// What a subject has become.
#[derive(Clone, Debug)]
pub(super) enum Becomes {
    Text(String),
    Call(ToolCall),
    Request(Request),
}

impl RuleSet {
    /// The verdict on `about`.
    pub(super) fn decide<'a>(&'a self, on: On, about: About<'_>, around: Around<'_>) -> Verdict<'a> {
        let mut verdict = Verdict::default();
        self.walk(0, on, about, around, &mut verdict);
        verdict
    }

    /// Asks the rules from `start` on, until one decides. A rewrite goes on with what it made.
    fn walk<'a>(&'a self, start: usize, on: On, about: About<'_>, around: Around<'_>, verdict: &mut Verdict<'a>) {
        let scope = Scope::new(about, around).allowing(self.allowed.as_ref());
        if scope.is_allowed() {
            return;
        }
        for (at, rule) in self.rules.iter().enumerate().skip(start).filter(|(_, rule)| rule.on == on) {
            match rule.matches(&scope) {
                Ok(false) => continue,
                Ok(true) if rule.shadow => {
                    verdict.shadowed.push(rule);
                    continue;
                }
                Ok(true) => verdict.matched.push(rule),
                Err(_) if rule.shadow => continue,
                Err(why) => {
                    if verdict.failed(rule, &why) {
                        return;
                    }
                    continue;
                }
            }
            verdict.score = verdict.score.into_iter().chain(rule.score).reduce(f64::max);
            match &rule.action {
                Action::Allow => return,
                Action::Block => return verdict.ruling = Ruling::Block(rule),
                Action::Ask { .. } => return verdict.ruling = Ruling::Ask(rule),
                Action::Drop => return verdict.ruling = Ruling::Drop,
                Action::Flag => {}
                Action::Notice => verdict.notices.push(rule),
                Action::Edit(_) | Action::Arguments(_) | Action::Route { .. } => match changed(rule, &scope, verdict) {
                    Ok(Some(becomes)) => return self.go_on(at + 1, on, becomes, around, verdict),
                    Err(why) if verdict.failed(rule, &why) => return,
                    Ok(None) | Err(_) => {}
                },
            }
        }
        if on == On::ToolCall {
            verdict.ruling = match self.default_action {
                DefaultAction::Allow => Ruling::Pass,
                DefaultAction::Block => Ruling::DefaultBlock,
                DefaultAction::Ask => Ruling::DefaultAsk,
            };
        }
    }

    fn go_on<'a>(&'a self, at: usize, on: On, becomes: Becomes, around: Around<'_>, verdict: &mut Verdict<'a>) {
        match &becomes {
            Becomes::Text(text) => self.walk(at, on, About::Text(text), around, verdict),
            Becomes::Call(call) => self.walk(at, on, About::Call(call), around, verdict),
            Becomes::Request(request) => {
                let around = Around { request, known: &Known::default(), ..around };
                self.walk(at, on, About::Request, around, verdict);
            }
        }
        // A later rewrite has the last word.
        verdict.becomes.get_or_insert(becomes);
    }
}

impl<'a> Verdict<'a> {
    /// Notes that a rule could not be evaluated. Whether that decides.
    fn failed(&mut self, rule: &'a Rule, why: &str) -> bool {
        self.failures.push(format!("rules[{}] `{}`: {why}", rule.index, rule.name));
        if rule.on_error == OnError::Block {
            self.ruling = Ruling::Failed;
            return true;
        }
        false
    }
}

/// What a rule that changes makes of what `scope` shows; nothing where it stays as it is.
fn changed<'a>(rule: &'a Rule, scope: &Scope<'_>, verdict: &mut Verdict<'a>) -> Result<Option<Becomes>, String> {
    match (&rule.action, scope.about()) {
        (Action::Edit(edit), About::Text(text)) => Ok(edit.apply(text)?.map(Becomes::Text)),
        (Action::Edit(edit), About::Request) => {
            let request = scope.request();
            let mut edits = Vec::new();
            for slot in request.texts() {
                if let Some(new) = edit.apply(&slot.text)? {
                    edits.push((slot.span, new));
                }
            }
            Ok((!edits.is_empty()).then(|| Becomes::Request(request.with_texts(&edits))))
        }
        (Action::Arguments(expression), About::Call(call)) => {
            let object = expression.object(scope).map_err(|failure| match failure {
                Failure::Missing(why) | Failure::Error(why) => why,
            })?;
            let new = rewritten(call, object);
            Ok((new.arguments != call.arguments).then_some(Becomes::Call(new)))
        }
        (Action::Route { upstream, model }, About::Request) => {
            verdict.upstream = upstream.as_deref().or(verdict.upstream);
            let request = scope.request();
            let model = model.as_deref().filter(|model| *model != request.model());
            Ok(model.map(|model| Becomes::Request(request.with_model(model))))
        }
        _ => Ok(None),
    }
}

/// The call with other arguments. Free text stays free text.
fn rewritten(call: &ToolCall, mut object: Map<String, Value>) -> ToolCall {
    let free_text = matches!(call.arguments, Ok(Value::String(_))) && object.len() == 1;
    let arguments = match object.remove("input") {
        Some(Value::String(text)) if free_text => Value::String(text),
        Some(input) => {
            object.insert("input".to_owned(), input);
            Value::Object(object)
        }
        None => Value::Object(object),
    };
    let raw = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
    ToolCall { raw, arguments: Ok(arguments), ..call.clone() }
}
