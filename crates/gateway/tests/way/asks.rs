//! What a policy leaves to a person is held until somebody answers, in every dialect, streamed and not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use luthien_gateway::approvals::{Approval, Approvals, Reply, State};
use luthien_policy::contract::{
    Answer as Verdict, OnError, Policy, PolicyError, RequestAction, RequestAnswer, Review, ReviewContext, Watch,
};
use luthien_policy::people::Question;
use luthien_record::model::{Evaluation, Status};
use luthien_testkit::accumulate::accumulate;
use luthien_testkit::{Answer, Ending};
use luthien_wire::Dialect;
use luthien_wire::request::Request;
use luthien_wire::turn::{Block, ToolCall};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Rig, id, path, turn_in};

/// Leaves each call to a person, and each request that says `please`.
#[derive(Debug)]
struct Asks(OnError);

struct Asking(OnError);

impl Asking {
    fn question(&self) -> Question {
        let (why, denied) = ("it is a call".to_owned(), "[A person said no.]".to_owned());
        Question { why, denied, unanswered: self.0, timeout: None }
    }
}

impl Policy for Asks {
    fn name(&self) -> &'static str {
        "asks"
    }

    fn watches(&self) -> Watch {
        Watch { request: true, tool_calls: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Asking(self.0))
    }
}

impl Review for Asking {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        let please = request.text().contains("please");
        let action = if please { RequestAction::Ask(self.question()) } else { RequestAction::Pass };
        Box::pin(async { Ok(RequestAnswer { action, ..RequestAnswer::default() }) })
    }

    fn tool_call<'a>(
        &'a self,
        _call: &'a ToolCall,
        _earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Verdict, PolicyError>> {
        Box::pin(async { Ok(Verdict::ask(self.question())) })
    }
}

fn answer() -> Answer {
    Answer::text("I look.").call("Bash", &json!({"command": "ls"}))
}

/// The first question that waits, once there is one.
async fn waiting(approvals: &Approvals) -> Approval {
    loop {
        if let Some(first) = approvals.list().0.into_iter().next() {
            return first;
        }
        tokio::task::yield_now().await;
    }
}

async fn answered(approvals: &Approvals, allow: bool) -> Approval {
    let question = waiting(approvals).await;
    approvals.answer(&question.id, Reply { allow, message: None, by: "ana".to_owned() }).unwrap()
}

async fn rig(unanswered: OnError, patience: Duration) -> Rig {
    Rig::with(answer(), vec![Arc::new(Asks(unanswered))], |config| {
        config.timeouts.person = patience;
        config.timeouts.person_streamed = patience;
    })
    .await
}

const LONG: Duration = Duration::from_mins(10);

/// What the client has in the end.
async fn read(rig: &Rig, dialect: Dialect, stream: bool, allow: bool) -> (Value, String) {
    let body = turn_in(dialect, stream);
    let client = async {
        let exchange = rig.ask(path(dialect), &body).await;
        let id = id(&exchange);
        let bytes = exchange.rest().await.unwrap();
        let whole = if stream { accumulate(dialect, &bytes).unwrap() } else { serde_json::from_slice(&bytes).unwrap() };
        (whole, id)
    };
    tokio::join!(client, answered(&rig.approvals, allow)).0
}

#[rstest]
#[tokio::test]
async fn a_call_goes_out_when_a_person_allows_it_and_not_before(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(true, false)] stream: bool,
) {
    let rig = rig(OnError::Block, LONG).await;
    let (whole, id) = read(&rig, dialect, stream, true).await;
    assert!(whole.to_string().contains("Bash") && whole.to_string().contains("I look."), "{whole}");
    let record = rig.record(&id).await;
    let told: Vec<_> = record.decisions.iter().map(|d| (d.action.as_str(), d.reason.as_deref())).collect();
    assert_eq!(told, [("pass", None), ("ask", Some("it is a call")), ("pass", Some("allowed by ana"))]);
    assert_eq!(record.evaluation, Evaluation::Passed);
    rig.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_call_that_a_person_denies_stays_behind(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(true, false)] stream: bool,
) {
    let rig = rig(OnError::Pass, LONG).await;
    let (whole, id) = read(&rig, dialect, stream, false).await;
    assert!(!whole.to_string().contains("Bash") && whole.to_string().contains("[A person said no.]"), "{whole}");
    assert_eq!(rig.record(&id).await.evaluation, Evaluation::Intervened);
    rig.stop().await;
}

#[rstest]
#[case(OnError::Block, false)]
#[case(OnError::Pass, true)]
#[tokio::test]
async fn where_nobody_answers_in_time_the_policy_has_said_what_happens(#[case] unanswered: OnError, #[case] out: bool) {
    let rig = rig(unanswered, Duration::from_millis(1)).await;
    let exchange = rig.ask("/v1/messages", &turn_in(Dialect::Messages, true)).await;
    let id = id(&exchange);
    let whole = accumulate(Dialect::Messages, &exchange.rest().await.unwrap()).unwrap();
    assert_eq!(whole.to_string().contains("Bash"), out, "{whole}");
    let record = rig.record(&id).await;
    let last = record.decisions.last().unwrap();
    assert!(last.failed);
    assert_eq!(last.reason.as_deref(), Some("nobody answered within 1ms"));
    assert_eq!(record.evaluation, if out { Evaluation::FailedOpen } else { Evaluation::Intervened });
    assert_eq!(rig.approvals.list().1[0].state, State::Expired);
    rig.stop().await;
}

#[tokio::test]
async fn text_does_not_wait_and_a_client_that_goes_withdraws_the_question() {
    let rig = rig(OnError::Block, LONG).await;
    let mut exchange = rig.ask("/v1/messages", &turn_in(Dialect::Messages, true)).await;
    let mut seen = String::new();
    while !seen.contains("I look.") {
        seen += std::str::from_utf8(&exchange.chunk().await.unwrap().unwrap()).unwrap();
    }
    let question = waiting(&rig.approvals).await;
    assert_eq!(
        question.shown,
        [json!({"type": "tool_call", "id": question.shown[0]["id"], "name": "Bash",
        "arguments": {"command": "ls"}})]
    );
    drop(exchange);
    assert_eq!(rig.upstream.ended(0).await.unwrap().ending, Ending::Complete);
    let record = rig.only_record().await;
    assert_eq!(record.status, Status::ClientDisconnected);
    assert_eq!(rig.approvals.get(&question.id).unwrap().state, State::Withdrawn);
    rig.stop().await;
}

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test]
async fn a_request_may_wait_for_a_person_too(#[case] allow: bool) {
    let rig = Rig::with(Answer::text("hi"), vec![Arc::new(Asks(OnError::Block))], |_| {}).await;
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "please"}]});
    let client = async { rig.ask("/v1/messages", &body).await.rest().await.unwrap() };
    let (bytes, question) = tokio::join!(client, answered(&rig.approvals, allow));
    assert_eq!(question.shown, [json!({"type": "request", "messages": 1, "last": "please", "characters_left_out": 0})]);
    let whole = String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(whole.contains("[A person said no.]"), !allow, "{whole}");
    assert_eq!(rig.upstream.requests().len(), usize::from(allow));
    rig.stop().await;
}
