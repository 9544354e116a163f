//! Retries, what is not retried, and the second upstream.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use tokio::time::Instant;

use super::*;
use crate::judge::provider::Second;
use crate::judge::verdict::Verdict;
use crate::scripted::{self, Scripted};

fn asker(route: Route) -> Asker {
    Asker {
        route,
        model: "judge".to_owned(),
        temperature: 0.0,
        max_tokens: 64,
        retries: 2,
        delay: Duration::from_millis(500),
        retry_unreadable: true,
        access: Arc::new(Access::new(crate::judge::JudgeLimits::default())),
    }
}

fn caller() -> Route {
    Route { first: JudgeRoute::UserCredentials, second: None, usual_model: false }
}

fn unavailable() -> Result<&'static str, JudgeError> {
    Err(JudgeError::Unavailable("503".to_owned()))
}

fn refused() -> Result<&'static str, JudgeError> {
    Err(JudgeError::Refused("401".to_owned()))
}

const SAFE: Result<&str, JudgeError> = Ok(r#"{"probability": 0}"#);

async fn ask(asker: &Asker, judge: &Arc<Scripted>) -> Result<f64, Failure> {
    let context = scripted::judged_by(judge.clone());
    asker.ask(&context, "s", "p", Verdict::read).await.0.map(|verdict| verdict.probability)
}

#[tokio::test(start_paused = true)]
async fn tries_again_with_growing_delays() {
    let judge = Scripted::new([unavailable(), Err(JudgeError::TimedOut(Duration::from_secs(9))), SAFE]);
    let begun = Instant::now();
    assert_eq!(ask(&asker(caller()), &judge).await, Ok(0.0));
    assert_eq!(begun.elapsed(), Duration::from_millis(1500));
    assert_eq!(judge.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_last_try() {
    let judge = Scripted::new([unavailable(), unavailable(), unavailable(), SAFE]);
    assert_eq!(ask(&asker(caller()), &judge).await, Err(Failure::Judge(JudgeError::Unavailable("503".to_owned()))));
    assert_eq!(judge.asked().len(), 3);
}

#[rstest]
#[case(true, 3)]
#[case(false, 1)]
#[tokio::test(start_paused = true)]
async fn an_unreadable_answer_is_retried_where_wanted(#[case] retry_unreadable: bool, #[case] times: usize) {
    let judge = Scripted::new([Ok("maybe"), Ok("maybe"), Ok("maybe")]);
    let asker = Asker { retry_unreadable, ..asker(caller()) };
    assert!(matches!(ask(&asker, &judge).await, Err(Failure::Unreadable(_))));
    assert_eq!(judge.asked().len(), times);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final() {
    let judge = Scripted::new([refused(), SAFE]);
    assert_eq!(ask(&asker(caller()), &judge).await, Err(Failure::Judge(JudgeError::Refused("401".to_owned()))));
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_the_second_upstream_is_asked_at_once() {
    let route = Route {
        first: JudgeRoute::UserCredentials,
        second: Some(Second { provider: "spare".to_owned(), warn: true }),
        usual_model: false,
    };
    let judge = Scripted::new([refused(), SAFE]);
    let begun = Instant::now();
    assert_eq!(ask(&asker(route), &judge).await, Ok(0.0));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let via: Vec<_> = judge.asked().into_iter().map(|asked| asked.via).collect();
    assert_eq!(via, [JudgeRoute::UserCredentials, JudgeRoute::Provider("spare".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn the_second_upstream_refuses_once() {
    let route = Route {
        first: JudgeRoute::UserCredentials,
        second: Some(Second { provider: "spare".to_owned(), warn: false }),
        usual_model: false,
    };
    let judge = Scripted::new([refused(), refused(), SAFE]);
    assert!(ask(&asker(route), &judge).await.is_err());
    assert_eq!(judge.asked().len(), 2);
}

fn with(limits: serde_json::Value) -> Asker {
    let limits = serde_json::from_value(limits).unwrap();
    Asker { retries: 0, access: Arc::new(Access::new(limits)), ..asker(caller()) }
}

async fn accounted(asker: &Asker, judge: &Arc<Scripted>, prompt: &str) -> (Result<f64, Failure>, Account) {
    let context = scripted::judged_by(judge.clone());
    let (verdict, account) = asker.ask(&context, "s", prompt, Verdict::read).await;
    (verdict.map(|verdict| verdict.probability), account)
}

#[tokio::test(start_paused = true)]
async fn the_same_question_is_asked_once_and_another_one_again() {
    let judge = Scripted::new([SAFE, SAFE]);
    let asker = with(serde_json::json!({}));
    let (first, told) = accounted(&asker, &judge, "p").await;
    let (again, repeated) = accounted(&asker, &judge, "p").await;
    assert_eq!((first, again), (Ok(0.0), Ok(0.0)));
    assert_eq!((told.cached, told.tries, repeated.cached, repeated.tries), (false, 1, true, 0));
    assert_eq!(told.digest, repeated.digest);
    let (_, other) = accounted(&asker, &judge, "q").await;
    assert!(!other.cached && other.digest != told.digest);
    assert_eq!(judge.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_verdicts_are_remembered_and_none_where_the_cache_is_off() {
    let judge = Scripted::new([Ok("maybe"), SAFE, SAFE]);
    let asker = Asker { retry_unreadable: false, ..with(serde_json::json!({})) };
    assert!(accounted(&asker, &judge, "p").await.0.is_err());
    assert_eq!(accounted(&asker, &judge, "p").await.0, Ok(0.0));
    let forgetful = with(serde_json::json!({"cache_seconds": 0}));
    assert_eq!(accounted(&forgetful, &judge, "p").await.0, Ok(0.0));
    assert!(matches!(accounted(&forgetful, &judge, "p").await.0, Err(Failure::Judge(_))));
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_is_away_is_left_alone_for_a_while() {
    let judge = Scripted::new([unavailable(), unavailable(), SAFE]);
    let asker = with(serde_json::json!({"breaker_failures": 2, "breaker_seconds": 10}));
    for _ in 0..2 {
        assert!(matches!(accounted(&asker, &judge, "p").await.0, Err(Failure::Judge(_))));
    }
    let (left_alone, account) = accounted(&asker, &judge, "p").await;
    assert_eq!((left_alone, account.tries), (Err(Failure::LeftAlone(Duration::from_secs(10))), 0));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(accounted(&asker, &judge, "p").await.0, Ok(0.0));
}

#[tokio::test(start_paused = true)]
async fn the_failure_that_opens_the_breaker_between_two_tries_is_the_one_that_is_told() {
    let judge = Scripted::new([unavailable(), SAFE]);
    let asker = Asker { retries: 2, ..with(serde_json::json!({"breaker_failures": 1})) };
    let (answered, account) = accounted(&asker, &judge, "p").await;
    assert_eq!(answered, Err(Failure::Judge(JudgeError::Unavailable("503".to_owned()))));
    assert_eq!(account.tries, 1);
}

#[rstest]
#[case(JudgeError::Refused("400".to_owned()))]
#[case(JudgeError::RateLimited("429".to_owned()))]
#[tokio::test(start_paused = true)]
async fn what_one_caller_or_content_causes_does_not_open_the_breaker(#[case] error: JudgeError) {
    let judge = Scripted::new([Err(error.clone()), Err(error), SAFE]);
    let asker = with(serde_json::json!({"breaker_failures": 1}));
    for _ in 0..2 {
        assert!(matches!(accounted(&asker, &judge, "p").await.0, Err(Failure::Judge(_))));
    }
    assert_eq!(accounted(&asker, &judge, "p").await.0, Ok(0.0));
}

/// A judge that never answers.
#[derive(Debug)]
struct Silent;

impl super::super::JudgeClient for Silent {
    fn ask(&self, _: JudgeRequest) -> futures_util::future::BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_and_the_wait_for_a_place_have_a_limit() {
    let asker = with(serde_json::json!({"timeout": 2, "max_concurrency": 1, "breaker_failures": 0}));
    let context = scripted::judged_by(Arc::new(Silent));
    let (first, second) =
        tokio::join!(asker.ask(&context, "s", "p", Verdict::read), asker.ask(&context, "s", "q", Verdict::read),);
    let two = Duration::from_secs(2);
    assert_eq!(first.0.unwrap_err(), Failure::Judge(JudgeError::TimedOut(two)));
    assert_eq!(second.0.unwrap_err(), Failure::Busy(two));
}
