//! A policy as configuration names it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::range;
use crate::contract::Mode;

/// A policy by its class and configuration, as the policy file and the admin API give it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// The native name, or the name an older proxy used.
    pub class: String,
    /// The policy's own configuration.
    #[serde(default = "empty")]
    pub config: Value,
    /// Whether it acts: off, shadow or enforce.
    #[serde(default)]
    pub mode: Mode,
}

/// The same fields, as they are read; `type` is what luthien_control calls the class.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(alias = "type")]
    class: String,
    #[serde(default = "empty")]
    config: Value,
    #[serde(default)]
    mode: Mode,
}

impl<'de> Deserialize<'de> for PolicySpec {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let Fields { class, config, mode } = range::object(reader)?;
        Ok(Self { class, config, mode })
    }
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
