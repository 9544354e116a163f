//! Examples: what a rule has to match and what not, tried where the rules are loaded and by `luthien policy test`.

use std::sync::Arc;

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use luthien_wire::turn::{Block, ToolCall, ToolForm};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::RuleSet;
use super::config::On;
use super::decide::Ruling;
use super::rule::Rule;
use super::scope::{About, Around, Known, Scope};
use crate::catalogue::{LoadError, Problem, ProblemKind, range};
use crate::message::clip;

/// The most characters of an example that are shown.
const SHOWN: usize = 200;

/// One example, read.
#[derive(Clone, Debug)]
pub(super) struct Example {
    /// As it was written.
    shown: String,
    subject: Subject,
    request: Request,
    earlier: Vec<Arc<Block>>,
    session: Option<String>,
    user: Option<String>,
}

#[derive(Clone, Debug)]
enum Subject {
    Call(ToolCall),
    Text(String),
    Request,
    Turn(Vec<Block>),
}

/// What came of one example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The rule.
    pub rule: String,
    /// The rule's place in the configuration.
    pub index: usize,
    /// The example's place among the rule's `match` or `no_match`.
    pub at: usize,
    /// The example as it was written; long ones cut.
    pub example: String,
    /// Whether the rule has to match it.
    pub expected: bool,
    /// Whether it does; the error says why it could not be evaluated.
    #[serde(serialize_with = "found")]
    pub found: Result<bool, String>,
    /// What the tool call does, as far as it is known.
    pub effects: Vec<String>,
}

/// What a set of rules says of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// What the call does, as far as it is known.
    pub effects: Vec<String>,
    /// What each rule about tool calls says, in order.
    pub rules: Vec<Said>,
    /// What happens: `pass`, `block`, `ask`, `drop` or `rewrite`.
    pub decision: &'static str,
    /// The rule that decides; none where the default or a failure does.
    pub by: Option<String>,
    /// The highest score of the rules that match.
    pub score: Option<f64>,
}

/// What one rule says of a call as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The rule.
    pub rule: String,
    /// Its action.
    pub action: &'static str,
    /// What it is for.
    pub description: String,
    /// Whether it matches; the error says why it could not be evaluated.
    #[serde(serialize_with = "found")]
    pub found: Result<bool, String>,
}

/// `true`, `false`, or an object with the error.
fn found<S: Serializer>(found: &Result<bool, String>, out: S) -> Result<S::Ok, S::Error> {
    match found {
        Ok(found) => out.serialize_bool(*found),
        Err(why) => json!({"error": why}).serialize(out),
    }
}

/// The fields of an example that is an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    tool: Option<ToolFields>,
    text: Option<String>,
    turn: Option<Vec<BlockFields>>,
    request: Option<Map<String, Value>>,
    dialect: Option<Dialect>,
    earlier: Vec<BlockFields>,
    session: Option<String>,
    user: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolFields {
    name: String,
    #[serde(default)]
    args: Option<Value>,
    #[serde(default)]
    command: Option<String>,
}

/// A block of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BlockFields {
    Text(String),
    Tool(ToolFields),
}

impl Example {
    /// Reads an example of a rule about `on`.
    pub(super) fn read(on: On, value: &Value) -> Result<Self, String> {
        let fields: Fields = match (value, on) {
            (Value::String(command), On::ToolCall) => Fields {
                tool: Some(ToolFields { name: "Bash".to_owned(), args: None, command: Some(command.clone()) }),
                ..Fields::default()
            },
            (Value::String(text), On::Text) => Fields { text: Some(text.clone()), ..Fields::default() },
            (Value::String(text), On::Turn) => {
                Fields { turn: Some(vec![BlockFields::Text(text.clone())]), ..Fields::default() }
            }
            (Value::String(text), On::Request) => Fields {
                request: json!({"messages": [{"role": "user", "content": text}]}).as_object().cloned(),
                ..Fields::default()
            },
            (value, _) => range::object(value).map_err(|error| error.to_string())?,
        };
        let request = request(fields.dialect.unwrap_or(Dialect::Messages), fields.request.clone())?;
        let subject = match (on, fields.tool, fields.text, fields.turn, fields.request) {
            (On::ToolCall, Some(tool), None, None, _) => Subject::Call(call(tool)),
            (On::Text, None, Some(text), None, _) => Subject::Text(text),
            (On::Turn, None, None, Some(said), _) => Subject::Turn(said.into_iter().map(block).collect()),
            (On::Request, None, None, None, Some(_)) => Subject::Request,
            _ => {
                let member = if on == On::ToolCall { "tool" } else { on.name() };
                return Err(format!("an example of a rule with `on: {}` has `{member}`", on.name()));
            }
        };
        let earlier = fields.earlier.into_iter().map(|said| Arc::new(block(said))).collect();
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(Self { shown, subject, request, earlier, session: fields.session, user: fields.user })
    }

