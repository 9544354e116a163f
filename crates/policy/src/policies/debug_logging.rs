//! `debug_logging`: writes requests and answers to the log, credentials redacted. It looks at copies and changes nothing.

pub(super) mod redact;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::request::Request;
use luthien_wire::turn::Block;

use crate::catalogue::{LoadError, Loading, NoConfig};
use crate::contract::{Answer, Mode, OnError, Policy, PolicyError, RequestAnswer, Review, ReviewContext, Watch};
use crate::message::clip;
use crate::tree::Tree;
use redact::Redactor;

/// The most characters of a request or a block that one log line holds.
const LINE: usize = 16_000;

#[derive(Debug)]
struct DebugLogging {
    redactor: Arc<Redactor>,
}

struct Logging {
    redactor: Arc<Redactor>,
    context: Arc<ReviewContext>,
}

impl Policy for DebugLogging {
    fn name(&self) -> &'static str {
        "debug_logging"
    }

    fn watches(&self) -> Watch {
        Watch { request: true, turn: true, ..Watch::default() }
    }

    fn on_error(&self) -> OnError {
        OnError::Pass
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Logging { redactor: Arc::clone(&self.redactor), context: Arc::clone(context) })
    }
}

impl Logging {
    // `Debug` of the text escapes line breaks, so that content cannot forge log lines.
    fn log(&self, what: &'static str, text: &str) {
        let text = clip(&self.redactor.redacted(text), LINE);
        tracing::info!(transaction_id = %self.context.transaction_id, what, ?text, "debug_logging");
    }
}

fn described(block: &Block) -> (&'static str, String) {
    match block {
        Block::Text(text) => ("text", text.clone()),
        Block::Thinking(text) => ("thinking", text.clone()),
        Block::ToolCall(call) => ("tool_call", format!("{} {}", call.name, call.raw)),
        Block::Opaque { kind, raw } => ("other", format!("{kind} {raw}")),
    }
}

impl Review for Logging {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async move {
            self.log("request", request.text());
            Ok(RequestAnswer::default())
        })
    }

    fn turn<'a>(&'a self, blocks: &'a [Block]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async move {
            for block in blocks {
                let (what, text) = described(block);
                self.log(what, &text);
            }
            Ok(Answer::pass())
        })
    }

    fn end(&self) {
        tracing::info!(transaction_id = %self.context.transaction_id, what = "end", "debug_logging");
    }
}

/// Runs as a shadow whatever its mode, so that nothing is held for it.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let NoConfig {} = loading.read()?;
    let redactor = Redactor::new().map_err(|error| loading.refuse(&[], format!("redaction patterns: {error}")))?;
    Ok(Tree::of(DebugLogging { redactor: Arc::new(redactor) }).at_most(Mode::Shadow))
}

#[cfg(test)]
mod tests;
