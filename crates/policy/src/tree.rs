//! Policies put together: what the catalogue hands out and a plan opens.

use std::sync::Arc;

use crate::contract::{Mode, Policy, PolicyError, ReviewContext, TextWatch, Watch};
use luthien_wire::request::Request;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Policies and how they are put together. Immutable.
#[derive(Clone, Debug)]
pub enum Tree {
    /// One policy.
    Policy(Arc<dyn Policy>),
    /// One after the other: each sees what the former let out, for requests and answers alike.
    Serial(Vec<Tree>),
    /// All see the same; the strategy makes one answer of theirs.
    Parallel(Strategy, Vec<Tree>),
    /// The first whose condition holds for the request, else the last.
    Branch(Vec<(Arc<dyn Condition>, Tree)>, Box<Tree>),
    /// Asked about a copy: recorded, and nothing is held or changed.
    Shadow(Box<Tree>),
}

/// How the answers of policies that saw the same become one. Where a text or call does not pass, it is as one of them said;
/// a block weighs more than a question to a person, that more than a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StrategyName {
    /// The first in the list that blocks; where none blocks, the first that asks; where none asks, the first that changes.
    #[default]
    FirstBlock,
    /// The one that lets least through.
    MostRestrictive,
    /// It passes if all pass it, else the one that lets least through.
    UnanimousPass,
    /// It passes if more than half of those that look at it pass it, else the one that lets least through.
    MajorityPass,
    /// One of them decides; the others are recorded.
    Designated,
}

/// A strategy with what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// See [`StrategyName::FirstBlock`].
    FirstBlock,
    /// See [`StrategyName::MostRestrictive`].
    MostRestrictive,
    /// See [`StrategyName::UnanimousPass`].
    UnanimousPass,
    /// See [`StrategyName::MajorityPass`].
    MajorityPass,
    /// The place of the one that decides.
    Designated(usize),
}

/// How much an answer lets through: the less, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    Passes,
    Changes,
    Asks,
    Blocks,
}

impl Strategy {
    /// The place of the answer that counts, of answers with these weights in the list's order; `None`: it passes. Who was not
    /// asked, since it does not look at such things or is in the shadow, has no voice.
    pub(crate) fn choose(self, answers: &[Option<Weight>]) -> Option<usize> {
        if let Self::Designated(at) = self {
            return answers.get(at).copied().flatten().filter(|weight| *weight != Weight::Passes).map(|_| at);
        }
        let (places, weights): (Vec<usize>, Vec<Weight>) =
            answers.iter().enumerate().filter_map(|(at, weight)| Some((at, (*weight)?))).unzip();
        self.choose_of(&weights).and_then(|at| places.get(at).copied())
    }

    fn choose_of(self, weights: &[Weight]) -> Option<usize> {
        let least = || {
            let most = weights.iter().max().filter(|weight| **weight != Weight::Passes)?;
            weights.iter().position(|weight| weight == most)
        };
        match self {
            Self::FirstBlock => {
                let of = |wanted| weights.iter().position(|weight| *weight == wanted);
                of(Weight::Blocks).or_else(|| of(Weight::Asks)).or_else(|| of(Weight::Changes))
            }
            Self::MostRestrictive | Self::UnanimousPass => least(),
            Self::MajorityPass => {
                let passing = weights.iter().filter(|weight| **weight == Weight::Passes).count();
                if passing * 2 > weights.len() { None } else { least() }
            }
            Self::Designated(_) => None,
        }
    }
}

/// When a branch is taken.
pub trait Condition: Send + Sync + std::fmt::Debug {
    /// Whether it holds for a request, as the policies before it let it out. An error blocks the request.
    fn holds(&self, request: &Request, context: &ReviewContext) -> Result<bool, PolicyError>;
}

impl Tree {
    /// A tree of this policy alone.
    pub fn of(policy: impl Policy + 'static) -> Self {
        Self::Policy(Arc::new(policy))
    }

    /// No policy.
    pub fn none() -> Self {
        Self::Serial(Vec::new())
    }

    /// The tree, acting at most as `mode` lets it: off is less than shadow, shadow less than enforce.
    #[must_use]
    pub fn at_most(self, mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::none(),
            Mode::Shadow => Self::Shadow(Box::new(self)),
            Mode::Enforce => self,
        }
    }

    /// What its policies watch, put together: those that are enforced, or those in the shadow.
    pub(crate) fn watches(&self, shadow: bool) -> Watch {
        match self {
            Self::Policy(policy) if !shadow => policy.watches(),
            Self::Serial(trees) => sum(trees.iter().map(|tree| tree.watches(shadow))),
            Self::Parallel(_, trees) => sum(trees.iter().map(|tree| tree.watches(shadow))).whole(),
            Self::Branch(cases, default) => {
                sum(cases.iter().map(|(_, tree)| tree).chain([&**default]).map(|tree| tree.watches(shadow)))
            }
            Self::Shadow(tree) if shadow => sum([tree.watches(false), tree.watches(true)]),
            Self::Policy(_) | Self::Shadow(_) => Watch::default(),
        }
    }

    /// Its policies in order, those in the shadow included.
    pub fn policies(&self) -> Vec<&Arc<dyn Policy>> {
        match self {
            Self::Policy(policy) => vec![policy],
            Self::Serial(trees) | Self::Parallel(_, trees) => trees.iter().flat_map(Self::policies).collect(),
            Self::Branch(cases, default) => {
                cases.iter().map(|(_, tree)| tree).chain([&**default]).flat_map(Self::policies).collect()
            }
            Self::Shadow(tree) => tree.policies(),
        }
    }
}

/// What any of them watches.
pub(crate) fn sum(watches: impl IntoIterator<Item = Watch>) -> Watch {
    watches.into_iter().fold(Watch::default(), |a, b| Watch {
        request: a.request || b.request,
        text: a.text.max(b.text),
        tool_calls: a.tool_calls || b.tool_calls,
        unreadable_calls: a.unreadable_calls || b.unreadable_calls,
        turn: a.turn || b.turn,
    })
}

impl Watch {
    /// With texts whole where they were watched in pieces: answers about pieces cannot be compared.
    pub(crate) fn whole(self) -> Self {
        let text = if self.text == TextWatch::Streamed { TextWatch::Whole } else { self.text };
        Self { text, ..self }
    }

    /// Something of the answer is watched.
    pub(crate) fn answers(self) -> bool {
        self.text != TextWatch::None || self.tool_calls || self.turn
    }
}

#[cfg(test)]
mod tests;
