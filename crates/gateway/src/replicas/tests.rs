//! The link over a real Redis: what one tells the other hears once, and Redis may go and come back.

use jiff::Timestamp;
use luthien_testkit::servers::{Redis, Stop};
use serde_json::json;

use super::*;
use crate::activity::{ActivityEvent, Seen, Watcher};

struct End {
    activity: Activity,
    hints: Hints,
    link: Link,
    seen: Watcher,
}

/// One gateway's end of the link.
fn end(name: &str, url: &str) -> End {
    let (activity, hints) = (Activity::new(name), Hints::default());
    let seen = activity.watch(None);
    let link = Link::new(&SecretString::from(url), activity.clone(), hints.clone()).unwrap();
    link.start(&Handle::current());
    End { activity, hints, link, seen }
}

impl End {
    fn tell(&self, event_type: &str) {
        self.activity.tell("t", event_type, Timestamp::UNIX_EPOCH, json!({"model": "m"}));
    }

    async fn next(&mut self) -> Arc<ActivityEvent> {
        match timeout(Duration::from_secs(20), self.seen.next()).await.expect("an event in time") {
            Seen::Event(event) => event,
            Seen::Dropped(missed) => panic!("{missed} events were missed"),
        }
    }

    async fn is_connected(&self, expected: bool) {
        let turned = async {
            while self.link.health().connected != expected {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), turned).await.expect("it turns in time");
    }
}

/// Two gateways on one Redis, once both are connected.
async fn two(url: &str) -> (End, End) {
    let (a, b) = (end("a", url), end("b", url));
    a.is_connected(true).await;
    b.is_connected(true).await;
    (a, b)
}

#[tokio::test]
async fn what_one_tells_the_other_hears_once() {
    let server = Redis::start().unwrap();
    let (mut a, mut b) = two(&server.url()).await;
    for n in 0..100 {
        a.tell(&format!("a.{n}"));
    }
    b.tell("b.last");
    for n in 0..100 {
        let seen = a.next().await;
        assert_eq!((&*seen.event_type, &*seen.replica), (&*format!("a.{n}"), "a"));
    }
    // Nothing of its own came back before what the other one told.
    assert_eq!(a.next().await.event_type, "b.last");
    let mut heard: Vec<String> = Vec::new();
    while heard.len() < 101 {
        heard.push(b.next().await.event_type.clone());
    }
    let of_a: Vec<&String> = heard.iter().filter(|name| name.starts_with("a.")).collect();
    let expected: Vec<String> = (0..100).map(|n| format!("a.{n}")).collect();
    assert_eq!(of_a, expected.iter().collect::<Vec<_>>());
    assert_eq!(b.link.health(), LinkHealth { connected: true, dropped: 0, ignored: 0 });
}

#[tokio::test]
async fn a_hint_is_heard_by_the_others() {
    let server = Redis::start().unwrap();
    let (a, b) = two(&server.url()).await;
    // Connecting counts as one: something may have been missed.
    b.hints.heard().await;
    a.hints.heard().await;
    a.hints.give();
    timeout(Duration::from_secs(20), b.hints.heard()).await.expect("a hint");
}

#[tokio::test]
async fn what_was_told_before_the_end_goes_out() {
    let server = Redis::start().unwrap();
    let (a, mut b) = two(&server.url()).await;
    for n in 0..1000 {
        a.tell(&format!("a.{n}"));
    }
    a.link.shutdown(Duration::from_secs(10)).await;
    for n in 0..1000 {
        assert_eq!(b.next().await.event_type, format!("a.{n}"));
    }
    assert_eq!(a.link.health().dropped, 0);
}

#[tokio::test]
async fn redis_goes_and_comes_back() {
    let mut server = Redis::start().unwrap();
    let (a, mut b) = two(&server.url()).await;
    server.stop(Stop::Kill).unwrap();
    a.is_connected(false).await;
    b.is_connected(false).await;
    server.start_again().unwrap();
    b.is_connected(true).await;
    a.is_connected(true).await;
    a.tell("a.back");
    assert_eq!(b.next().await.event_type, "a.back");
}

#[tokio::test]
async fn a_redis_that_has_stopped_without_a_word_is_noticed() {
    let server = Redis::start().unwrap();
    let (a, _b) = two(&server.url()).await;
    server.pause().unwrap();
    a.is_connected(false).await;
    server.resume().unwrap();
    a.is_connected(true).await;
}

#[tokio::test]
async fn a_start_without_redis_is_no_failure() {
    let mut server = Redis::start().unwrap();
    server.stop(Stop::Fast).unwrap();
    let a = end("a", &server.url());
    a.tell("a.early");
    a.is_connected(false).await;
    server.start_again().unwrap();
    a.is_connected(true).await;
    a.link.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn what_others_write_there_is_no_harm() {
    let server = Redis::start().unwrap();
    let (a, mut b) = two(&server.url()).await;
    server.ask("PUBLISH luthien:activity nonsense").unwrap();
    server.ask("PUBLISH luthien:changes nonsense").unwrap();
    a.tell("a.after");
    assert_eq!(b.next().await.event_type, "a.after");
    assert_eq!(b.link.health().ignored, 1);
}

#[test]
fn an_address_that_is_none_is_refused_without_being_repeated() {
    for url in ["http://x", "redis", "redis://:secret@host:port/", "unix:///tmp/x"] {
        let error = client(url).unwrap_err();
        assert!(!error.contains("secret"), "{url}: {error}");
    }
    for url in ["redis://127.0.0.1", "rediss://user:secret@host:6380/1"] {
        assert!(client(url).is_ok(), "{url}");
    }
}
