//! The policy contract: what a policy watches, what it is shown, and what it may answer.
//!
//! A policy is immutable configuration. For each request it opens a review, which holds that request's state. Answers are
//! data; the engine carries them out. So a policy cannot produce a malformed stream, forget to forward, or leak half a call.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use luthien_wire::Dialect;
use luthien_wire::request::Request;
use luthien_wire::turn::{Block, BlockId, ToolCall};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::judge::JudgeClient;
use crate::message::tool_name;
use crate::people::{People, Question};

/// What a policy must see, which is also all that is held back for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The request, before it is sent.
    pub request: bool,
    /// The text blocks of the response.
    pub text: TextWatch,
    /// Each tool call, whole.
    pub tool_calls: bool,
    /// Is asked about tool calls whose arguments cannot be read, and reads them raw. Without it `on_error` decides those.
    pub unreadable_calls: bool,
    /// The whole response at once.
    pub turn: bool,
}

/// How much text a policy has to see before any of it goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextWatch {
    /// None of it.
    #[default]
    None,
    /// Each piece as it comes; the review may hold back a little.
    Streamed,
    /// Each text block to its end.
    Whole,
}

/// What happens when a policy cannot decide.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The content goes on, recorded as failed open.
    Pass,
    /// The content is blocked. The default for everything that exists to block.
    #[default]
    Block,
}

/// Whether a policy acts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = PolicyMode)]
pub enum Mode {
    /// Not asked at all.
    Off,
    /// Asked about a copy; the verdict is recorded and changes neither bytes nor timing.
    Shadow,
    /// Asked, and carried out.
    #[default]
    Enforce,
}

/// What an answer is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// The request.
    Request,
    /// A text block.
    Text {
        /// Where it stood in the upstream's response.
        #[schema(value_type = Object)]
        block: BlockId,
    },
    /// A tool call.
    ToolCall {
        /// Where it stood in the upstream's response.
        #[schema(value_type = Object)]
        block: BlockId,
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// The whole response.
    Turn,
}

/// What a policy answers about a text, a tool call or a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What is to happen.
    pub action: Action,
    /// Texts to show the user, as blocks of their own, before any tool call.
    pub notices: Vec<String>,
    /// The suspicion score, 0 to 1, if the policy has one.
    pub score: Option<f64>,
    /// Why, for the record; never sent to the model.
    pub reason: Option<String>,
    /// The answer follows from `on_error`, not from a verdict.
    pub failed: bool,
    /// What a block of a tool call covers.
    pub scope: BlockScope,
}

/// What the block of a tool call covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockScope {
    /// That call alone.
    #[default]
    Call,
    /// All calls of the turn that have not gone out.
    Turn,
}

/// The effect of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Action {
    /// It goes on unchanged.
    #[default]
    Pass,
    /// These blocks (texts and tool calls) stand in its place. Calls with an empty id get a fresh one.
    Replace(Vec<Block>),
    /// It is withheld; this text stands in its place.
    Block(String),
    /// A person decides, about what the members after this one let out. Until then it is held.
    Ask(Question),
}

impl Answer {
    /// It goes on.
    pub fn pass() -> Self {
        Self::default()
    }

    /// It is withheld, and the client sees `message` instead.
    pub fn block(message: impl Into<String>) -> Self {
        Self { action: Action::Block(message.into()), ..Self::default() }
    }

    /// It goes on if a person allows it.
    pub fn ask(question: Question) -> Self {
        Self { reason: Some(question.why.clone()), action: Action::Ask(question), ..Self::default() }
    }

    /// With the reason that the record keeps.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// What a policy answers about a request.
#[derive(Clone, Debug, Default)]
pub struct RequestAnswer {
    /// What is to happen.
    pub action: RequestAction,
    /// Where it is to be sent and with what, if a policy says so. The last one that says it counts.
    pub sending: Sending,
    /// Texts to show the user with the answer, before any tool call. They need a member that watches tool calls or texts.
    pub notices: Vec<String>,
    /// The suspicion score, 0 to 1, if the policy has one.
    pub score: Option<f64>,
    /// Why, for the record.
    pub reason: Option<String>,
    /// The answer follows from `on_error`, not from a verdict.
    pub failed: bool,
}

/// The effect of an answer about a request.
#[derive(Clone, Debug, Default)]
pub enum RequestAction {
    /// It is sent unchanged.
    #[default]
    Pass,
    /// It is sent edited.
    Replace(Request),
    /// It is not sent; the client gets a turn with this text.
    Block(String),
    /// It is not sent; the client gets an error.
    Refuse(Refusal),
    /// A person decides, about what the members after this one make of it.
    Ask(Question),
}

/// An error for the client, in its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose fault it is.
    pub kind: RefusalKind,
    /// What the client is told.
    pub message: String,
}

/// Kinds of errors that a policy may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The caller's credential is not accepted: 401.
    Unauthenticated,
    /// The caller may not do that: 403.
    Forbidden,
    /// The request is wrong: 400.
    Invalid,
}

/// Where and how a request is sent, as far as policies say it.
#[derive(Clone, Debug, Default)]
pub struct Sending {
    /// The configured upstream, by name.
    pub upstream: Option<String>,
    /// The credential that takes the place of the caller's.
    pub credential: Option<Credential>,
}

/// A credential of the operator's, and who may see it.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The credential.
    pub secret: SecretString,
    /// The upstream it is for, by name; `None`: the one that serves the caller's dialect where nothing else is said. It goes to
    /// no other.
    pub upstream: Option<String>,
}

impl Sending {
    /// With what `later` says in place of what this says.
    pub(crate) fn take(&mut self, later: Self) {
        self.upstream = later.upstream.or(self.upstream.take());
        self.credential = later.credential.or(self.credential.take());
    }
}

