//! `parallel`: several policies that see the same, and one answer of theirs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{LoadError, Loading, PolicySpec};
use crate::contract::Mode;
use crate::tree::{Strategy, StrategyName, Tree};

/// The configuration of `parallel`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The policies.
    policies: Vec<PolicySpec>,
    /// How their answers become one.
    #[serde(default)]
    consolidation_strategy: StrategyName,
    /// The place of the one that decides where the strategy is `designated`, from 0.
    designated_policy_index: Option<usize>,
}

/// All its policies beside each other. One that is off has no voice.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let trees = loading.chain("policies", &config.policies)?;
    if trees.is_empty() {
        return Err(loading.refuse(&["policies"], "needs at least one policy"));
    }
    let field = "designated_policy_index";
    let strategy = match (config.consolidation_strategy, config.designated_policy_index) {
        (StrategyName::Designated, None) => {
            return Err(loading.refuse(&[field], "is needed where the strategy is `designated`"));
        }
        (StrategyName::Designated, Some(at)) if at < trees.len() => Strategy::Designated(at),
        (StrategyName::Designated, Some(at)) => {
            let msg = format!("{at} is none of the {} policies, which count from 0", trees.len());
            return Err(loading.refuse(&[field], msg));
        }
        (_, Some(_)) => return Err(loading.refuse(&[field], "has a meaning only where the strategy is `designated`")),
        (StrategyName::FirstBlock, None) => Strategy::FirstBlock,
        (StrategyName::MostRestrictive, None) => Strategy::MostRestrictive,
        (StrategyName::UnanimousPass, None) => Strategy::UnanimousPass,
        (StrategyName::MajorityPass, None) => Strategy::MajorityPass,
    };
    let off = |at: usize| config.policies.get(at).is_some_and(|spec| spec.mode == Mode::Off);
    let strategy = match strategy {
        Strategy::Designated(at) if off(at) => return Err(loading.refuse(&[field], format!("policy {at} is off"))),
        // Those before it that are off are left out.
        Strategy::Designated(at) => Strategy::Designated((0..at).filter(|before| !off(*before)).count()),
        other => other,
    };
    let voices = trees.into_iter().enumerate().filter(|(at, _)| !off(*at)).map(|(_, tree)| tree);
    Ok(Tree::Parallel(strategy, voices.collect()))
}
