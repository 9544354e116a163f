//! The engine, with a policy that blocks every call: nothing that a client takes for a call leaves, in no division, however
//! the answer ends. In shadow mode nothing is changed.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use luthien_policy::contract::*;
use luthien_policy::engine::UpstreamEnd;
use luthien_policy::judge::{JudgeAnswer, JudgeClient, JudgeError, JudgeRequest};
use luthien_policy::people::Nobody;
use luthien_policy::plan::{Decision, DecisionSink, Options, Plan, Reviews};
use luthien_policy::tree::Tree;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use luthien_wire::sse::Splitter;
use luthien_wire::stream::{Decoder, What};
use luthien_wire::turn::{Block, ToolCall};
use tokio_util::task::TaskTracker;

use crate::{client, cuts};

/// Stands in the arguments of calls in the seeds; where it stands nowhere else, none of it may leave.
const MARK: &[u8] = b"rm -rf";

/// Checks one input, as what it looks like most.
pub fn check(input: &[u8]) {
    let dialect = client::dialect(input);
    if input.trim_ascii_start().starts_with(b"{") {
        let whole = block_on(open(dialect, Mode::Enforce).whole(Bytes::copy_from_slice(input))).body;
        let (had, taken) = (client::whole_calls(dialect, input), client::whole_calls(dialect, &whole));
        assert_no_call(dialect, &had, &taken, input, &whole);
        let whole = block_on(open(dialect, Mode::Shadow).whole(Bytes::copy_from_slice(input))).body;
        assert_eq!(whole, input);
        return;
    }
    let end = if cuts::hash(input).is_multiple_of(4) {
        UpstreamEnd::Broken { kind: "api_error", message: "broken".into() }
    } else {
        UpstreamEnd::Clean
    };
    let out = streamed(&open(dialect, Mode::Enforce), &cuts::chunks(input), end);
    assert_no_call(dialect, &client::calls(dialect, input), &client::calls(dialect, &out), input, &out);
    let shadowed = streamed(&open(dialect, Mode::Shadow), &cuts::chunks(input), UpstreamEnd::Clean);
    assert_untouched(dialect, input, &shadowed);
}

fn assert_no_call(dialect: Dialect, had: &[client::Taken], taken: &[client::Taken], input: &[u8], out: &[u8]) {
    assert_eq!(taken, &[], "{dialect:?}: {}", String::from_utf8_lossy(out));
    let marks = |bytes: &[u8]| bytes.windows(MARK.len()).filter(|window| *window == MARK).count();
    let in_calls: usize = had.iter().map(|call| marks(call.arguments.as_bytes())).sum();
    if marks(input) == in_calls {
        assert_eq!(marks(out), 0, "{dialect:?}: {}", String::from_utf8_lossy(out));
    }
}

/// The upstream's frames went out as they came, up to its end or its failure; what the gateway adds comes behind them. Of an
/// upstream that ends a choice twice, the second end may be overtaken.
fn assert_untouched(dialect: Dialect, input: &[u8], out: &[u8]) {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(input);
    let (mut decoder, mut atoms) = (Decoder::new(dialect), Vec::new());
    let mut stopped = HashSet::new();
    let mut kept = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        decoder.decode(frame.clone(), &mut atoms);
        for atom in atoms.drain(..) {
            match atom.what {
                What::Failed | What::Done => {
                    return assert!(out.starts_with(&kept), "{}", String::from_utf8_lossy(out));
                }
                What::Stop { choice, .. } if !stopped.insert(choice) => return,
                _ => {}
            }
        }
        kept.extend_from_slice(&frame.raw);
    }
    assert_begins(out, &kept);
}

/// Of a CR LF that a division cut, the LF belongs to what follows.
fn assert_begins(out: &[u8], kept: &[u8]) {
    let kept = kept.strip_suffix(b"\r\n").unwrap_or(kept);
    assert!(out.starts_with(kept), "{}\n!=\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(kept));
}

#[derive(Debug)]
struct BlockCalls;

impl Policy for BlockCalls {
    fn name(&self) -> &'static str {
        "block_calls"
    }
    fn watches(&self) -> Watch {
        Watch { tool_calls: true, ..Watch::default() }
    }
    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Self)
    }
}

impl Review for BlockCalls {
    fn tool_call<'a>(&'a self, _: &'a ToolCall, _: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async { Ok(Answer::block("[blocked]")) })
    }
}

#[derive(Debug)]
struct NoJudge;

impl JudgeClient for NoJudge {
    fn ask(&self, _: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        Box::pin(async { Err(JudgeError::Refused("no judge here".into())) })
    }
}

struct Unrecorded;

impl DecisionSink for Unrecorded {
    fn decided(&self, _: Decision) {}
}

fn open(dialect: Dialect, mode: Mode) -> Reviews {
    let body = match dialect {
        Dialect::Messages => r#"{"model":"m","max_tokens":9,"messages":[]}"#,
        Dialect::Chat => r#"{"model":"m","messages":[]}"#,
        Dialect::Responses => r#"{"model":"m","input":[]}"#,
    };
    let request = Request::parse(dialect, RequestKind::Turn, Bytes::from_static(body.as_bytes()));
    let context = ReviewContext {
        transaction_id: "0190-1".into(),
        session_id: None,
        user_id: None,
        credential: None,
        gateway_key: false,
        dialect,
        request: request.expect("a request"),
        judges: Arc::new(NoJudge),
        people: Arc::new(Nobody),
        events: EventSink::default(),
    };
    let options = Options {
        policy_timeout: Duration::from_mins(1),
        person_timeout: Duration::from_mins(1),
        person_timeout_streamed: Duration::from_mins(1),
        held_limit: 1 << 20,
        event_limit: 1 << 20,
    };
    let plan = Plan::new(Tree::of(BlockCalls).at_most(mode));
    plan.open(Arc::new(context), Arc::new(Unrecorded), TaskTracker::new(), options)
}

fn streamed(reviews: &Reviews, chunks: &[&[u8]], end: UpstreamEnd) -> Vec<u8> {
    block_on(async {
        let mut stream = reviews.stream();
        let mut out = Vec::new();
        for chunk in chunks {
            stream.push(chunk);
            let piece = poll_fn(|cx| Poll::Ready(stream.poll_output(cx))).await;
            if let Poll::Ready(Some(bytes)) = piece {
                out.extend_from_slice(&bytes);
            }
        }
        stream.finish(end);
        while let Some(bytes) = poll_fn(|cx| stream.poll_output(cx)).await {
            out.extend_from_slice(&bytes);
        }
        out
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
