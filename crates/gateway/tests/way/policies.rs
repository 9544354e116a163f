//! Policies on the way: what they block does not go out, what they change is recorded beside what it was.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use luthien_gateway::config::UpstreamConfig;
use luthien_policy::contract::{
    Answer as Verdict, Policy, PolicyError, RequestAction, RequestAnswer, Review, ReviewContext, Watch,
};
use luthien_policy::judge::{JudgeRequest, JudgeRoute};
use luthien_record::model::{Evaluation, Status};
use luthien_testkit::accumulate::{accumulate, accumulate_messages};
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Asked, Ending, Gate, Play, Reply, Script, Step};
use luthien_wire::Dialect;
use luthien_wire::request::Request;
use luthien_wire::turn::{Block, ToolCall};
use rstest::rstest;
use secrecy::SecretString;
use serde_json::json;

use crate::routing::{add, rule};
use crate::support::{KEY, Rig, id, path, turn, turn_in};

/// Blocks requests that say `forbidden`.
#[derive(Debug)]
struct NoForbidden;

impl Policy for NoForbidden {
    fn name(&self) -> &'static str {
        "no_forbidden"
    }

    fn watches(&self) -> Watch {
        Watch { request: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Self)
    }
}

impl Review for NoForbidden {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        let action = if request.text().contains("forbidden") {
            RequestAction::Block("That is forbidden here.".to_owned())
        } else {
            RequestAction::Replace(request.with_model("another"))
        };
        Box::pin(async { Ok(RequestAnswer { action, ..RequestAnswer::default() }) })
    }
}

/// Asks a judge about each tool call and blocks what it calls bad.
#[derive(Debug, Clone)]
pub(crate) struct Judged(pub(crate) JudgeRoute);

struct JudgedReview(JudgeRoute, Arc<ReviewContext>);

impl Policy for Judged {
    fn name(&self) -> &'static str {
        "judged"
    }

    fn watches(&self) -> Watch {
        Watch { tool_calls: true, ..Watch::default() }
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(JudgedReview(self.0.clone(), Arc::clone(context)))
    }
}

impl Review for JudgedReview {
    fn tool_call<'a>(
        &'a self,
        call: &'a ToolCall,
        _earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Verdict, PolicyError>> {
        Box::pin(async move {
            let question = JudgeRequest {
                model: "judge".to_owned(),
                system: "Is it bad?".to_owned(),
                prompt: call.raw.clone(),
                temperature: 0.0,
                max_tokens: 5,
                usual_model: true,
                via: self.0.clone(),
            };
            let word = self.1.judges.ask(question).await.map_err(|error| PolicyError(error.to_string()))?;
            Ok(if word.text == "bad" { Verdict::block("[Blocked by the judge.]") } else { Verdict::pass() })
        })
    }
}

/// Judges say `word`; everybody else gets `answer`.
pub(crate) fn with_judge(word: &'static str, answer: Answer) -> Script {
    Script::new(move |asked: &Asked| if asked.model() == "judge" { Answer::text(word) } else { answer.clone() })
}

#[rstest]
#[case(Dialect::Messages, true)]
#[case(Dialect::Messages, false)]
#[case(Dialect::Chat, true)]
#[case(Dialect::Chat, false)]
#[case(Dialect::Responses, true)]
#[case(Dialect::Responses, false)]
#[tokio::test]
async fn a_blocked_request_is_answered_without_the_upstream(#[case] dialect: Dialect, #[case] stream: bool) {
    let rig = Rig::with(Answer::text("hi"), vec![Arc::new(NoForbidden)], |_| {}).await;
    let mut body = turn_in(dialect, stream);
    let field = if dialect == Dialect::Responses { "input" } else { "messages" };
    body[field][0]["content"] = "something forbidden".into();
    let exchange = rig.ask(path(dialect), &body).await;
    assert_eq!(exchange.status, 200);
    let id = id(&exchange);
    let bytes = exchange.rest().await.unwrap();
    let whole = if stream { accumulate(dialect, &bytes).unwrap() } else { serde_json::from_slice(&bytes).unwrap() };
    assert!(whole.to_string().contains("That is forbidden here."), "{whole}");
    assert!(rig.upstream.requests().is_empty());
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.evaluation), (Status::Completed, Evaluation::Intervened));
    assert_eq!(record.client_response(), &bytes);
    assert_eq!(record.decisions[0].action, "block");
    rig.stop().await;
}

