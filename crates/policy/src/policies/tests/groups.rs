//! Groups: who is asked, what is recorded, what is shown, and what is held.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use futures_util::future::BoxFuture;
use luthien_testkit::Answer as Says;
use luthien_wire::Dialect;
use luthien_wire::turn::{Block, BlockId, ToolCall};
use rstest::rstest;
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::table::{Decisions, Got, answered, options, read, request, said};
use crate::contract::{Answer, Mode, OnError, Policy, PolicyError, Review, ReviewContext, TextWatch, Watch};
use crate::engine::UpstreamEnd;
use crate::people::{Asked, People, Question, Ruling};
use crate::plan::{Plan, Reviews};
use crate::scripted;
use crate::tree::{Strategy, Tree};

/// Answers every call in the same way, and leaves texts as they are.
#[derive(Clone, Debug)]
struct Fixed(Answer);

impl Policy for Fixed {
    fn name(&self) -> &'static str {
        "says"
    }

    fn watches(&self) -> Watch {
        Watch { tool_calls: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(self.clone())
    }
}

impl Review for Fixed {
    fn tool_call<'a>(&'a self, _: &'a ToolCall, _: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Streams texts through.
#[derive(Debug)]
struct Streams;

impl Policy for Streams {
    fn name(&self) -> &'static str {
        "streams"
    }

    fn watches(&self) -> Watch {
        Watch { text: TextWatch::Streamed, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Self)
    }
}

impl Review for Streams {
    fn text_delta(&self, _block: BlockId, text: &str) -> Option<String> {
        Some(text.to_uppercase())
    }
}

/// Allows, and counts how often it is asked.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl People for Counting {
    fn ask(&self, _asked: Asked, _context: &ReviewContext) -> BoxFuture<'_, Ruling> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ruling::Denied { by: "me".to_owned(), message: None } })
    }
}

fn blocks() -> Answer {
    Answer { notices: vec!["[a notice of the block]".to_owned()], ..Answer::block("[blocked]") }
}

fn asks() -> Answer {
    Answer::ask(Question {
        why: "who knows".to_owned(),
        denied: "[denied]".to_owned(),
        unanswered: OnError::Block,
        timeout: None,
    })
}

fn noticing() -> Answer {
    Answer { notices: vec!["[a notice]".to_owned()], ..Answer::pass() }
}

struct Run {
    got: Vec<Got>,
    /// Action and whether it was overruled, in the order of the record.
    decided: Vec<(&'static str, bool)>,
    asked: usize,
}

fn opened(tree: Tree, dialect: Dialect, stream: bool, people: Arc<dyn People>, sink: &Arc<Decisions>) -> Reviews {
    let request = request(dialect, stream, "hi");
    let context = ReviewContext { dialect, request, people, ..(*scripted::context()).clone() };
    Plan::new(tree).open(Arc::new(context), Arc::clone(sink) as _, TaskTracker::new(), options())
}

async fn run(strategy: Strategy, answers: Vec<Answer>, dialect: Dialect, stream: bool) -> Run {
    let tree = Tree::Parallel(strategy, answers.into_iter().map(|answer| Tree::of(Fixed(answer))).collect());
    let (people, sink) = (Arc::new(Counting::default()), Arc::new(Decisions::default()));
    let reviews = opened(tree, dialect, stream, Arc::clone(&people) as _, &sink);
    let says = Says::new().say("hello").call("Bash", &json!({}));
    let upstream = said(&says, &request(dialect, stream, "hi"));
    let (_, whole) = answered(&reviews, dialect, stream, &upstream).await;
    let decided = std::mem::take(&mut *sink.0.lock().unwrap());
    assert!(decided.iter().all(|decision| decision.mode == Mode::Enforce));
    Run {
        got: read(dialect, &whole).0,
        decided: decided.iter().map(|decision| (decision.action, decision.overruled)).collect(),
        asked: people.0.load(Ordering::Relaxed),
    }
}

fn text(text: &str) -> Vec<Got> {
    vec![Got::Text(text.to_owned())]
}

fn with_call(text: &str) -> Vec<Got> {
    vec![Got::Text(text.to_owned()), Got::Call("Bash".to_owned(), json!({}))]
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn who_is_overruled_is_recorded_as_such_and_says_nothing(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(true, false)] stream: bool,
) {
    let designated = run(Strategy::Designated(1), vec![blocks(), noticing()], dialect, stream).await;
    assert_eq!(designated.got, with_call("hello\n\n[a notice]"));
    assert_eq!(designated.decided, [("block", true), ("pass", false)]);
    let majority = run(Strategy::MajorityPass, vec![Answer::pass(), blocks(), Answer::pass()], dialect, stream).await;
    assert_eq!(majority.got, with_call("hello"));
    assert_eq!(majority.decided, [("pass", false), ("block", true), ("pass", false)]);
    let first = run(Strategy::FirstBlock, vec![noticing(), blocks(), Answer::block("[later]")], dialect, stream).await;
    assert_eq!(first.got, text("hello\n\n[blocked]\n\n[a notice]\n\n[a notice of the block]"));
    assert_eq!(first.decided, [("pass", false), ("block", false), ("block", true)]);
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn a_block_makes_a_question_needless(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(true, false)] stream: bool,
) {
    let blocked = run(Strategy::MostRestrictive, vec![asks(), Answer::block("[blocked]")], dialect, stream).await;
    assert_eq!((blocked.got, blocked.asked), (text("hello\n\n[blocked]"), 0));
    assert_eq!(blocked.decided, [("ask", true), ("block", false)]);
    let asked = run(Strategy::MostRestrictive, vec![Answer::pass(), asks()], dialect, stream).await;
    assert_eq!((asked.got, asked.asked), (text("hello\n\n[denied]"), 1));
    let overruled = run(Strategy::Designated(0), vec![Answer::pass(), asks()], dialect, stream).await;
    assert_eq!((overruled.got, overruled.asked), (with_call("hello"), 0));
}

#[rstest]
#[case(Tree::of(Streams), true)]
#[case(Tree::Parallel(Strategy::FirstBlock, vec![Tree::of(Streams)]), false)]
#[tokio::test]
async fn a_group_sees_texts_whole(#[case] tree: Tree, #[case] at_once: bool) {
    let sink = Arc::new(Decisions(Mutex::default()));
    let reviews = opened(tree, Dialect::Messages, true, Arc::new(Counting::default()), &sink);
    let upstream = said(&Says::text("hello there"), &request(Dialect::Messages, true, "hi"));
    let upstream = std::str::from_utf8(&upstream).unwrap();
    let end = upstream.find("event: content_block_stop").unwrap();
    let mut review = reviews.stream();
    let mut out = Vec::new();
    review.push(&upstream.as_bytes()[..end]);
    while let Poll::Ready(Some(bytes)) = std::future::poll_fn(|cx| Poll::Ready(review.poll_output(cx))).await {
        out.extend_from_slice(&bytes);
    }
    assert_eq!(String::from_utf8_lossy(&out).contains("HELLO"), at_once);
    review.push(&upstream.as_bytes()[end..]);
    review.finish(UpstreamEnd::Clean);
    while let Some(bytes) = std::future::poll_fn(|cx| review.poll_output(cx)).await {
        out.extend_from_slice(&bytes);
    }
    let whole = luthien_testkit::accumulate::accumulate_messages(&out).unwrap();
    assert_eq!(whole["content"][0]["text"], "HELLO THERE");
}
