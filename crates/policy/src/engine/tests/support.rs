//! A policy that answers as a test says, and a driver that feeds a stream in any division.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use luthien_wire::turn::{Block, BlockId, ToolCall};
use tokio_util::task::TaskTracker;

use crate::contract::*;
use crate::engine::{StreamReview, UpstreamEnd};
use crate::judge::{JudgeAnswer, JudgeClient, JudgeError, JudgeRequest};
use crate::people::People;
use crate::plan::{Decision, DecisionSink, Options, Plan, Reviews};
use crate::tree::Tree;

/// Answers by a function of the block; each answer becomes ready after so many polls.
pub(super) type Script = Arc<dyn Fn(&Block) -> (usize, Result<Answer, PolicyError>) + Send + Sync>;

pub(super) struct Scripted {
    pub(super) watch: Watch,
    pub(super) on_error: OnError,
    pub(super) script: Script,
    pub(super) stream: fn(&str) -> String,
    /// Its answers never come.
    pub(super) hangs: bool,
    /// Reviews in its place.
    pub(super) review: Option<fn() -> Box<dyn Review>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Policy for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }
    fn watches(&self) -> Watch {
        self.watch
    }
    fn on_error(&self) -> OnError {
        self.on_error
    }
    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        if let Some(review) = self.review {
            return review();
        }
        Box::new(ScriptedReview { script: Arc::clone(&self.script), stream: self.stream, hangs: self.hangs })
    }
}

struct ScriptedReview {
    script: Script,
    stream: fn(&str) -> String,
    hangs: bool,
}

impl ScriptedReview {
    fn answer(&self, block: &Block) -> BoxFuture<'static, Result<Answer, PolicyError>> {
        if self.hangs {
            return Box::pin(std::future::pending());
        }
        let script = Arc::clone(&self.script);
        let block = block.clone();
        Box::pin(async move {
            let (polls, answer) = script(&block);
            let (mut polls, mut answer) = (polls, Some(answer));
            poll_fn(move |cx| {
                if polls > 0 {
                    polls -= 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(answer.take().unwrap())
            })
            .await
        })
    }
}

impl Review for ScriptedReview {
    fn text_delta(&self, _block: BlockId, text: &str) -> Option<String> {
        Some((self.stream)(text))
    }
    fn text<'a>(&'a self, text: &'a str, _: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        self.answer(&Block::Text(text.into()))
    }
    fn tool_call<'a>(&'a self, call: &'a ToolCall, _: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        self.answer(&Block::ToolCall(call.clone()))
    }
    fn turn<'a>(&'a self, blocks: &'a [Block]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        let all = format!("{blocks:?}");
        self.answer(&Block::Opaque { kind: "turn".into(), raw: all })
    }
}

/// A policy that watches tool calls and answers by their names.
pub(super) fn calls(script: impl Fn(&ToolCall) -> Answer + Send + Sync + 'static) -> Scripted {
    let script: Script = Arc::new(move |block| match block {
        Block::ToolCall(call) => (0, Ok(script(call))),
        _ => (0, Ok(Answer::pass())),
    });
    Scripted {
        watch: Watch { tool_calls: true, ..Watch::default() },
        on_error: OnError::Block,
        script,
        stream: str::to_owned,
        hangs: false,
        review: None,
    }
}

/// Blocks the call of this tool, with a message that names it.
pub(super) fn block_tool(name: &'static str) -> Scripted {
    calls(move |call| if call.name == name { Answer::block(format!("[blocked {name}]")) } else { Answer::pass() })
}

#[derive(Debug)]
struct NoJudge;

impl JudgeClient for NoJudge {
    fn ask(&self, _request: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        Box::pin(async { Err(JudgeError::Refused("no judge here".into())) })
    }
}

#[derive(Default)]
pub(super) struct Decisions(pub(super) Mutex<Vec<Decision>>);

impl DecisionSink for Decisions {
    fn decided(&self, decision: Decision) {
        self.0.lock().unwrap().push(decision);
    }
}

pub(super) struct Opened {
    pub(super) reviews: Reviews,
    pub(super) decisions: Arc<Decisions>,
    pub(super) tasks: TaskTracker,
}

