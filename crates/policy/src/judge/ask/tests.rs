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
    }
}

fn caller() -> Route {
    Route { first: JudgeRoute::UserCredentials, second: None }
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
    asker.ask(&context, "s", "p", Verdict::read).await.map(|verdict| verdict.probability)
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
    let route =
        Route { first: JudgeRoute::UserCredentials, second: Some(Second { provider: "spare".to_owned(), warn: true }) };
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
    };
    let judge = Scripted::new([refused(), refused(), SAFE]);
    assert!(ask(&asker(route), &judge).await.is_err());
    assert_eq!(judge.asked().len(), 2);
}
