//! From a configuration to rules that can be asked: everything that is wrong is found here, each with its path.

use std::time::Duration;

use regex::RegexBuilder;

use super::RuleSet;
use super::config::{ActionConfig, Config, LongAction, On, RewriteConfig, RouteConfig, RuleConfig, ShortAction};
use super::effects::{self, Kinds};
use super::examples::Example;
use super::expression::Expression;
use super::pattern::Globs;
use super::rewrite::TextEdit;
use super::rule::{Action, Rule};
use crate::catalogue::{LoadError, Loading, Problem, ProblemKind};
use crate::contract::{Mode, OnError};

/// The most rules of one set.
const MOST: usize = 2000;

/// The most rules of one set that rewrite or route.
const REWRITES: usize = 100;

/// The largest compiled regular expression, in bytes.
const LARGEST: usize = 1 << 20;

pub(super) fn compile(loading: &Loading<'_>, config: &Config) -> Result<RuleSet, LoadError> {
    if config.rules.len() > MOST {
        return Err(loading.refuse(&["rules"], format!("{} rules, more than {MOST}", config.rules.len())));
    }
    let mut problems = Vec::new();
    let mut rules: Vec<Rule> = Vec::with_capacity(config.rules.len());
    for (index, given) in config.rules.iter().enumerate() {
        let mut compiler = Compiler { loading, index, given, problems: Vec::new() };
        let named = config.rules[..index].iter().position(|other| other.name == given.name);
        if let Some(first) = named {
            compiler.refuse(&["name"], format!("rules[{first}] has this name, too"));
        }
        let rule = compiler.rule(config);
        match rule {
            Some(rule) if compiler.problems.is_empty() => rules.extend((given.mode != Mode::Off).then_some(rule)),
            _ => problems.extend(compiler.problems),
        }
    }
    if !problems.is_empty() {
        return Err(LoadError { problems });
    }
    ordered(loading, &rules)?;
    Ok(RuleSet { rules, default_action: config.default_action, on_error: config.on_error, allowed: None })
}

/// A question to a person is about what came, so that nothing may have changed it before.
fn ordered(loading: &Loading<'_>, rules: &[Rule]) -> Result<(), LoadError> {
    let changes = |rule: &&Rule| matches!(rule.action, Action::Edit(_) | Action::Arguments(_) | Action::Route { .. });
    let most = |rule: &&Rule| rules.iter().filter(changes).nth(REWRITES).is_some_and(|last| last.index == rule.index);
    if let Some(last) = rules.iter().find(most) {
        let field = ["rules", &last.index.to_string(), "action"];
        return Err(loading.refuse(&field, format!("more than {REWRITES} rules rewrite or route")));
    }
    for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| matches!(rule.action, Action::Ask { .. })) {
        if let Some(before) = rules[..at].iter().filter(changes).find(|before| before.on == rule.on) {
            return Err(loading.refuse(
                &["rules", &rule.index.to_string(), "action"],
                format!(
                    "`{}` rewrites before this rule asks; put one of them into a policy of its own, in a chain",
                    before.name
                ),
            ));
        }
    }
    Ok(())
}

struct Compiler<'a> {
    loading: &'a Loading<'a>,
    index: usize,
    given: &'a RuleConfig,
    problems: Vec<Problem>,
}

