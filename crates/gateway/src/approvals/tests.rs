//! Questions and answers: the first answer counts, time and leaving settle the rest.

use std::time::Duration;

use bytes::Bytes;
use luthien_policy::contract::EventSink;
use luthien_policy::judge::{JudgeAnswer, JudgeClient, JudgeError, JudgeRequest};
use luthien_policy::people::Nobody;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use tokio::time::timeout;

use super::*;
use crate::activity::Seen;

#[derive(Debug)]
struct NoJudge;

impl JudgeClient for NoJudge {
    fn ask(&self, _request: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        Box::pin(async { Err(JudgeError::Refused("no judge here".to_owned())) })
    }
}

fn context() -> ReviewContext {
    let body = Bytes::from_static(br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#);
    ReviewContext {
        transaction_id: "t-1".to_owned(),
        session_id: Some("s-1".to_owned()),
        user_id: None,
        credential: None,
        gateway_key: false,
        dialect: Dialect::Messages,
        request: Request::parse(Dialect::Messages, RequestKind::Turn, body).unwrap(),
        judges: Arc::new(NoJudge),
        people: Arc::new(Nobody),
        events: EventSink::default(),
    }
}

fn question() -> Asked {
    Asked {
        policies: vec![("rules", "it writes to /etc".to_owned())],
        target: Target::Turn,
        shown: vec![Arc::new(Block::Text("words".to_owned()))],
        timeout: Duration::from_mins(1),
        unanswered: OnError::Block,
    }
}

fn table() -> (Approvals, Activity) {
    let activity = Activity::default();
    (Approvals::new(activity.clone(), Clock::system()), activity)
}

fn reply(allow: bool, message: Option<&str>) -> Reply {
    Reply { allow, message: message.map(str::to_owned), by: "ana".to_owned() }
}

/// Asks, answers what then waits, and gives the ruling with the answered question.
async fn answered(approvals: &Approvals, reply: Reply) -> (Ruling, Approval) {
    let context = context();
    let asked = approvals.ask(question(), &context);
    let answer = async {
        let (waiting, _) = approvals.list();
        approvals.answer(&waiting[0].id, reply).unwrap()
    };
    tokio::join!(biased; asked, answer)
}

#[tokio::test]
async fn an_answer_reaches_who_waits_and_the_second_one_does_not_count() {
    let (approvals, activity) = table();
    let mut watcher = activity.watch(None);
    let (ruling, approval) = answered(&approvals, reply(true, None)).await;
    assert_eq!(ruling, Ruling::Allowed { by: "ana".to_owned() });
    assert_eq!((approval.state, approval.session_id.as_deref()), (State::Allowed, Some("s-1")));
    let again = approvals.answer(&approval.id, reply(false, None));
    assert_eq!(again, Err(ReplyError::Settled("it was allowed")));
    assert_eq!(approvals.answer("nothing", reply(true, None)), Err(ReplyError::Unknown));
    let (waiting, settled) = approvals.list();
    assert!(waiting.is_empty());
    assert_eq!(settled, [approval]);
    for expected in ["policy.ask.waiting", "policy.ask.settled"] {
        let Seen::Event(event) = watcher.next().await else { panic!("an event should have come") };
        assert_eq!((event.event_type.as_str(), event.transaction_id.as_str()), (expected, "t-1"));
    }
}

#[tokio::test]
async fn a_no_may_say_something_to_the_client() {
    let (approvals, _) = table();
    let (ruling, approval) = answered(&approvals, reply(false, Some("ask me first"))).await;
    let message = Some("ask me first".to_owned());
    assert_eq!(ruling, Ruling::Denied { by: "ana".to_owned(), message: message.clone() });
    assert_eq!((approval.state, approval.message), (State::Denied, message));
}

#[tokio::test]
async fn a_question_that_nobody_needs_any_more_is_withdrawn() {
    let (approvals, _) = table();
    let gone = timeout(Duration::ZERO, approvals.ask(question(), &context())).await;
    assert!(gone.is_err());
    let (waiting, settled) = approvals.list();
    assert!(waiting.is_empty());
    assert_eq!(settled[0].state, State::Withdrawn);
    assert_eq!(approvals.get(&settled[0].id), Some(settled[0].clone()));
}

#[tokio::test]
async fn a_question_whose_time_is_over_has_expired() {
    let (approvals, _) = table();
    let at_once = Asked { timeout: Duration::ZERO, ..question() };
    let gone = timeout(Duration::ZERO, approvals.ask(at_once, &context())).await;
    assert!(gone.is_err());
    assert_eq!(approvals.list().1[0].state, State::Expired);
}

#[tokio::test]
async fn more_questions_than_anybody_reads_are_not_put() {
    let (approvals, _) = table();
    let context = context();
    let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| approvals.ask(question(), &context)).collect();
    let all = futures_util::future::join_all(waiting.iter_mut());
    assert!(timeout(Duration::ZERO, all).await.is_err());
    let one_more = approvals.ask(question(), &context).await;
    assert!(matches!(one_more, Ruling::Unreachable { .. }));
    drop(waiting);
    assert!(approvals.list().0.is_empty());
}
