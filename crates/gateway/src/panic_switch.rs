//! The panic switch: stops all tool calls or all model traffic, at once, whatever policies are in force.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use luthien_policy::contract::{Answer, Policy, PolicyError, Review, ReviewContext, Watch};
use luthien_policy::plan::Plan;
use luthien_policy::tree::Tree;
use luthien_wire::turn::{Block, ToolCall};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::body::SourceError;
use crate::errors::GatewayError;

/// What is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PanicMode {
    /// Nothing.
    #[default]
    Off,
    /// Every tool call of every answer.
    ToolCalls,
    /// All model traffic.
    Traffic,
}

impl PanicMode {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Off, "off"), (Self::ToolCalls, "tool_calls"), (Self::Traffic, "traffic")];

    /// The word in the API and the database.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(mode, _)| *mode == self).map_or("", |(_, name)| name)
    }

    /// The mode of this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(mode, _)| *mode)
    }
}

/// What somebody wants the switch to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PanicOrder {
    /// What is stopped.
    pub mode: PanicMode,
    /// Why, for the operators; never told to clients.
    pub reason: Option<String>,
    /// What clients and models are told beside the fact.
    pub message: Option<String>,
    /// Who wants it.
    pub by: String,
}

/// What the switch says.
#[derive(Debug)]
pub struct PanicState {
    /// What was ordered.
    pub order: PanicOrder,
    /// When; none where it was never used.
    pub at: Option<Timestamp>,
    /// Counts the orders of this process.
    pub(crate) number: u64,
    /// The policy that blocks every call, where calls are stopped.
    pub(crate) plan: Option<Plan>,
    pub(crate) generation: Generation,
}

impl Default for PanicState {
    fn default() -> Self {
        Self::new(PanicOrder::default(), None, 0, Generation::default())
    }
}

impl PanicState {
    /// What was ordered at `at`. What runs belongs to `generation` from now on.
    pub(crate) fn new(order: PanicOrder, at: Option<Timestamp>, number: u64, generation: Generation) -> Self {
        let plan = (order.mode == PanicMode::ToolCalls)
            .then(|| Plan::new(Tree::of(OperatorStop { message: block_message(&order) })));
        Self { order, at, number, plan, generation }
    }

    /// The switch after another order, and what the answers under way are told where they have to end.
    pub(crate) fn after(&self, order: PanicOrder, at: Timestamp) -> (Self, Option<String>) {
        let stricter = order.mode > self.order.mode;
        let generation = if stricter { Generation::default() } else { self.generation.clone() };
        let told = stricter.then(|| stopped_text(&order));
        (Self::new(order, Some(at), self.number + 1, generation), told)
    }

    /// The refusal of everything, where all traffic is stopped.
    pub(crate) fn refusal(&self) -> Option<GatewayError> {
        (self.order.mode == PanicMode::Traffic).then(|| GatewayError::Halted(stopped_text(&self.order)))
    }

    /// The refusal of a path whose answers nobody reads, where calls in it would go out unseen.
    pub(crate) fn refusal_of_unseen(&self, path: &str) -> Option<GatewayError> {
        (self.order.mode == PanicMode::ToolCalls).then(|| {
            let text = stopped_text(&self.order);
            GatewayError::Halted(format!("{text}; `{path}` is refused because calls in its answers could not be seen"))
        })
    }
}

fn stopped_text(order: &PanicOrder) -> String {
    let what = match order.mode {
        PanicMode::Off => return String::new(),
        PanicMode::ToolCalls => "the operator of this gateway has stopped all tool calls",
        PanicMode::Traffic => "the operator of this gateway has stopped all model traffic",
    };
    order.message.as_ref().map_or_else(|| what.to_owned(), |message| format!("{what}: {message}"))
}

fn block_message(order: &PanicOrder) -> String {
    let more = order.message.as_ref().map_or_else(String::new, |message| format!(" {message}"));
    format!("[Blocked: the operator of this gateway has stopped all tool calls. This call was not run.{more}]")
}

/// What was begun under one position of the switch, and ends together when it is turned up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generation(Arc<Ending>);

#[derive(Debug, Default)]
struct Ending {
    told: OnceLock<String>,
    token: CancellationToken,
}

impl Generation {
    /// Ends everything that was begun in it; its clients are told `text`.
    pub(crate) fn end(&self, text: String) {
        // Ended twice, the first word counts.
        let _ = self.0.told.set(text);
        self.0.token.cancel();
    }
}

/// What ends an answer under way: the operator's stop, or the gateway's own end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    generation: Generation,
    stop: CancellationToken,
}

impl Interrupt {
    pub(crate) fn new(generation: Generation, stop: CancellationToken) -> Self {
        Self { generation, stop }
    }

    /// Nothing ends it.
    pub(crate) fn never() -> Self {
        Self::new(Generation::default(), CancellationToken::new())
    }

    /// The operator has stopped it. Cheap.
    pub(crate) fn halted(&self) -> Option<SourceError> {
        self.generation.0.told.get().map(|text| SourceError::Halted(text.clone()))
    }

    /// Resolves when it has to end.
    pub(crate) async fn raised(self) -> SourceError {
        tokio::select! {
            biased;
            () = self.generation.0.token.cancelled() => self.halted().unwrap_or(SourceError::Stopped),
            () = self.stop.cancelled() => SourceError::Stopped,
        }
    }
}

/// Waits for an interrupt beside something else. Once raised, it stays so.
pub(crate) struct Alarm {
    interrupt: Interrupt,
    wait: Option<Pin<Box<dyn Future<Output = SourceError> + Send + Sync>>>,
}

impl Alarm {
    pub(crate) fn new(interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone(), wait: Some(Box::pin(interrupt.clone().raised())) }
    }

    /// The operator has stopped it. Cheap.
    pub(crate) fn halted(&self) -> Option<SourceError> {
        self.interrupt.halted()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<SourceError> {
        if let Some(halted) = self.halted() {
            return Poll::Ready(halted);
        }
        let Some(wait) = &mut self.wait else { return Poll::Ready(SourceError::Stopped) };
        let raised = ready!(wait.as_mut().poll(cx));
        self.wait = None;
        Poll::Ready(raised)
    }
}

/// Blocks every call, whatever it is.
#[derive(Debug)]
struct OperatorStop {
    message: String,
}

struct Stop(String);

impl Policy for OperatorStop {
    fn name(&self) -> &'static str {
        "operator_stop"
    }

    fn watches(&self) -> Watch {
        Watch { tool_calls: true, unreadable_calls: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Stop(self.message.clone()))
    }
}

impl Review for Stop {
    fn tool_call<'a>(&'a self, _: &'a ToolCall, _: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async { Ok(Answer::block(self.0.clone()).because("the operator has stopped all tool calls")) })
    }
}
