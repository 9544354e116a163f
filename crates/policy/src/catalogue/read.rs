//! Reads a policy's configuration into its type, and says by path what is wrong with it.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_path_to_error::Segment;

use super::{LoadEnv, LoadError, PolicySpec, ProblemKind, load_at, range};
use crate::tree::Tree;

/// The configuration of a policy that has none.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoConfig {}

/// What a policy is built from.
pub(crate) struct Loading<'a> {
    config: Cow<'a, Value>,
    path: Vec<String>,
    /// What the operator's settings say.
    pub(crate) env: &'a LoadEnv,
    /// It was asked for by a name of an older proxy.
    pub(crate) older: bool,
    /// The name that it was asked for by.
    pub(crate) class: &'a str,
}

impl<'a> Loading<'a> {
    /// From what stands at `path`; `older` if it was asked for by a name of an older proxy.
    pub(crate) fn new(config: &'a Value, env: &'a LoadEnv, path: Vec<String>, older: bool) -> Self {
        Self { config: Cow::Borrowed(unwrapped(config)), path, env, older, class: "" }
    }

    /// Asked for by this name.
    #[must_use]
    pub(crate) fn named(mut self, class: &'a str) -> Self {
        self.class = class;
        self
    }

    /// Without what luthien_control writes into every policy's configuration: the policy's name and its type.
    #[must_use]
    pub(crate) fn without_labels(mut self) -> Self {
        if let Value::Object(config) = self.config.to_mut() {
            config.retain(|key, value| !(matches!(key.as_str(), "name" | "type") && value.is_string()));
        }
        self
    }

    /// Nothing is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.config.is_null() || self.config.as_object().is_some_and(serde_json::Map::is_empty)
    }

    /// The configuration has this field.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.config.get(field).is_some()
    }

    /// The configuration as `T`, whose fields check themselves.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, LoadError> {
        let empty = Value::Object(serde_json::Map::new());
        let config = if self.config.is_null() { &empty } else { &*self.config };
        let mut track = serde_path_to_error::Track::new();
        let reader = serde_path_to_error::Deserializer::new(config, &mut track);
        range::object(reader).map_err(|error| {
            let mut loc = self.path.clone();
            loc.extend(track.path().iter().filter_map(step));
            let msg = plainly(&error.to_string());
            let kind = kind_of(&msg);
            if matches!(kind, ProblemKind::UnknownField | ProblemKind::Missing)
                && let Some(field) = msg.split('`').nth(1)
                && loc.last().is_none_or(|last| last != field)
            {
                loc.push(field.to_owned());
            }
            LoadError::one(loc, kind, msg)
        })
    }

    /// The policy that stands in `field`.
    pub(crate) fn one(&self, field: &str, spec: &PolicySpec) -> Result<Tree, LoadError> {
        self.one_at(&[field], spec)
    }

    /// The policy that stands at this place.
    pub(crate) fn one_at(&self, field: &[&str], spec: &PolicySpec) -> Result<Tree, LoadError> {
        load_at(spec, self.env, &self.at(field))
    }

    /// The policies of a list that stands in `field`. All that is wrong in any of them is reported at once.
    pub(crate) fn chain(&self, field: &str, specs: &[PolicySpec]) -> Result<Vec<Tree>, LoadError> {
        let mut trees = Vec::new();
        let mut problems = Vec::new();
        for (index, spec) in specs.iter().enumerate() {
            match load_at(spec, self.env, &self.at(&[field, &index.to_string()])) {
                Ok(tree) => trees.push(tree),
                Err(error) => problems.extend(error.problems),
            }
        }
        if problems.is_empty() { Ok(trees) } else { Err(LoadError { problems }) }
    }

    /// The path of `field`, below where this configuration stands.
    pub(crate) fn at(&self, field: &[&str]) -> Vec<String> {
        self.path.iter().cloned().chain(field.iter().map(|&step| step.to_owned())).collect()
    }

    /// A refusal of `field`.
    pub(crate) fn refuse(&self, field: &[&str], msg: impl Into<String>) -> LoadError {
        LoadError::one(self.at(field), ProblemKind::BadValue, msg)
    }
}

/// A configuration may come wrapped once in `config`.
fn unwrapped(config: &Value) -> &Value {
    match config.as_object() {
        Some(object) if object.len() == 1 => match object.get("config") {
            Some(inner) if inner.is_object() => inner,
            _ => config,
        },
        _ => config,
    }
}

/// The message with the names of Rust's types in words.
fn plainly(msg: &str) -> String {
    let words = [
        ("f64", "a number"),
        ("u32", "a whole number from 0 on"),
        ("a string", "a text"),
        ("a sequence", "a list"),
        ("a boolean", "true or false"),
    ];
    for (ty, words) in words {
        if let Some(before) = msg.strip_suffix(ty).filter(|before| before.ends_with("expected ")) {
            return format!("{before}{words}");
        }
    }
    msg.to_owned()
}

fn step(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

fn kind_of(msg: &str) -> ProblemKind {
    if msg.starts_with("unknown field") {
        ProblemKind::UnknownField
    } else if msg.starts_with("missing field") {
        ProblemKind::Missing
    } else if msg.starts_with("invalid type") {
        ProblemKind::WrongType
    } else {
        ProblemKind::BadValue
    }
}
