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
    let own = |requests_per_minute| KeyLimits { requests_per_minute, burst: Some(2), ..KeyLimits::default() };
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

fn with_tokens(per_minute: u32, redis: Option<redis::Client>) -> Arc<Rates> {
    let usual = UsualQuota::default();
    usual.set_tokens(per_minute);
    Arc::new(Rates::new(usual, 10, redis))
}

async fn tokens(rates: &Rates, millis: i64) -> TokenStanding {
    rates.tokens(&ADA, &KeyLimits::default(), at(millis)).await.unwrap()
}

async fn use_tokens(rates: &Arc<Rates>, tokens: u64, millis: i64) {
    if let Some(elsewhere) = rates.used(ADA, &KeyLimits::default(), tokens, at(millis)) {
        elsewhere.await;
    }
}

#[tokio::test]
async fn who_has_used_a_minutes_tokens_waits_until_the_clock_has_caught_up() {
    let rates = with_tokens(600, None);
    let mut stood = Vec::new();
    for (millis, used) in [(0, 0), (0, 590), (0, 900), (0, 0), (30_000, 0), (89_999, 0), (90_000, 0), (149_000, 0)] {
        use_tokens(&rates, used, millis).await;
        let standing = tokens(&rates, millis).await;
        stood.push((standing.remaining, standing.wait.map(|wait| wait.as_millis())));
    }
    let wait = |millis| (0, Some(millis));
    // Ten tokens a second: 1490 are 149 seconds, of which a minute may lie ahead.
    let expected =
        [(600, None), (10, None), wait(89_100), wait(89_100), wait(59_100), (9, None), (10, None), (600, None)];
    assert_eq!(stood, expected);
}

#[tokio::test]
async fn the_answer_says_how_the_callers_tokens_stand() {
    let rates = with_tokens(600, None);
    use_tokens(&rates, 700, 0).await;
    let headers = tokens(&rates, 0).await.headers();
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap();
    assert_eq!(said("x-luthien-ratelimit-limit-tokens"), "600");
    assert_eq!(said("x-luthien-ratelimit-remaining-tokens"), "0");
    assert_eq!(said("x-luthien-ratelimit-reset-tokens"), "70");
    assert_eq!(said("retry-after"), "11");
}

#[tokio::test]
async fn tokens_are_counted_beside_requests_and_by_a_keys_own_limit() {
    let rates = with_tokens(60, None);
    let own = |tokens_per_minute| KeyLimits { tokens_per_minute, ..KeyLimits::default() };
    assert!(rates.used(ADA, &own(Some(0)), 1000, at(0)).is_none());
    assert_eq!(rates.tokens(&ADA, &own(Some(0)), at(0)).await, None);
    assert_eq!(tokens(&rates, 0).await.remaining, 60, "nothing was counted");
    assert!(rates.used(ADA, &own(Some(100)), 30, at(0)).is_none());
    assert_eq!(rates.tokens(&ADA, &own(Some(100)), at(0)).await.unwrap().remaining, 70);
    assert_eq!(rates.take(&ADA, KeyLimits::default(), at(0)).await, None);
    assert_eq!(with_tokens(0, None).tokens(&ADA, &own(None), at(0)).await, None);
}

#[tokio::test]
async fn tokens_used_at_once_are_all_counted() {
    let rates = with_tokens(1_000_000, None);
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let rates = Arc::clone(&rates);
        asks.spawn(async move { use_tokens(&rates, 1000, 0).await });
    }
    asks.join_all().await;
    assert_eq!(tokens(&rates, 0).await.remaining, 900_000);
}

#[tokio::test]
async fn gateways_with_one_redis_count_tokens_together_and_alone_without_it() {
    let mut server = Redis::start().unwrap();
    let client = || redis::Client::open(server.url()).unwrap();
    let (one, two) = (with_tokens(100, Some(client())), with_tokens(100, Some(client())));
    let mut asks = tokio::task::JoinSet::new();
    for rates in [&one, &two] {
        for _ in 0..50 {
            let rates = Arc::clone(rates);
            asks.spawn(async move { use_tokens(&rates, 2, 0).await });
        }
    }
    asks.join_all().await;
    use_tokens(&one, 1000, 0).await;
    for rates in [&one, &two] {
        let wait = tokens(rates, 0).await.wait.expect("a wait");
        assert!(wait > Duration::from_secs(590) && wait < Duration::from_secs(662), "{wait:?}");
    }
    server.stop(Stop::Kill).unwrap();
    assert_eq!(tokens(&one, 0).await.wait, None, "counted alone");
    use_tokens(&one, 100, 0).await;
    assert!(tokens(&one, 0).await.wait.is_some());
    assert!(tokens(&two, 0).await.wait.is_none());
}

proptest::proptest! {
    #[test]
    fn tokens_are_never_given_away(per_minute in 1_u32.., used in proptest::collection::vec(0_u64..10_000_000, 1..20)) {
        let quota = TokenQuota::new(per_minute).unwrap();
        let account = used.iter().fold(0, |account, tokens| quota.after(account, 1_000_000_000, *tokens));
        let all: u64 = used.iter().sum();
        // What it may still use now, and what it has used, are no more than a minute's.
        let left = quota.standing(account, 1_000_000_000);
        proptest::prop_assert!(u64::from(left.remaining) <= u64::from(per_minute).saturating_sub(all));
        proptest::prop_assert_eq!(left.wait.is_some(), account - 1_000_000_000 >= 60_000_000);
    }

    #[test]
    fn no_number_of_tokens_is_too_large(per_minute in 1_u32.., tokens in 0_u64.., account in 0_i64..i64::MAX / 2) {
        let quota = TokenQuota::new(per_minute).unwrap();
        let after = quota.after(account, 1_800_000_000_000_000, tokens);
        proptest::prop_assert!(after >= account);
        let _ = quota.standing(after, 1_800_000_000_000_000).headers();
    }
}
