//! A policy as configuration names it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::Mode;

/// A policy by its class and configuration, as the policy file and the admin API give it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// The native name, or the name an older proxy used.
    #[serde(alias = "type")]
    pub class: String,
    /// The policy's own configuration.
    #[serde(default = "empty")]
    pub config: Value,
    /// Whether it acts: off, shadow or enforce.
    #[serde(default)]
    pub mode: Mode,
}

impl PolicySpec {
    /// The policy `class` with `config`, enforced.
    pub fn new(class: impl Into<String>, config: Value) -> Self {
        Self { class: class.into(), config, mode: Mode::Enforce }
    }
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}
