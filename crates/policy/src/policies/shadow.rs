//! `shadow`: any policy, asked about a copy: recorded, and nothing is held or changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{LoadError, Loading, PolicySpec};
use crate::contract::Mode;
use crate::tree::Tree;

/// The configuration of `shadow`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The policy to try out.
    policy: PolicySpec,
}

/// Its policy in the shadow.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    Ok(loading.one("policy", &config.policy)?.at_most(Mode::Shadow))
}
