//! `serial`: a chain of policies, each seeing what the one before it let out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{LoadError, Loading, PolicySpec, load_at};
use crate::member::Member;

/// The configuration of `serial`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The policies, in order.
    policies: Vec<PolicySpec>,
}

/// The members of all its policies, in order. All that is wrong in any of them is reported at once.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Vec<Member>, LoadError> {
    let config: Config = loading.read()?;
    let mut members = Vec::new();
    let mut problems = Vec::new();
    for (index, spec) in config.policies.iter().enumerate() {
        match load_at(spec, loading.env, &loading.at(&["policies", &index.to_string()])) {
            Ok(more) => members.extend(more),
            Err(error) => problems.extend(error.problems),
        }
    }
    if problems.is_empty() { Ok(members) } else { Err(LoadError { problems }) }
}