#[tokio::test]
async fn a_blocked_count_is_an_error_that_nobody_retries() {
    let rig = Rig::with(Answer::text("hi"), vec![Arc::new(NoForbidden)], |_| {}).await;
    let body = json!({"model": "forbidden", "messages": []});
    let exchange = rig.ask("/v1/messages/count_tokens", &body).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (400, Some("false")));
    assert!(String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap().contains("policy_blocked"));
    rig.stop().await;
}

#[tokio::test]
async fn a_changed_request_goes_out_changed_and_is_recorded_as_both() {
    let rig = Rig::with(Answer::text("hi"), vec![Arc::new(NoForbidden)], |_| {}).await;
    let sent = turn(false).to_string();
    let exchange = post(&rig.url("/v1/messages"), &[KEY], sent.clone()).await.unwrap();
    let received = String::from_utf8(rig.upstream.requests()[0].body.to_vec()).unwrap();
    assert_eq!(received, sent.replace("\"model\":\"m\"", "\"model\":\"another\""));
    let record = rig.record(&id(&exchange)).await;
    assert_eq!((&record.request[..], &record.final_request()[..]), (sent.as_bytes(), received.as_bytes()));
    rig.stop().await;
}

#[rstest]
#[case(Dialect::Messages, true)]
#[case(Dialect::Messages, false)]
#[case(Dialect::Chat, true)]
#[case(Dialect::Chat, false)]
#[case(Dialect::Responses, true)]
#[case(Dialect::Responses, false)]
#[tokio::test]
async fn a_blocked_call_does_not_reach_the_client(#[case] dialect: Dialect, #[case] stream: bool) {
    let answer = Answer::new().say("Let me see.").call("Bash", &json!({"command": "rm -rf /secret"}));
    let rig = Rig::with(with_judge("bad", answer), vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |_| {}).await;
    let exchange = rig.ask(path(dialect), &turn_in(dialect, stream)).await;
    assert_eq!(exchange.status, 200);
    assert_eq!(exchange.header("x-luthien-policy").unwrap().contains("evaluation=intervened"), !stream);
    let id = id(&exchange);
    let bytes = exchange.rest().await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains("[Blocked by the judge.]") && !text.contains("secret"), "{text}");
    let whole = if stream { accumulate(dialect, &bytes).unwrap() } else { serde_json::from_slice(&bytes).unwrap() };
    assert!(whole.to_string().contains("Let me see."), "{whole}");
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.evaluation), (Status::Completed, Evaluation::Intervened));
    assert_eq!(record.client_response(), &bytes);
    assert!(record.upstream_response.windows(6).any(|window| window == b"secret"));
    assert_eq!((record.decisions.len(), record.decisions[0].action.as_str()), (1, "block"));
    assert_eq!(rig.upstream.requests().len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn what_passes_under_review_passes_byte_for_byte() {
    let answer = Answer::new().say("Let me see.").call("Bash", &json!({"command": "ls"}));
    let rig = Rig::with(with_judge("good", answer), vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |_| {}).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&exchange);
    let bytes = exchange.rest().await.unwrap();
    accumulate_messages(&bytes).unwrap();
    let record = rig.record(&id).await;
    assert_eq!((record.evaluation, record.client_response()), (Evaluation::Passed, &bytes));
    rig.stop().await;
}