pub(super) fn open(dialect: Dialect, members: Vec<(Scripted, Mode)>) -> Opened {
    open_with(dialect, members, Arc::new(crate::people::Nobody))
}

pub(super) fn open_with(dialect: Dialect, members: Vec<(Scripted, Mode)>, people: Arc<dyn People>) -> Opened {
    let body = match dialect {
        Dialect::Messages => r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
        Dialect::Chat => r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
        Dialect::Responses => r#"{"model":"m","input":"hi"}"#,
    };
    let context = ReviewContext {
        transaction_id: "0190-1".into(),
        session_id: None,
        user_id: None,
        credential: None,
        gateway_key: false,
        dialect,
        request: Request::parse(dialect, RequestKind::Turn, Bytes::from_static(body.as_bytes())).unwrap(),
        judges: Arc::new(NoJudge),
        people,
        events: EventSink::default(),
    };
    let members = members.into_iter().map(|(policy, mode)| Tree::of(policy).at_most(mode));
    let decisions = Arc::new(Decisions::default());
    let options = Options {
        policy_timeout: Duration::from_mins(1),
        person_timeout: Duration::from_mins(4),
        person_timeout_streamed: Duration::from_mins(10),
        held_limit: 64 << 20,
        event_limit: 16 << 20,
    };
    let tasks = TaskTracker::new();
    let plan = Plan::new(Tree::Serial(members.collect()));
    let reviews = plan.open(Arc::new(context), Arc::clone(&decisions) as _, tasks.clone(), options);
    Opened { reviews, decisions, tasks }
}

/// Feeds the chunks, takes what comes out after each, and ends cleanly. The outputs, piece by piece.
pub(super) async fn pieces(reviews: &Reviews, chunks: &[&[u8]], end: UpstreamEnd) -> Vec<Bytes> {
    pieces_of(reviews.stream(), chunks, end).await
}

/// The same of a review that has begun.
pub(super) async fn pieces_of(mut stream: StreamReview, chunks: &[&[u8]], end: UpstreamEnd) -> Vec<Bytes> {
    let mut out = Vec::new();
    for chunk in chunks {
        stream.push(chunk);
        let piece = poll_fn(|cx| Poll::Ready(stream.poll_output(cx))).await;
        if let Poll::Ready(Some(bytes)) = piece {
            out.push(bytes);
        }
    }
    stream.finish(end);
    while let Some(bytes) = poll_fn(|cx| stream.poll_output(cx)).await {
        out.push(bytes);
    }
    out
}

/// The whole output of a stream fed in one piece.
pub(super) async fn run(reviews: &Reviews, input: &str) -> String {
    let out = pieces(reviews, &[input.as_bytes()], UpstreamEnd::Clean).await.concat();
    String::from_utf8(out).unwrap()
}

/// A Messages event.
pub(super) fn ev(data: &str) -> String {
    let kind = serde_json::from_str::<serde_json::Value>(data).unwrap()["type"].as_str().unwrap().to_owned();
    format!("event: {kind}\ndata: {data}\n\n")
}

pub(super) fn start() -> String {
    ev(
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#,
    )
}

pub(super) fn text(index: u32, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    ev(&format!(r#"{{"type":"content_block_start","index":{index},"content_block":{{"type":"text","text":""}}}}"#))
        + &ev(&format!(
            r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"text_delta","text":{text}}}}}"#
        ))
        + &ev(&format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
}

pub(super) fn tool(index: u32, name: &str, args: &str) -> String {
    let args = serde_json::to_string(args).unwrap();
    ev(&format!(
        r#"{{"type":"content_block_start","index":{index},"content_block":{{"type":"tool_use","id":"toolu_{name}","name":"{name}","input":{{}}}}}}"#
    )) + &ev(&format!(
        r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"input_json_delta","partial_json":{args}}}}}"#
    )) + &ev(&format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
}

pub(super) fn stop(reason: &str) -> String {
    ev(&format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"output_tokens":7}}}}"#
    )) + &done()
}

pub(super) fn done() -> String {
    ev(r#"{"type":"message_stop"}"#)
}
