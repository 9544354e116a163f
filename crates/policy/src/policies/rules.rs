//! `rules`: conditions in CEL, each with what happens where it holds.

use crate::catalogue::{LoadError, Loading};
use crate::rules::{RuleSet, RulesPolicy};
use crate::tree::Tree;

pub(crate) use crate::rules::Config;

/// Rules are compiled here and tried on their examples, so that a wrong one is refused at load.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let set = RuleSet::load(loading, &config)?;
    set.tried(&loading.at(&[]))?;
    Ok(Tree::of(RulesPolicy::new("rules", set)))
}
