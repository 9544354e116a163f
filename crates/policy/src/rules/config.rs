//! Rules as configuration gives them: typed, with unknown fields refused.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::catalogue::range;
use crate::contract::{Mode, OnError};

/// The configuration of `rules`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The rules, in the order in which they are asked.
    pub(super) rules: Vec<RuleConfig>,
    /// What becomes of a tool call that no rule decided.
    #[serde(default)]
    pub(super) default_action: DefaultAction,
    /// What happens when a rule cannot be evaluated. Without it `block` for rules that block, ask or drop, else `pass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) on_error: Option<OnError>,
}

/// What becomes of a tool call that no rule decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DefaultAction {
    /// It goes on.
    #[default]
    Allow,
    /// It is blocked.
    Block,
    /// A person decides.
    Ask,
}

/// One rule.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    /// Its name, for the record and for messages; no two are the same.
    pub(super) name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// What it is asked about.
    #[serde(default)]
    pub(super) on: On,
    /// Only for these tools: names, or patterns with `*`. Without it for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tools: Option<Vec<String>>,
    /// Only for tool calls that have at least one effect of these kinds, `delete` say; `unknown` is one of them. Without it for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) effects: Option<Vec<String>>,
    /// The condition, in CEL. Without it the rule matches whatever the fields above select.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<String>,
    /// What happens to what matches.
    pub(super) action: ActionConfig,
    /// What the agent reads in place of what is blocked, or what a notice says; may hold {rule}, {description} and {tool_name}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// The suspicion score of a match, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) score: Option<f64>,
    /// Whether it acts: off, shadow (a match is recorded, nothing happens) or enforce.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Examples that it has to match, checked when the policy is loaded.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub(super) matches: Vec<Value>,
    /// Examples that it must not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) no_match: Vec<Value>,
}

/// The same fields as they are read: from an object alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(deserialize_with = "range::some_text")]
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    on: On,
    #[serde(default)]
    tools: Option<Vec<String>>,
    #[serde(default)]
    effects: Option<Vec<String>>,
    #[serde(default)]
    when: Option<String>,
    action: ActionConfig,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, deserialize_with = "score")]
    score: Option<f64>,
    #[serde(default)]
    mode: Mode,
    #[serde(default, rename = "match")]
    matches: Vec<Value>,
    #[serde(default)]
    no_match: Vec<Value>,
}

impl<'de> Deserialize<'de> for RuleConfig {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let fields: Fields = range::object(reader)?;
        Ok(Self {
            name: fields.name,
            description: fields.description,
            on: fields.on,
            tools: fields.tools,
            effects: fields.effects,
            when: fields.when,
            action: fields.action,
            message: fields.message,
            score: fields.score,
            mode: fields.mode,
            matches: fields.matches,
            no_match: fields.no_match,
        })
    }
}

fn score<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<f64>, D::Error> {
    range::probability(reader).map(Some)
}

/// What a rule is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Each tool call of an answer.
    #[default]
    ToolCall,
    /// Each text of an answer, whole.
    Text,
    /// The request, before it is sent.
    Request,
    /// Each answer as a whole.
    Turn,
}

impl On {
    /// The name that configurations give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToolCall => "tool_call",
            Self::Text => "text",
            Self::Request => "request",
            Self::Turn => "turn",
        }
    }
}

/// What happens to what matches: a word, or an object with one member where there is more to say.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ActionConfig {
    /// In one word.
    Short(ShortAction),
    /// With what it needs.
    Long(LongAction),
}

/// What happens, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShortAction {
    /// It is withheld, and the message stands in its place. No later rule is asked.
    Block,
    /// It goes on if a person allows it. No later rule is asked.
    Ask,
    /// It is left out without a word. No later rule is asked.
    Drop,
    /// It goes on, and no later rule is asked.
    Allow,
    /// It goes on with the rule's score on the record.
    Flag,
    /// It goes on, and the user sees the message.
    Notice,
}

/// What happens, with what it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LongAction {
    /// It goes on if a person allows it. No later rule is asked.
    Ask(AskConfig),
    /// It goes on changed, and later rules see what it has become.
    Rewrite(RewriteConfig),
    /// The request goes elsewhere.
    Route(RouteConfig),
}

impl<'de> Deserialize<'de> for ActionConfig {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Action;
        impl<'de> Visitor<'de> for Action {
            type Value = ActionConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an action: a word, or an object with one member")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<ActionConfig, E> {
                if matches!(word, "rewrite" | "route") {
                    return Err(E::custom(format!(
                        "`{word}` is an object that says what becomes of it: `{word}: {{…}}`"
                    )));
                }
                ShortAction::deserialize(word.into_deserializer()).map(ActionConfig::Short)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ActionConfig, A::Error> {
                LongAction::deserialize(MapAccessDeserializer::new(map)).map(ActionConfig::Long)
            }
        }
        reader.deserialize_any(Action)
    }
}

/// How a person is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AskConfig {
    /// What happens if nobody answers in time.
    pub(super) unanswered: OnError,
    /// How long to wait, in seconds; at most the gateway's own limit, which holds where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(super) timeout: Option<u32>,
}

/// Where a request goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RouteConfig {
    /// The upstream, by its name in the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<String>,
    /// The model that is asked for in place of the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
}

/// How a match is changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RewriteConfig {
    /// Of a text: pairs of a literal text and what stands in its place, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) literal: Vec<(String, String)>,
    /// Of a text: pairs of a regular expression and what stands in its place (`$1` is its first group), in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) regex: Vec<(String, String)>,
    /// Of a tool call: a CEL map, the arguments in place of the call's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) args: Option<String>,
}
