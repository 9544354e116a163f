//! `onboarding`: the first answer of a conversation ends with a welcome, in front of its tool calls.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conversation_link::HERE;
use super::first_turn::FirstTurn;
use crate::catalogue::{LoadError, Loading, range};
use crate::contract::{OnError, Policy, Review, ReviewContext, Watch};
use crate::tree::Tree;

/// The configuration of `onboarding`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The gateway as a browser reaches it.
    #[serde(deserialize_with = "range::web_address")]
    gateway_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { gateway_url: HERE.to_owned() }
    }
}

#[derive(Debug)]
struct Onboarding {
    welcome: Arc<str>,
}

struct Welcoming(Arc<str>);

impl Policy for Onboarding {
    fn name(&self) -> &'static str {
        "onboarding"
    }

    /// Calls are held, so that there is a place in front of them.
    fn watches(&self) -> Watch {
        Watch { tool_calls: true, unreadable_calls: true, ..Watch::default() }
    }

    fn on_error(&self) -> OnError {
        OnError::Pass
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Welcoming(Arc::clone(&self.welcome)))
    }
}

impl Review for Welcoming {
    fn closing(&self) -> Vec<String> {
        vec![self.0.to_string()]
    }
}

/// Only for requests that begin a conversation.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let url = config.gateway_url.trim_end_matches('/');
    let welcome = format!(
        "---\nWelcome to Luthien. This conversation goes through your gateway at {url}: it keeps a record of what is said, and its \
         policies decide what an agent may do. Choose them at {url}/policy-config. This note is shown once in a conversation."
    );
    let policy = Tree::of(Onboarding { welcome: welcome.into() });
    Ok(Tree::Branch(vec![(Arc::new(FirstTurn), policy)], Box::new(Tree::none())))
}
