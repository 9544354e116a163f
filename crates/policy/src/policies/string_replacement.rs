//! `string_replacement`: literal texts replaced by others, in answers as they stream and in requests.

mod casing;
mod stage;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use luthien_wire::request::{Request, TextPlace};
use luthien_wire::turn::BlockId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{LoadError, Loading, range};
use crate::contract::{
    OnError, Policy, PolicyError, RequestAction, RequestAnswer, Review, ReviewContext, TextWatch, Watch,
};
use crate::tree::Tree;
use stage::{Line, Pair};

/// The configuration of `string_replacement`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Pairs of a text and what stands in its place, in order. Later pairs see what earlier ones wrote.
    replacements: Vec<Replacement>,
    /// Match in any case, and give the replacement the case of what it replaces.
    match_capitalization: bool,
    /// Whose texts are edited.
    apply_to: ApplyTo,
}

/// A text, not empty, and what stands in its place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a pair of texts")]
struct Replacement(#[serde(deserialize_with = "range::not_empty")] String, String);

/// Whose texts are edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ApplyTo {
    /// The model's.
    #[default]
    Response,
    /// The client's.
    Request,
    /// Both.
    Both,
}

#[derive(Debug)]
struct StringReplacement {
    pairs: Arc<[Pair]>,
    apply_to: ApplyTo,
}

struct Replacing {
    pairs: Arc<[Pair]>,
    context: Arc<ReviewContext>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<BlockId, Line>,
    tally: Tally,
}

/// What was done to the texts of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    blocks_modified: usize,
    total_replacements: usize,
    /// Characters before.
    original_length: usize,
    /// Characters after.
    transformed_length: usize,
}

impl Tally {
    fn emit(&self, context: &ReviewContext, what: &str) {
        if self.blocks_modified > 0 {
            let data = json!({
                "blocks_modified": self.blocks_modified,
                "total_replacements": self.total_replacements,
                "original_length": self.original_length,
                "transformed_length": self.transformed_length,
            });
            context.events.emit(format!("policy.string_replacement.{what}"), data);
        }
    }

    fn close(&mut self, line: &Line) {
        self.blocks_modified += usize::from(line.changed);
        self.total_replacements += line.replacements;
    }
}

impl Policy for StringReplacement {
    fn name(&self) -> &'static str {
        "string_replacement"
    }

    fn watches(&self) -> Watch {
        let busy = !self.pairs.is_empty();
        let text = busy && self.apply_to != ApplyTo::Request;
        Watch {
            request: busy && self.apply_to != ApplyTo::Response,
            text: if text { TextWatch::Streamed } else { TextWatch::None },
            ..Watch::default()
        }
    }

    fn on_error(&self) -> OnError {
        OnError::Pass
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Replacing {
            pairs: Arc::clone(&self.pairs),
            context: Arc::clone(context),
            state: Mutex::new(State::default()),
        })
    }
}

impl Replacing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request with its texts replaced, or nothing where none changes.
    fn edited(&self, request: &Request) -> Option<Request> {
        let mut tally = Tally::default();
        let mut edits = Vec::new();
        for slot in request.texts() {
            if matches!(slot.place, TextPlace::System(_)) {
                continue;
            }
            let mut line = Line::default();
            let mut text = line.push(&self.pairs, &slot.text);
            text.push_str(&line.end(&self.pairs));
            tally.close(&line);
            tally.original_length += slot.text.chars().count();
            tally.transformed_length += text.chars().count();
            if text != slot.text {
                edits.push((slot.span, text));
            }
        }
        tally.emit(&self.context, "request_modified");
        (!edits.is_empty()).then(|| request.with_texts(&edits))
    }
}

impl Review for Replacing {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async move {
            let action = self.edited(request).map_or(RequestAction::Pass, RequestAction::Replace);
            Ok(RequestAnswer { action, ..RequestAnswer::default() })
        })
    }

    fn text_delta(&self, block: BlockId, text: &str) -> Option<String> {
        let mut state = self.state();
        let out = state.open.entry(block).or_default().push(&self.pairs, text);
        state.tally.original_length += text.chars().count();
        state.tally.transformed_length += out.chars().count();
        (out != text).then_some(out)
    }

    fn text_end(&self, block: BlockId) -> String {
        let mut state = self.state();
        let Some(mut line) = state.open.remove(&block) else { return String::new() };
        let rest = line.end(&self.pairs);
        state.tally.transformed_length += rest.chars().count();
        state.tally.close(&line);
        rest
    }

    fn end(&self) {
        let mut state = std::mem::take(&mut *self.state());
        for line in state.open.values() {
            state.tally.close(line);
        }
        state.tally.emit(&self.context, "response_modified");
    }
}

/// Literal replacements.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let pairs = config.replacements.into_iter().map(|r| Pair::new(&r.0, r.1, config.match_capitalization)).collect();
    let policy = StringReplacement { pairs, apply_to: config.apply_to };
    Ok(Tree::of(policy))
}

#[cfg(test)]
mod tests;