impl RequestAnswer {
    /// It is not sent, and the client gets a turn with `message`.
    pub fn block(message: impl Into<String>) -> Self {
        Self { action: RequestAction::Block(message.into()), ..Self::default() }
    }
}

/// A policy could not decide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// One policy, configured.
pub trait Policy: Send + Sync + Debug {
    /// The native name, as in the catalogue.
    fn name(&self) -> &'static str;

    /// What it must see.
    fn watches(&self) -> Watch;

    /// What happens when it cannot decide: it fails, panics, takes too long, or the content cannot be read.
    fn on_error(&self) -> OnError {
        OnError::Block
    }

    /// What the engine does in the policy's place when it could not decide about `target` because of `why`.
    fn failed(&self, target: &Target, why: &str) -> Answer {
        let mut answer = match (self.on_error(), target) {
            (OnError::Pass, _) => Answer::pass(),
            (OnError::Block, Target::ToolCall { name, .. }) => Answer::block(format!(
                "[Blocked: the policy `{}` could not check the call of the tool `{}`.]",
                self.name(),
                tool_name(name)
            )),
            (OnError::Block, _) => {
                Answer::block(format!("[Blocked: the policy `{}` could not check this answer.]", self.name()))
            }
        };
        answer.failed = true;
        answer.because(why)
    }

    /// Opens the review of one request.
    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review>;
}

/// A policy's state for one request. Calls about different blocks may run at the same time.
pub trait Review: Send + Sync {
    /// About the request, before it is sent. Asked when `Watch::request`.
    fn request<'a>(&'a self, _request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async { Ok(RequestAnswer::default()) })
    }

    /// A piece of a text block, when `TextWatch::Streamed`. `None` leaves it as it is; else this is sent instead, and what is
    /// held back comes with a later piece or with `text_end`. What is sent for a block must not depend on how it was cut.
    fn text_delta(&self, _block: BlockId, _text: &str) -> Option<String> {
        None
    }

    /// The block has ended: what was held back, empty if nothing.
    fn text_end(&self, _block: BlockId) -> String {
        String::new()
    }

    /// About a whole text block, when `TextWatch::Whole`. `earlier` are the finished blocks before it in the same choice.
    fn text<'a>(&'a self, _text: &'a str, _earlier: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async { Ok(Answer::pass()) })
    }

    /// About a tool call, when `Watch::tool_calls`.
    fn tool_call<'a>(
        &'a self,
        _call: &'a ToolCall,
        _earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async { Ok(Answer::pass()) })
    }

    /// About a whole choice of the response, when `Watch::turn`. `Action::Replace` gives all its texts and calls anew.
    fn turn<'a>(&'a self, _blocks: &'a [Block]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async { Ok(Answer::pass()) })
    }

    /// Texts to show the user after the answer's own texts and before any tool call, asked once the choice has ended. Where calls
    /// are not held (nobody watches them) there may be no such place any more.
    fn closing(&self) -> Vec<String> {
        Vec::new()
    }

    /// The response has ended; nothing more can be changed.
    fn end(&self) {}
}

/// What a review knows about its request.
#[derive(Clone, Debug)]
pub struct ReviewContext {
    /// The transaction, as in the response header.
    pub transaction_id: String,
    /// The session, if the client named one.
    pub session_id: Option<String>,
    /// The user, if the client named one and is believed.
    pub user_id: Option<String>,
    /// Who calls: a digest of the credential, as the record has it.
    pub credential: Option<String>,
    /// The caller brought a key of the gateway's.
    pub gateway_key: bool,
    /// The dialect the caller speaks.
    pub dialect: Dialect,
    /// The request as the client sent it.
    pub request: Request,
    /// Judges, with this caller's credential at hand.
    pub judges: Arc<dyn JudgeClient>,
    /// Persons who decide what policies leave to them.
    pub people: Arc<dyn People>,
    /// Where reviews put events for the record.
    pub events: EventSink,
}

/// An event that a policy wants on the record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyEvent {
    /// `policy.<name>.<what>`.
    pub event_type: String,
    /// What happened. No secrets.
    pub data: Value,
}

/// Is told of a policy's events as they happen.
pub trait EventListener: std::fmt::Debug + Send + Sync {
    /// This happened. Must not wait.
    fn happened(&self, event_type: &str, data: &Value);
}

/// Collects a request's policy events, at most 1000; the rest are counted. Clones collect in one place.
#[derive(Clone, Debug, Default)]
pub struct EventSink {
    inner: Arc<Mutex<(Vec<PolicyEvent>, u64)>>,
    listener: Option<Arc<dyn EventListener>>,
    shadow: bool,
}

impl EventSink {
    const MOST: usize = 1000;

    /// One whose events are told as they happen too.
    pub fn told_to(listener: Arc<dyn EventListener>) -> Self {
        Self { listener: Some(listener), ..Self::default() }
    }

    /// The same collection, for reviews whose answers are not carried out: their events say `"shadow": true`.
    #[must_use]
    pub fn shadowed(&self) -> Self {
        Self { shadow: true, ..self.clone() }
    }

    /// Adds an event.
    pub fn emit(&self, event_type: impl Into<String>, mut data: Value) {
        if let (true, Value::Object(data)) = (self.shadow, &mut data) {
            data.insert("shadow".into(), true.into());
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.0.len() < Self::MOST {
            let event_type = event_type.into();
            if let Some(listener) = &self.listener {
                listener.happened(&event_type, &data);
            }
            inner.0.push(PolicyEvent { event_type, data });
        } else {
            inner.1 += 1;
        }
    }

    /// Takes the events so far, and how many were dropped.
    pub fn take(&self) -> (Vec<PolicyEvent>, u64) {
        std::mem::take(&mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
