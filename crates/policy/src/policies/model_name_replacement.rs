//! `model_name_replacement`: models that clients ask for under other names. The engine has answers name the client's.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::request::Request;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{LoadError, Loading};
use crate::contract::{Policy, PolicyError, RequestAction, RequestAnswer, Review, ReviewContext, Watch};
use crate::tree::Tree;

/// The configuration of `model_name_replacement`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Names that clients use, each with the name that is sent in its place. Only whole names match.
    model_mapping: BTreeMap<String, String>,
}

#[derive(Debug)]
struct ModelNames(Arc<BTreeMap<String, String>>);

impl Policy for ModelNames {
    fn name(&self) -> &'static str {
        "model_name_replacement"
    }

    fn watches(&self) -> Watch {
        Watch { request: !self.0.is_empty(), ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}

impl Review for ModelNames {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async {
            let action = match self.0.get(request.model()) {
                Some(name) if name != request.model() => RequestAction::Replace(request.with_model(name)),
                _ => RequestAction::Pass,
            };
            Ok(RequestAnswer { action, ..RequestAnswer::default() })
        })
    }
}

/// Names that are not empty.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let Config { model_mapping } = loading.read()?;
    match model_mapping.iter().find(|(from, to)| from.trim().is_empty() || to.trim().is_empty()) {
        Some((from, _)) => Err(loading.refuse(&["model_mapping", from], "a model's name must not be empty")),
        None => Ok(renamed(model_mapping)),
    }
}

/// The policy that sends these models under other names.
pub(crate) fn renamed(mapping: BTreeMap<String, String>) -> Tree {
    Tree::of(ModelNames(Arc::new(mapping)))
}