impl Compiler<'_> {
    fn refuse(&mut self, field: &[&str], msg: impl Into<String>) {
        let index = self.index.to_string();
        let loc = self.loading.at(&[&["rules", &index], field].concat());
        self.problems.push(Problem { loc, msg: msg.into(), kind: ProblemKind::BadValue });
    }

    /// The rule; none where something is wrong, which is among the problems then.
    fn rule(&mut self, config: &Config) -> Option<Rule> {
        let given = self.given;
        if given.on != On::ToolCall {
            for (field, is_there) in [("tools", given.tools.is_some()), ("effects", given.effects.is_some())] {
                if is_there {
                    self.refuse(
                        &[field],
                        format!("only rules about tool calls have it, and this one has `on: {}`", given.on.name()),
                    );
                }
            }
        }
        let tools = given.tools.as_ref().and_then(|tools| {
            let globs = if tools.is_empty() { Err("the list is empty".to_owned()) } else { Globs::lines(tools) };
            globs.map_err(|why| self.refuse(&["tools"], why)).ok()
        });
        let effects = given.effects.as_ref().map(|names| self.effects(names));
        let when = given.when.as_ref().and_then(|source| self.expression(&["when"], source));
        let action = self.action();
        let matches = self.examples("match", &given.matches);
        let no_match = self.examples("no_match", &given.no_match);
        let action = action?;
        self.words(&action);
        let own = if action.restrains() { OnError::Block } else { OnError::Pass };
        Some(Rule {
            index: self.index,
            name: given.name.clone(),
            description: given.description.clone().unwrap_or_default(),
            on: given.on,
            tools,
            effects,
            when,
            action,
            message: given.message.clone(),
            score: given.score,
            shadow: given.mode == Mode::Shadow,
            on_error: config.on_error.unwrap_or(own),
            matches,
            no_match,
        })
    }

    fn effects(&mut self, names: &[String]) -> Kinds {
        let mut kinds = Kinds::default();
        if names.is_empty() {
            self.refuse(&["effects"], "the list is empty");
        }
        for (at, name) in names.iter().enumerate() {
            match effects::kind(name) {
                Some(kind) => kinds.add(kind),
                None if name == "unknown" => kinds.add_unknown(),
                None => {
                    let why = effects::unknown_kind(name);
                    self.refuse(&["effects", &at.to_string()], why);
                }
            }
        }
        kinds
    }

    fn expression(&mut self, field: &[&str], source: &str) -> Option<Expression> {
        Expression::compile(source, self.given.on).map_err(|refused| self.refuse(field, refused.to_string())).ok()
    }

    fn examples(&mut self, field: &str, given: &[serde_json::Value]) -> Vec<Example> {
        let mut examples = Vec::with_capacity(given.len());
        for (at, value) in given.iter().enumerate() {
            match Example::read(self.given.on, value) {
                Ok(example) => examples.push(example),
                Err(why) => self.refuse(&[field, &at.to_string()], why),
            }
        }
        examples
    }

    fn action(&mut self) -> Option<Action> {
        let on = self.given.on;
        let action = match &self.given.action {
            ActionConfig::Short(word) => match word {
                ShortAction::Block => Action::Block,
                ShortAction::Ask => Action::Ask { unanswered: OnError::Block, timeout: None },
                ShortAction::Drop => Action::Drop,
                ShortAction::Allow => Action::Allow,
                ShortAction::Flag => Action::Flag,
                ShortAction::Notice => Action::Notice,
            },
            ActionConfig::Long(LongAction::Ask(ask)) => Action::Ask {
                unanswered: ask.unanswered,
                timeout: ask.timeout.map(|seconds| Duration::from_secs(seconds.into())),
            },
            ActionConfig::Long(LongAction::Rewrite(rewrite)) => self.rewrite(rewrite)?,
            ActionConfig::Long(LongAction::Route(route)) => self.route(route)?,
        };
        let fits = match &action {
            Action::Drop => matches!(on, On::ToolCall | On::Text),
            Action::Route { .. } => on == On::Request,
            Action::Edit(_) => matches!(on, On::Text | On::Request),
            Action::Arguments(_) => on == On::ToolCall,
            _ => true,
        };
        if !fits {
            self.refuse(&["action"], format!("`{}` cannot be done with `on: {}`", action.name(), on.name()));
        }
        fits.then_some(action)
    }

    fn rewrite(&mut self, given: &RewriteConfig) -> Option<Action> {
        let texts = !given.literal.is_empty() || !given.regex.is_empty();
        match (&given.args, texts) {
            (Some(source), false) => self.expression(&["action", "rewrite", "args"], source).map(Action::Arguments),
            (None, true) => Some(Action::Edit(self.edit(given))),
            _ => {
                self.refuse(
                    &["action", "rewrite"],
                    "give `literal` or `regex` pairs for a text, or `args` for a tool call",
                );
                None
            }
        }
    }

    fn edit(&mut self, given: &RewriteConfig) -> TextEdit {
        for (at, (from, _)) in given.literal.iter().enumerate() {
            if from.is_empty() {
                self.refuse(&["action", "rewrite", "literal", &at.to_string()], "the text to replace is empty");
            }
        }
        let mut regex = Vec::new();
        for (at, (source, to)) in given.regex.iter().enumerate() {
            match RegexBuilder::new(source).size_limit(LARGEST).build() {
                Ok(built) => regex.push((built, to.clone())),
                Err(error) => self.refuse(
                    &["action", "rewrite", "regex", &at.to_string()],
                    format!("not a regular expression: {error}"),
                ),
            }
        }
        TextEdit { literal: given.literal.clone(), regex }
    }

    fn route(&mut self, given: &RouteConfig) -> Option<Action> {
        if given.upstream.is_none() && given.model.is_none() {
            self.refuse(&["action", "route"], "give an `upstream`, a `model` or both");
            return None;
        }
        if let (Some(name), Some(known)) = (&given.upstream, &self.loading.env.providers)
            && !known.contains(name)
        {
            let known = if known.is_empty() {
                "none is configured".to_owned()
            } else {
                format!("known are {}", known.join(", "))
            };
            self.refuse(&["action", "route", "upstream"], format!("there is no upstream `{name}`; {known}"));
        }
        Some(Action::Route { upstream: given.upstream.clone(), model: given.model.clone() })
    }

    /// A message is for actions that say something, a score for those that do not decide alone.
    fn words(&mut self, action: &Action) {
        if matches!(action, Action::Notice) && self.given.message.as_ref().is_none_or(|words| words.trim().is_empty()) {
            self.refuse(&["message"], "a notice needs a `message`");
        }
        let says = matches!(action, Action::Block | Action::Ask { .. } | Action::Notice);
        if self.given.message.is_some() && !says {
            self.refuse(&["message"], format!("`{}` shows no message", action.name()));
        }
        if matches!(action, Action::Flag) && self.given.score.is_none() {
            self.refuse(&["score"], "a flag needs a `score`, from 0 to 1");
        }
    }
}