#[tokio::test]
async fn a_compressed_answer_is_decoded_for_policies() {
    let call = Answer::new().call("Bash", &json!({"command": "rm -rf /secret"}));
    for stream in [true, false] {
        let call = call.clone();
        let script = Script::new(move |asked: &Asked| {
            if asked.model() == "judge" {
                Play::from(Answer::text("bad"))
            } else {
                Play::from(call.reply(asked).gzip())
            }
        });
        let rig = Rig::with(script, vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |_| {}).await;
        let exchange = rig.ask("/v1/messages", &turn(stream)).await;
        assert_eq!(exchange.header("content-encoding"), None);
        let text = String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap();
        assert!(text.contains("[Blocked by the judge.]") && !text.contains("secret"), "{text}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn the_callers_credential_goes_to_its_own_upstream_only() {
    for (route, expected) in [
        (JudgeRoute::UserCredentials, Some(KEY.1)),
        (JudgeRoute::Provider("judges".to_owned()), Some("sk-judges")),
        (JudgeRoute::ApiBase("set below".to_owned()), None),
    ] {
        let judges = luthien_testkit::Upstream::start().await.unwrap();
        judges.default_script(Answer::text("good"));
        let route = match route {
            JudgeRoute::ApiBase(_) => JudgeRoute::ApiBase(judges.base_url()),
            other => other,
        };
        let own = route == JudgeRoute::UserCredentials;
        let script = with_judge("good", Answer::tool("Bash", &json!({})));
        let rig = Rig::with(script, vec![Arc::new(Judged(route))], |config| {
            let first = config.upstreams[0].clone();
            config.upstreams.push(UpstreamConfig {
                name: "judges".to_owned(),
                base_url: judges.base_url(),
                key: Some(SecretString::from("sk-judges")),
                ..first
            });
        })
        .await;
        rig.ask("/v1/messages", &turn(true)).await.rest().await.unwrap();
        let asked = if own { rig.upstream.requests().pop() } else { judges.requests().pop() }.unwrap();
        assert_eq!(asked.header("x-api-key"), expected);
        assert_eq!(asked.header("authorization"), None);
        rig.stop().await;
        judges.stop().await;
    }
}

#[tokio::test]
async fn the_key_for_judges_goes_to_no_other_upstream() {
    let (local, named) = ("local".to_owned(), "named".to_owned());
    for (route, ruled, expected) in [
        (JudgeRoute::UserCredentials, false, Some("sk-for-judges")),
        (JudgeRoute::Provider("anthropic".to_owned()), false, Some("sk-for-judges")),
        (JudgeRoute::UserCredentials, true, None),
        (JudgeRoute::Provider(local), false, None),
        (JudgeRoute::Provider(named), false, Some("sk-of-named")),
    ] {
        let other = luthien_testkit::Upstream::start().await.unwrap();
        other.default_script(Answer::text("good"));
        let script = with_judge("good", Answer::tool("Bash", &json!({})));
        let told = format!("{route:?} {ruled}");
        let rig = Rig::with(script, vec![Arc::new(Judged(route))], |config| {
            add(config, "local", &[Dialect::Messages], &other);
            add(config, "named", &[Dialect::Messages], &other);
            (config.upstreams[2].key, config.upstreams[2].keyless) = (None, true);
            if ruled {
                config.models = vec![rule("judge", &[("local", None)])];
            }
            config.judge.api_key = Some(SecretString::from("sk-for-judges"));
        })
        .await;
        rig.ask("/v1/messages", &turn(true)).await.rest().await.unwrap();
        let elsewhere = other.requests();
        let asked = elsewhere.last().cloned().unwrap_or_else(|| rig.upstream.requests().pop().unwrap());
        assert_eq!(asked.header("x-api-key"), expected, "{told}");
        assert!(!format!("{elsewhere:?}").contains("sk-for-judges"), "{told}");
        rig.stop().await;
        other.stop().await;
    }
}

#[tokio::test]
async fn a_judge_that_is_not_there_blocks_and_the_record_says_why() {
    let script = with_judge("good", Answer::tool("Bash", &json!({"command": "secret"})));
    let route = JudgeRoute::ApiBase("http://127.0.0.1:1".to_owned());
    let rig = Rig::with(script, vec![Arc::new(Judged(route))], |_| {}).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&exchange);
    let text = String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap();
    assert!(!text.contains("secret") && text.contains("could not check"), "{text}");
    let record = rig.record(&id).await;
    assert!(record.decisions[0].failed);
    assert!(record.decisions[0].reason.as_deref().unwrap().contains("cannot reach"));
    rig.stop().await;
}

#[tokio::test]
async fn pings_go_on_while_a_judge_thinks_and_a_client_that_goes_takes_the_judge_along() {
    let gate = Gate::new();
    let judge = Reply::whole(200, "application/json", "{}").wait_before(&gate);
    let script = Script::new(move |asked: &Asked| {
        if asked.model() == "judge" { Play::from(judge.clone()) } else { Play::from(Answer::tool("Bash", &json!({}))) }
    });
    let rig = Rig::with(script, vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |config| {
        config.timeouts.keep_alive = Duration::from_millis(10);
    })
    .await;
    let mut exchange = rig.ask("/v1/messages", &turn(true)).await;
    gate.reached().await;
    while exchange.frame().await.unwrap().unwrap().event != "ping" {}
    drop(exchange);
    assert_eq!(rig.upstream.ended(1).await.unwrap().ending, Ending::ClientGone);
    let record = rig.only_record().await;
    assert_eq!((record.status, record.evaluation), (Status::ClientDisconnected, Evaluation::NotEvaluated));
    assert!(!record.client_response().windows(4).any(|window| window == b"Bash"));
    rig.stop().await;
}

#[tokio::test]
async fn an_upstream_that_breaks_off_within_a_held_call_ends_with_an_error() {
    let answer = Answer::new().say("word").start_call("Bash").input("{\"sec").break_off(Step::Close);
    let rig = Rig::with(with_judge("good", answer), vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |_| {}).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&exchange);
    let text = String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap();
    assert!(text.contains("event: error") && text.contains("word") && !text.contains("Bash"), "{text}");
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.evaluation), (Status::UpstreamBroken, Evaluation::NotEvaluated));
    rig.stop().await;
}

