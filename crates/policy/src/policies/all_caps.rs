//! `all_caps`: the response's text in Unicode upper case, as it streams. Tool calls and thinking stay as they are.

use std::sync::Arc;

use luthien_wire::turn::BlockId;

use crate::catalogue::{LoadError, Loading, NoConfig};
use crate::contract::{OnError, Policy, Review, ReviewContext, TextWatch, Watch};
use crate::tree::Tree;

#[derive(Debug)]
struct AllCaps;

struct Upper;

impl Policy for AllCaps {
    fn name(&self) -> &'static str {
        "all_caps"
    }

    fn watches(&self) -> Watch {
        Watch { text: TextWatch::Streamed, ..Watch::default() }
    }

    fn on_error(&self) -> OnError {
        OnError::Pass
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Upper)
    }
}

impl Review for Upper {
    /// Upper case looks at one character at a time (only lower case looks around), so any cut gives the same sum.
    fn text_delta(&self, _block: BlockId, text: &str) -> Option<String> {
        let upper = text.to_uppercase();
        (upper != text).then_some(upper)
    }
}

/// Takes no settings.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let NoConfig {} = loading.read()?;
    Ok(Tree::of(AllCaps))
}

#[cfg(test)]
mod tests;
