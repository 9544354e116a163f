//! `tx_logging`: entries of its own in the record, about requests and the texts of answers, with credentials redacted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use luthien_wire::request::Request;
use luthien_wire::turn::BlockId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::debug_logging::redact::Redactor;
use crate::catalogue::{LoadError, Loading};
use crate::contract::{OnError, Policy, PolicyError, RequestAnswer, Review, ReviewContext, TextWatch, Watch};
use crate::message::clip;
use crate::tree::Tree;

/// The most characters of one entry's text.
const LONGEST: usize = 16_000;

/// The configuration of `tx_logging`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is recorded.
    spec: Spec,
}

/// What is recorded.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    /// The sort of entries.
    #[serde(rename = "type")]
    kind: Kind,
}

/// The sorts of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// The request, as the policies before it left it.
    #[serde(alias = "OpenAIRequestSpec")]
    Request,
    /// The texts of the answer, as they go out.
    #[serde(alias = "OpenAIResponseSpec")]
    Response,
    /// Both.
    #[serde(alias = "FullTransactionContextSpec")]
    Full,
    /// Who calls: the dialect, the session, the user and a digest of the credential.
    #[serde(alias = "RequestHeadersSpec", alias = "ResponseHeadersSpec")]
    Caller,
}

#[derive(Debug)]
struct TxLogging {
    kind: Kind,
    redactor: Arc<Redactor>,
}

struct Logging {
    kind: Kind,
    redactor: Arc<Redactor>,
    context: Arc<ReviewContext>,
    texts: Mutex<BTreeMap<BlockId, String>>,
}

impl Policy for TxLogging {
    fn name(&self) -> &'static str {
        "tx_logging"
    }

    fn watches(&self) -> Watch {
        let response = matches!(self.kind, Kind::Response | Kind::Full);
        let text = if response { TextWatch::Streamed } else { TextWatch::None };
        Watch { request: self.kind != Kind::Response, text, ..Watch::default() }
    }

    fn on_error(&self) -> OnError {
        OnError::Pass
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Logging {
            kind: self.kind,
            redactor: Arc::clone(&self.redactor),
            context: Arc::clone(context),
            texts: Mutex::default(),
        })
    }
}

impl Logging {
    fn texts(&self) -> MutexGuard<'_, BTreeMap<BlockId, String>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn redacted(&self, text: &str) -> String {
        clip(&self.redactor.redacted(text), LONGEST)
    }

    fn about(&self, request: &Request) -> Value {
        let context = &self.context;
        if self.kind == Kind::Caller {
            return json!({
                "dialect": context.dialect,
                "session_id": context.session_id,
                "user_id": context.user_id,
                "credential": context.credential,
                "gateway_key": context.gateway_key,
            });
        }
        json!({
            "model": request.model(),
            "stream": request.stream(),
            "max_tokens": request.max_tokens(),
            "messages": request.message_count(),
            "body": self.redacted(request.text()),
        })
    }
}

impl Review for Logging {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async move {
            let what = if self.kind == Kind::Caller { "caller" } else { "request" };
            self.context.events.emit(format!("policy.tx_logging.{what}"), self.about(request));
            Ok(RequestAnswer::default())
        })
    }

    fn text_delta(&self, block: BlockId, text: &str) -> Option<String> {
        let mut texts = self.texts();
        let so_far = texts.entry(block).or_default();
        // What is longer is clipped anyway.
        if so_far.len() <= LONGEST * 4 {
            so_far.push_str(text);
        }
        None
    }

    fn end(&self) {
        let texts = std::mem::take(&mut *self.texts());
        if !texts.is_empty() {
            let texts: Vec<String> = texts.values().map(|text| self.redacted(text)).collect();
            self.context.events.emit("policy.tx_logging.response", json!({"texts": texts}));
        }
    }
}

/// What is recorded is said in `spec`.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let redactor = Redactor::new().map_err(|error| loading.refuse(&[], format!("redaction patterns: {error}")))?;
    Ok(Tree::of(TxLogging { kind: config.spec.kind, redactor: Arc::new(redactor) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted;

    fn entries(kind: &str, ask: impl Fn(&dyn Review)) -> Vec<(String, Value)> {
        let context = scripted::context();
        let review = scripted::policy("tx_logging", json!({"spec": {"type": kind}})).review(&context);
        ask(&*review);
        context.events.take().0.into_iter().map(|event| (event.event_type, event.data)).collect()
    }

    #[test]
    fn texts_are_recorded_whole_and_redacted_and_go_on_as_they_came() {
        let id = |block| BlockId { choice: 0, block };
        for kind in ["response", "OpenAIResponseSpec", "full"] {
            let entries = entries(kind, |review| {
                for (block, piece) in [(0, "key: sk-made-"), (0, "up-0123456789abcdef"), (1, "and")] {
                    assert_eq!(review.text_delta(id(block), piece), None);
                }
                assert_eq!(review.text_end(id(0)), "");
                review.end();
            });
            let expected = ("policy.tx_logging.response".to_owned(), json!({"texts": ["key: [redacted]", "and"]}));
            assert_eq!(entries, [expected], "{kind}");
        }
    }

    #[tokio::test]
    async fn requests_and_callers_are_recorded() {
        let context = scripted::context();
        for kind in ["OpenAIRequestSpec", "caller"] {
            let review =
                scripted::policy("TxLoggingPolicy", json!({"name": "log", "spec": {"type": kind}})).review(&context);
            review.request(&context.request).await.unwrap();
        }
        let events = context.events.take().0;
        assert_eq!(
            (events[0].event_type.as_str(), &events[0].data["model"]),
            ("policy.tx_logging.request", &json!("m"))
        );
        assert!(events[0].data["body"].as_str().unwrap().contains("tidy up"));
        assert_eq!(events[1].event_type, "policy.tx_logging.caller");
    }
}
