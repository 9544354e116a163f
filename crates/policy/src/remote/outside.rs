//! A policy that a server decides for: its reviews are messages.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use luthien_wire::request::Request;
use luthien_wire::turn::{Block, BlockId, ToolCall};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::caller::{Bounds, Caller, Failure};
use super::protocol::{Question, Subject, VERSION};
use super::{Nowhere, PolicyServer, translate};
use crate::breakers::Breakers;
use crate::contract::{Answer, OnError, Policy, PolicyError, RequestAnswer, Review, ReviewContext, Target, Watch};
use crate::judge::Unfinished;

/// What is wanted of a server.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// Where the server is, or the file that is run, for the log.
    pub(crate) place: String,
    /// How it is asked.
    pub(crate) bounds: Bounds,
    /// What about.
    pub(crate) watch: Watch,
    /// What happens when it gives no answer.
    pub(crate) on_error: OnError,
    /// Reviews of responses carry the client's request.
    pub(crate) send_request: bool,
    /// What each question carries.
    pub(crate) config: Value,
}

/// A policy outside of this process.
#[derive(Debug)]
pub(crate) struct Outside {
    name: &'static str,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    caller: Caller,
    wishes: Wishes,
}

struct Asking {
    name: &'static str,
    inner: Arc<Inner>,
    context: Arc<ReviewContext>,
    /// The client's request as it goes into questions, made once.
    request: OnceLock<Option<Box<RawValue>>>,
}

impl Outside {
    /// The policy `name` of the catalogue, decided by `server`; nobody answers where there is none.
    pub(crate) fn new(
        name: &'static str,
        server: Option<Arc<dyn PolicyServer>>,
        wishes: Wishes,
        watch: &Breakers,
    ) -> Self {
        let server = server.unwrap_or_else(|| Arc::new(Nowhere));
        let caller = Caller::new(server, wishes.bounds).named(wishes.place.clone(), watch.clone());
        Self { name, inner: Arc::new(Inner { caller, wishes }) }
    }
}

impl Policy for Outside {
    fn name(&self) -> &'static str {
        self.name
    }

    fn watches(&self) -> Watch {
        self.inner.wishes.watch
    }

    fn on_error(&self) -> OnError {
        self.inner.wishes.on_error
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Asking {
            name: self.name,
            inner: Arc::clone(&self.inner),
            context: Arc::clone(context),
            request: OnceLock::new(),
        })
    }
}

impl Asking {
    /// The client's request, where it is wanted.
    fn clients_request(&self) -> Option<&RawValue> {
        if !self.inner.wishes.send_request {
            return None;
        }
        self.request.get_or_init(|| raw(&self.context.request)).as_deref()
    }

    /// Asks, reads the answer, and notes both for the record.
    async fn ask<T>(
        &self,
        what: Value,
        request: Option<&RawValue>,
        subject: Subject<'_>,
        read: impl FnOnce(&[u8]) -> Result<(&'static str, T), String> + Send,
    ) -> Result<T, PolicyError> {
        let context = &self.context;
        let question = Question {
            protocol: VERSION,
            transaction_id: &context.transaction_id,
            session_id: context.session_id.as_deref(),
            user_id: context.user_id.as_deref(),
            caller: context.credential.as_deref(),
            dialect: context.dialect.name(),
            model: context.request.model(),
            config: &self.inner.wishes.config,
            request,
            subject,
        };
        let question = serde_json::to_vec(&question).map_err(|error| PolicyError(error.to_string()))?;
        let (asked, mut tries) = (Instant::now(), 0);
        let unfinished = Unfinished::new(|why| self.note("failed", &what, json!({"kind": "given_up", "error": why})));
        let answer = self.inner.caller.review(Bytes::from(question), &mut tries).await;
        let answer = answer.and_then(|body| read(&body).map_err(Failure::Unreadable));
        unfinished.finish();
        let took = asked.elapsed().as_secs_f64() * 1000.0;
        match answer {
            Ok((action, answer)) => {
                self.note("answered", &what, json!({"action": action, "took_ms": took, "tries": tries}));
                Ok(answer)
            }
            Err(failure) => {
                let (kind, error) = (failure.kind(), failure.to_string());
                self.note("failed", &what, json!({"kind": kind, "error": error, "took_ms": took, "tries": tries}));
                Err(PolicyError(error))
            }
        }
    }

    async fn about(&self, target: &Target, what: Value, subject: Subject<'_>) -> Result<Answer, PolicyError> {
        let read = |body: &[u8]| {
            let answer = translate::answer(body, target, self.name)?;
            Ok((translate::action(&answer.action), answer))
        };
        self.ask(what, self.clients_request(), subject, read).await
    }

    fn note(&self, happened: impl Display, what: &Value, mut data: Value) {
        if let (Value::Object(data), Value::Object(what)) = (&mut data, what) {
            data.extend(what.clone());
        }
        self.context.events.emit(format!("policy.{}.{happened}", self.name), data);
    }
}

/// The request as it stands, as a part of a message.
fn raw(request: &Request) -> Option<Box<RawValue>> {
    serde_json::from_str::<Box<RawValue>>(request.text()).ok()
}

impl Review for Asking {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async move {
            let body = raw(request).ok_or_else(|| PolicyError("the request is not JSON".to_owned()))?;
            let read = |body: &[u8]| {
                let answer = translate::request_answer(body, request, self.name)?;
                Ok((translate::request_action(&answer.action), answer))
            };
            self.ask(json!({"hook": "request"}), Some(&body), Subject::Request {}, read).await
        })
    }

    fn text<'a>(&'a self, text: &'a str, earlier: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        let subject = Subject::Text { text, earlier: translate::earlier(earlier) };
        // Only the kind of target counts for how an answer is read.
        let target = Target::Text { block: BlockId { choice: 0, block: 0 } };
        Box::pin(async move { self.about(&target, json!({"hook": "text"}), subject).await })
    }

    fn tool_call<'a>(
        &'a self,
        call: &'a ToolCall,
        earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        let subject = Subject::ToolCall { tool_call: translate::tool_call(call), earlier: translate::earlier(earlier) };
        let block = BlockId { choice: 0, block: 0 };
        let target = Target::ToolCall { block, id: call.id.clone(), name: call.name.clone() };
        let what = json!({"hook": "tool_call", "tool_name": call.name});
        Box::pin(async move { self.about(&target, what, subject).await })
    }

    fn turn<'a>(&'a self, blocks: &'a [Block]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        let subject = Subject::Turn { blocks: translate::blocks(blocks) };
        Box::pin(async move { self.about(&Target::Turn, json!({"hook": "turn"}), subject).await })
    }
}
