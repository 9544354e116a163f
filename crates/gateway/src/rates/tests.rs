//! What a quota lets through, here and over Redis.

use luthien_servers::{Redis, Stop};

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
}

const ADA: [u8; 16] = [1; 16];

async fn take(rates: &Rates, caller: [u8; 16], millis: i64) -> Standing {
    rates.take(&caller, KeyLimits::default(), at(millis)).await.unwrap()
}

fn sixty(burst: u32) -> Option<Quota> {
    Quota::new(60, burst)
}

#[tokio::test]
async fn a_burst_may_come_at_once_and_then_one_each_interval() {
    let rates = Rates::new(sixty(3), 10, None);
    let mut let_through = Vec::new();
    for millis in [0, 0, 0, 0, 999, 1000, 1000, 4000, 4000, 4000, 4000] {
        let standing = take(&rates, ADA, millis).await;
        let_through.push((standing.remaining, standing.wait.map(|wait| wait.as_millis())));
    }
    let expected = [
        (2, None),
        (1, None),
        (0, None),
        (0, Some(1000)),
        (0, Some(1)),
        (0, None),
        (0, Some(1000)),
        (2, None),
        (1, None),
        (0, None),
        (0, Some(1000)),
    ];
    assert_eq!(let_through, expected);
}

#[tokio::test]
async fn the_answer_says_how_the_caller_stands() {
    let rates = Rates::new(sixty(1), 10, None);
    let headers = take(&rates, ADA, 0).await.headers();
    let said = |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(said(&headers, "ratelimit-limit").unwrap(), "60");
    assert_eq!(said(&headers, "ratelimit-remaining").unwrap(), "0");
    assert_eq!(said(&headers, "ratelimit-reset").unwrap(), "1");
    assert_eq!(said(&headers, "retry-after"), None);
    let headers = take(&rates, ADA, 100).await.headers();
    assert_eq!(said(&headers, "retry-after").unwrap(), "1");
}

#[tokio::test]
async fn callers_are_counted_apart_and_the_longest_silent_is_forgotten() {
    let rates = Rates::new(sixty(1), 2, None);
    assert_eq!(take(&rates, ADA, 0).await.wait, None);
    assert_eq!(take(&rates, [2; 16], 0).await.wait, None);
    assert!(take(&rates, ADA, 0).await.wait.is_some());
    assert_eq!(take(&rates, [3; 16], 0).await.wait, None);
    assert!(take(&rates, ADA, 0).await.wait.is_some());
    assert_eq!(take(&rates, [2; 16], 0).await.wait, None, "forgotten");
}

#[tokio::test]
async fn a_keys_own_limit_counts_in_place_of_the_usual_one() {
    let rates = Rates::new(sixty(1), 10, None);
    let own = |requests_per_minute| KeyLimits { requests_per_minute, burst: Some(2) };
    let standing = rates.take(&ADA, own(Some(6000)), at(0)).await.unwrap();
    assert_eq!((standing.quota, standing.remaining), (Quota { per_minute: 6000, burst: 2 }, 1));
    assert_eq!(rates.take(&ADA, own(None), at(0)).await.unwrap().quota, Quota { per_minute: 60, burst: 2 });
    assert_eq!(rates.take(&ADA, own(Some(0)), at(0)).await, None);
    assert_eq!(Rates::new(None, 10, None).take(&ADA, KeyLimits::default(), at(0)).await, None);
}

#[test]
fn who_was_far_ahead_waits_no_longer_than_the_new_quota_says() {
    let (slow, fast) = (Quota::new(10, 1000).unwrap(), Quota::new(600, 1).unwrap());
    let account = (0..600).fold(0, |account, _| slow.take(account, 1_000_000_000).unwrap());
    assert_eq!(fast.take(account, 1_000_000_000), Err(fast.each()));
    assert_eq!(fast.take(account, 500_000_000), Err(fast.each()), "the clock went back");
}

#[test]
fn extreme_quotas_are_counted() {
    for per_minute in [1, 59, 60_000_000, u32::MAX] {
        let quota = Quota::new(per_minute, 1).unwrap();
        assert!(quota.take(0, 1_800_000_000_000_000).is_ok());
        let headers = Standing::new(quota, quota.take(0, 5), 0, 5).headers();
        assert_eq!(headers["ratelimit-remaining"], "0");
    }
}

#[tokio::test]
async fn gateways_with_one_redis_count_together_and_alone_without_it() {
    let mut server = Redis::start().unwrap();
    let client = || redis::Client::open(server.url()).unwrap();
    let (one, two) =
        (Rates::new(Quota::new(1, 2), 10, Some(client())), Rates::new(Quota::new(1, 2), 10, Some(client())));
    assert_eq!(take(&one, ADA, 0).await.wait, None);
    assert_eq!(take(&two, ADA, 0).await.wait, None);
    for rates in [&one, &two] {
        let standing = take(rates, ADA, 0).await;
        assert!(standing.wait.is_some_and(|wait| wait > Duration::from_secs(50)), "{standing:?}");
        assert_eq!(take(rates, [2; 16], 0).await.wait, None);
    }
    server.stop(Stop::Kill).unwrap();
    assert_eq!(take(&one, ADA, 0).await.wait, None, "counted alone");
}
