//! `template`: passes everything. It shows authors the shape of a policy, and user interfaces every kind of field.

use std::sync::Arc;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{LoadError, Loading, range};
use crate::contract::{Policy, Review, ReviewContext, Watch};
use crate::tree::Tree;

/// The configuration of `template`. None of it changes anything.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// A text.
    name: String,
    /// A switch.
    enabled: bool,
    /// A number within bounds.
    #[serde(deserialize_with = "range::probability")]
    #[schemars(range(min = 0.0, max = 1.0))]
    threshold: f64,
    /// A text that is not shown. It is kept with the configuration: a real secret belongs into the environment.
    #[serde(alias = "api_key")]
    #[schemars(extend("format" = "password"))]
    secret: Option<String>,
    /// A list whose entries have one form or another.
    rules: Vec<Rule>,
}

/// One entry of the list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Rule {
    /// A regular expression.
    Regex {
        /// The expression.
        pattern: String,
        /// Whether capital letters are told apart.
        #[serde(default)]
        case_sensitive: bool,
    },
    /// Words.
    Keyword {
        /// The words.
        keywords: Vec<String>,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self { name: "default".to_owned(), enabled: true, threshold: 0.5, secret: None, rules: Vec::new() }
    }
}

#[derive(Debug)]
struct Template;

struct Passing;

impl Policy for Template {
    fn name(&self) -> &'static str {
        "template"
    }

    /// What a policy must see is held back for it, so ask for no more than that.
    fn watches(&self) -> Watch {
        Watch::default()
    }

    /// Opened anew for each request: what belongs to one request is kept in the review, never in the policy.
    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Passing)
    }
}

/// What is not answered passes.
impl Review for Passing {}

/// What serde cannot check is checked here, by path.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    for (at, rule) in config.rules.iter().enumerate() {
        if let Rule::Regex { pattern, .. } = rule {
            Regex::new(pattern).map_err(|error| {
                loading.refuse(&["rules", &at.to_string(), "pattern"], format!("not a regular expression: {error}"))
            })?;
        }
    }
    Ok(Tree::of(Template))
}
