//! When a server is asked, asked again, and left alone.

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;

use super::super::testing::{Move, Played, away};
use super::*;
use crate::breakers::{BreakerChange, BreakerWatch};

const BOUNDS: Bounds =
    Bounds { timeout: Duration::from_secs(2), at_once: 1, retries: 2, failures: 2, open: Duration::from_secs(10) };

async fn ask(caller: &Caller) -> (Result<Bytes, Failure>, u32) {
    let mut tries = 0;
    (caller.review(Bytes::from_static(b"{}"), &mut tries).await, tries)
}

fn pass() -> Move {
    Move::Says(json!({"action": "pass"}))
}

#[rstest]
#[case::connection([away(), away(), pass()], 3)]
#[case::broken([Move::Fails(ServerError::Broken("reset".into())), pass(), pass()], 2)]
#[case::gateway_between([Move::Status(503, ""), pass(), pass()], 2)]
#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again(#[case] moves: [Move; 3], #[case] tries: u32) {
    let caller = Caller::new(Played::new(moves), BOUNDS);
    assert_eq!(ask(&caller).await, (Ok(Bytes::from_static(br#"{"action":"pass"}"#)), tries));
}

#[rstest]
#[case::said_no(Move::Status(500, r#"{"error": "rules.py, line 3"}"#), "status", "status 500: rules.py, line 3")]
#[case::says_nothing(Move::Status(404, "<html>"), "status", "status 404: it does not say why")]
#[case::large(Move::Fails(ServerError::TooLarge(7)), "too_large", "more than 7 bytes")]
#[case::slow(Move::Later(Duration::from_secs(3), json!({})), "timed_out", "more than 2s")]
#[tokio::test(start_paused = true)]
async fn what_stays_is_not(#[case] only: Move, #[case] kind: &str, #[case] words: &str) {
    let caller = Caller::new(Played::new([only, pass()]), BOUNDS);
    let (answer, tries) = ask(&caller).await;
    let failure = answer.unwrap_err();
    assert_eq!((failure.kind(), tries), (kind, 1));
    assert!(failure.to_string().contains(words), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_left_alone_and_then_found_again() {
    let away = [away(), away(), away(), away(), away(), away()];
    let server = Played::new(away.into_iter().chain([pass()]));
    let caller = Caller::new(Arc::clone(&server) as Arc<dyn PolicyServer>, BOUNDS);
    for _ in 0..2 {
        assert_eq!(ask(&caller).await.0.unwrap_err().kind(), "unreachable");
    }
    assert_eq!(ask(&caller).await, (Err(Failure::LeftAlone(BOUNDS.open)), 0));
    tokio::time::advance(BOUNDS.open).await;
    assert!(ask(&caller).await.0.is_ok());
    assert_eq!(server.sent().len(), 7);
}

/// Remembers what it hears.
#[derive(Debug, Default)]
struct Heard(std::sync::Mutex<Vec<BreakerChange>>);

impl BreakerWatch for Heard {
    fn changed(&self, change: BreakerChange) {
        self.0.lock().unwrap().push(change);
    }
}

#[tokio::test(start_paused = true)]
async fn who_watches_hears_when_a_server_is_left_alone_and_when_it_is_asked_again() {
    let heard = Arc::new(Heard::default());
    let away = [away(), away(), away(), away(), away(), away()];
    let caller = Caller::new(Played::new(away.into_iter().chain([pass(), pass()])), BOUNDS)
        .named("http://rules".to_owned(), Breakers::watched_by(heard.clone()));
    for _ in 0..2 {
        assert!(ask(&caller).await.0.is_err());
    }
    tokio::time::advance(BOUNDS.open).await;
    assert!(ask(&caller).await.0.is_ok() && ask(&caller).await.0.is_ok());
    let heard = heard.0.lock().unwrap();
    let opened: Vec<_> = heard.iter().map(|change| change.opened.as_ref().map(|(open, _)| *open)).collect();
    assert_eq!(opened, [Some(BOUNDS.open), None]);
    assert!(heard.iter().all(|change| (change.what, change.name.as_str()) == ("policy_server", "http://rules")));
}

#[tokio::test(start_paused = true)]
async fn content_that_a_policy_stumbles_over_does_not_switch_it_off() {
    let stumbles = std::iter::repeat_n(Move::Status(500, r#"{"error": "KeyError"}"#), 5);
    let caller = Caller::new(Played::new(stumbles.chain([pass()])), BOUNDS);
    for _ in 0..5 {
        assert_eq!(ask(&caller).await.0.unwrap_err().kind(), "status");
    }
    assert!(ask(&caller).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_place_do_so_within_their_time() {
    let slow = || Move::Later(Duration::from_millis(900), json!({}));
    let caller = Caller::new(Played::new([slow(), slow(), slow()]), BOUNDS);
    let ended = join_all((0..4).map(|_| ask(&caller))).await;
    let kinds: Vec<_> = ended.iter().map(|(answer, _)| answer.as_ref().err().map(Failure::kind)).collect();
    assert_eq!(kinds, [None, None, Some("timed_out"), Some("busy")]);
}
