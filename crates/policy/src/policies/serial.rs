//! `serial`: a chain of policies, each seeing what the one before it let out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{LoadError, Loading, PolicySpec};
use crate::tree::Tree;

/// The configuration of `serial`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The policies, in order.
    policies: Vec<PolicySpec>,
}

/// All its policies, in order. All that is wrong in any of them is reported at once.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    loading.chain("policies", &config.policies).map(Tree::Serial)
}
