//! `no_op`: watches nothing, changes nothing.

use std::sync::Arc;

use crate::catalogue::{LoadError, Loading, NoConfig};
use crate::contract::{Policy, Review, ReviewContext, Watch};
use crate::tree::Tree;

#[derive(Debug)]
struct NoOp;

struct Nothing;

impl Policy for NoOp {
    fn name(&self) -> &'static str {
        "no_op"
    }

    fn watches(&self) -> Watch {
        Watch::default()
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Nothing)
    }
}

impl Review for Nothing {}

/// Takes no settings.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let NoConfig {} = loading.read()?;
    Ok(Tree::of(NoOp))
}