#[tokio::test]
async fn settings_override_where_and_with_what_all_judges_sit() {
    let judges = luthien_testkit::Upstream::start().await.unwrap();
    judges.default_script(Answer::text("good"));
    let script = Script::always(Answer::tool("Bash", &json!({})));
    let rig = Rig::with(script, vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |config| {
        config.judge.model = Some("openai/overriding".to_owned());
        config.judge.api_base = Some(judges.base_url());
        config.judge.api_key = Some(SecretString::from("sk-overriding"));
    })
    .await;
    rig.ask("/v1/messages", &turn(true)).await.rest().await.unwrap();
    let asked = judges.requests().pop().unwrap();
    assert_eq!((asked.path.as_str(), &asked.json()["model"]), ("/v1/chat/completions", &json!("overriding")));
    assert_eq!((asked.header("authorization"), asked.header("x-api-key")), (Some("Bearer sk-overriding"), None));
    rig.stop().await;
    judges.stop().await;
}

#[tokio::test]
async fn a_shadowed_policy_changes_nothing_and_its_late_verdict_is_recorded() {
    let gate = Gate::new();
    let judge = gate.clone();
    let script = Script::new(move |asked: &Asked| {
        if asked.model() == "judge" {
            Play::from(Answer::text("bad").reply(asked).wait_before(&judge))
        } else {
            Play::from(Answer::tool("Bash", &json!({"command": "secret"})))
        }
    });
    let rig = Rig::shadowed(script, Arc::new(Judged(JudgeRoute::UserCredentials))).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&exchange);
    let bytes = exchange.rest().await.unwrap();
    let record = rig.record(&id).await;
    assert_eq!((record.client_response(), &record.upstream_response), (&bytes, &bytes));
    assert_eq!((record.evaluation, record.decisions.len()), (Evaluation::None, 0));
    gate.open();
    let mut decisions = Vec::new();
    while decisions.is_empty() {
        decisions = rig.record(&id).await.decisions;
    }
    assert_eq!((decisions[0].action.as_str(), decisions[0].mode.as_str()), ("block", "shadow"));
    rig.stop().await;
}