    fn about(&self) -> About<'_> {
        match &self.subject {
            Subject::Call(call) => About::Call(call),
            Subject::Text(text) => About::Text(text),
            Subject::Request => About::Request,
            Subject::Turn(blocks) => About::Turn(blocks),
        }
    }

    fn around<'a>(&'a self, known: &'a Known) -> Around<'a> {
        Around {
            request: &self.request,
            known,
            session: self.session.as_deref(),
            user: self.user.as_deref(),
            earlier: &self.earlier,
        }
    }

    /// What an expression says of it.
    #[cfg(test)]
    pub(super) fn ask(&self, expression: &super::expression::Expression) -> Result<bool, super::expression::Failure> {
        expression.holds(&Scope::new(self.about(), self.around(&Known::default())))
    }

    /// Whether the rule matches it.
    fn tried(&self, rule: &Rule, at: usize, expected: bool) -> Outcome {
        let known = Known::default();
        let scope = Scope::new(self.about(), self.around(&known));
        Outcome {
            rule: rule.name.clone(),
            index: rule.index,
            at,
            example: clip(&self.shown, SHOWN),
            expected,
            found: rule.matches(&scope),
            effects: scope.effects().lines(),
        }
    }
}

impl RuleSet {
    /// Tries all examples, in the order of the rules.
    pub fn examples(&self) -> Vec<Outcome> {
        self.rules
            .iter()
            .flat_map(|rule| {
                let has_to = rule.matches.iter().enumerate().map(|(at, example)| example.tried(rule, at, true));
                let must_not = rule.no_match.iter().enumerate().map(|(at, example)| example.tried(rule, at, false));
                has_to.chain(must_not)
            })
            .collect()
    }

    /// Refuses the rules whose examples do not hold; they stand at `path`.
    pub(crate) fn tried(&self, path: &[String]) -> Result<(), LoadError> {
        let problems: Vec<Problem> = self
            .examples()
            .into_iter()
            .filter(|outcome| !outcome.holds())
            .map(|outcome| {
                let field = if outcome.expected { "match" } else { "no_match" };
                let own = ["rules", &outcome.index.to_string(), field, &outcome.at.to_string()].map(str::to_owned);
                Problem { loc: [path, &own].concat(), msg: outcome.complaint(), kind: ProblemKind::BadValue }
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(LoadError { problems }) }
    }

    /// What the rules say of a command that is given to a tool.
    pub fn explain(&self, tool: &str, command: &str) -> Result<Explained, String> {
        let example = Example::read(On::ToolCall, &json!({"tool": {"name": tool, "command": command}}))?;
        let known = Known::default();
        let scope = Scope::new(example.about(), example.around(&known));
        let rules = self.rules.iter().filter(|rule| rule.on == On::ToolCall);
        let rules = rules.map(|rule| Said {
            rule: rule.name.clone(),
            action: rule.action.name(),
            description: rule.description.clone(),
            found: rule.matches(&scope),
        });
        let verdict = self.decide(On::ToolCall, example.about(), example.around(&known));
        let (decision, by) = match verdict.ruling {
            Ruling::Pass if verdict.becomes.is_some() => ("rewrite", None),
            Ruling::Pass => ("pass", None),
            Ruling::Block(rule) => ("block", Some(rule)),
            Ruling::Ask(rule) => ("ask", Some(rule)),
            Ruling::Drop => ("drop", verdict.matched.last().copied()),
            Ruling::DefaultBlock | Ruling::Failed => ("block", None),
            Ruling::DefaultAsk => ("ask", None),
        };
        Ok(Explained {
            effects: scope.effects().lines(),
            rules: rules.collect(),
            decision,
            by: by.map(|rule| rule.name.clone()),
            score: verdict.score,
        })
    }
}

impl Outcome {
    /// It is as expected.
    pub fn holds(&self) -> bool {
        self.found == Ok(self.expected)
    }

    fn complaint(&self) -> String {
        let found = match &self.found {
            Ok(true) => "matches, and must not".to_owned(),
            Ok(false) => "does not match".to_owned(),
            Err(why) => format!("cannot be evaluated: {why}"),
        };
        let does =
            if self.effects.is_empty() { String::new() } else { format!(" (it does: {})", self.effects.join(", ")) };
        format!("the rule `{}` {found}: {}{does}", self.rule, self.example)
    }
}

fn call(tool: ToolFields) -> ToolCall {
    let mut arguments = tool.args.unwrap_or_else(|| json!({}));
    if let (Some(command), Value::Object(members)) = (tool.command, &mut arguments) {
        members.insert("command".to_owned(), command.into());
    }
    let raw = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
    ToolCall { id: String::new(), name: tool.name, form: ToolForm::Client, raw, arguments: Ok(arguments) }
}

fn block(said: BlockFields) -> Block {
    match said {
        BlockFields::Text(text) => Block::Text(text),
        BlockFields::Tool(tool) => Block::ToolCall(call(tool)),
    }
}

/// A request with these members, and what it needs beside them.
fn request(dialect: Dialect, members: Option<Map<String, Value>>) -> Result<Request, String> {
    let mut body = members.unwrap_or_default();
    let messages = if dialect == Dialect::Responses { "input" } else { "messages" };
    body.entry("model").or_insert_with(|| "a-model".into());
    body.entry(messages).or_insert_with(|| json!([{"role": "user", "content": "hello"}]));
    if dialect == Dialect::Messages {
        body.entry("max_tokens").or_insert_with(|| 1024.into());
    }
    let body = Bytes::from(Value::Object(body).to_string());
    Request::parse(dialect, RequestKind::Turn, body).map_err(|error| format!("`request` cannot be read: {error}"))
}
