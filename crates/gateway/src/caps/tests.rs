//! Caps are read strictly, the tighter counts, money is exact, and nothing that was used is lost.

use jiff::Timestamp;
use luthien_record::store::Spent;
use luthien_record::{Recorder, RecorderConfig};
use luthien_wire::usage::Usage;
use proptest::prelude::*;
use rstest::rstest;

use super::ledger::{Ledger, day_of, next_day, spender};
use super::*;

fn user(name: &str) -> ScopeId {
    ScopeId::User(name.into())
}

fn tokens(tokens: u64) -> Spent {
    Spent { tokens, ..Spent::default() }
}

#[rstest]
#[case(ScopeKind::Key, r#"{"tokens_per_day": 5, "dollars_per_day": 2.5}"#, None)]
#[case(ScopeKind::Session, r#"{"tokens_in_all": 5, "dollars_in_all": "0.000000001"}"#, None)]
#[case(ScopeKind::Key, r#"{"tokens_in_all": 5}"#, Some("`tokens_in_all` is for sessions"))]
#[case(ScopeKind::User, r#"{"dollars_in_all": 5}"#, Some("`dollars_in_all` is for sessions"))]
#[case(ScopeKind::User, r#"{"tokens": 5}"#, Some("unknown field `tokens`"))]
#[case(ScopeKind::User, r#"{"dollars_per_day": -1}"#, Some("is no amount of dollars"))]
#[case(ScopeKind::User, r#"{"dollars_per_day": 1e-12}"#, Some("is no amount of dollars"))]
#[case(ScopeKind::User, r#"{"tokens_per_day": 1.5}"#, Some("invalid type"))]
#[case(ScopeKind::User, "[]", Some("invalid"))]
fn caps_are_read_strictly(#[case] kind: ScopeKind, #[case] text: &str, #[case] wrong: Option<&str>) {
    let read = Caps::parse(kind, text);
    assert_eq!(read.is_err(), wrong.is_some(), "{read:?}");
    assert!(read.err().unwrap_or_default().contains(wrong.unwrap_or_default()));
}

#[test]
fn of_two_caps_the_tighter_counts() {
    let one = Caps { tokens_per_day: Some(5), tool_calls_per_turn: Some(0), ..Caps::default() };
    let two = Caps { tokens_per_day: Some(3), judge_calls_per_day: Some(9), ..Caps::default() };
    let both =
        Caps { tokens_per_day: Some(3), tool_calls_per_turn: Some(0), judge_calls_per_day: Some(9), ..Caps::default() };
    assert_eq!((one.and(two), two.and(one), one.and(Caps::default())), (both, both, one));
}

const PRICES: &str = "
prices:
  - { match: exact-model, input: 0, output: 0.000001 }
  - { match: \"big-*\", input: 15, output: 75, cache_read: 1.5, cache_write: 18.75 }
  - { match: \"*\", input: 3, output: \"15.25\" }
";

#[rstest]
#[case("big-1", Usage { input: 1_000_000, ..Usage::default() }, 15_000_000_000)]
#[case("big-1", Usage { cache_write: 4, cache_read: 1, input: 1, output: 1, estimated: false }, 166_500)]
#[case("other", Usage { output: 1, ..Usage::default() }, 15_250)]
#[case("other", Usage { cache_read: 1, cache_write: 1, ..Usage::default() }, 6000)]
#[case::rounded_up("exact-model", Usage { output: 1, ..Usage::default() }, 1)]
#[case::rounded_once("exact-model", Usage { output: 1001, ..Usage::default() }, 2)]
fn a_cost_is_exact_to_a_billionth(#[case] model: &str, #[case] usage: Usage, #[case] nanos: u64) {
    assert_eq!(Prices::parse(PRICES).unwrap().of(model).unwrap().of(usage), nanos);
}

#[rstest]
#[case("prices: [{ match: m, input: -1, output: 1 }]", "is no price")]
#[case("prices: [{ match: m, input: 0.0000001, output: 1 }]", "is no price")]
#[case("prices: [{ match: m, input: 1 }]", "missing field `output`")]
#[case("prices: [{ match: m, input: 1, output: 1, reasoning: 1 }]", "unknown field `reasoning`")]
#[case("prices: [{ match: \"*\", input: 1, output: 1 }, { match: m, input: 1, output: 1 }]", "never counts")]
#[case("models: []", "unknown field `models`")]
fn a_price_file_is_read_strictly(#[case] text: &str, #[case] wrong: &str) {
    let error = Prices::parse(text).unwrap_err();
    assert!(error.contains(wrong), "{error}");
}

#[test]
fn the_example_of_a_price_file_loads() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/prices.example.yaml");
    let prices = Prices::read(&path).unwrap();
    assert!(prices.of("example-large-1").is_some() && prices.of("unknown").is_none());
}

#[test]
fn what_waits_is_on_its_way_and_kept_counts_once() {
    let (ledger, ada) = (Ledger::new(), user("ada"));
    ledger.add(&ada, 7, tokens(5));
    assert_eq!(ledger.used(&ada, 7).today, tokens(5));
    let batch = ledger.batch();
    assert_eq!((batch.more.len(), batch.of.len()), (1, 1));
    ledger.add(&ada, 7, tokens(1));
    assert_eq!(ledger.used(&ada, 7).today, tokens(6), "on its way");
    let again = ledger.batch();
    assert_eq!(again.more[0].spent, tokens(6), "it was not kept and is taken again");
    ledger.kept();
    assert_eq!(ledger.used(&ada, 7).today, tokens(6));
    assert!(ledger.batch().more.is_empty());
    let elsewhere = luthien_record::store::Totals { today: tokens(10), in_all: tokens(30) };
    ledger.add(&ada, 7, tokens(2));
    ledger.read(&[(spender(&ada), elsewhere)].into(), &[], 7);
    assert_eq!(ledger.used(&ada, 7).today, tokens(12), "what others added, and what waits here");
    assert_eq!((ledger.used(&ada, 8).today, ledger.used(&ada, 8).in_all), (tokens(0), tokens(30)), "the next day");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_questions_to_judges_take_the_last() {
    let ledger = std::sync::Arc::new(Ledger::new());
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let ledger = std::sync::Arc::clone(&ledger);
        asks.spawn(async move { ledger.add_judge_call(&[(user("ada"), Some(7)), (user("bob"), None)], 1).is_ok() });
    }
    let passed = asks.join_all().await.into_iter().filter(|passed| *passed).count();
    assert_eq!((passed, ledger.used(&user("bob"), 1).today.judge_calls), (7, 7));
}

#[test]
fn a_day_ends_at_midnight() {
    let at: Timestamp = "2026-03-01T23:59:59.5Z".parse().unwrap();
    assert_eq!(next_day(at).to_string(), "2026-03-02T00:00:00Z");
    assert_eq!(day_of(next_day(at)), day_of(at) + 1);
}

#[rstest]
#[tokio::test]
async fn what_was_used_outlives_a_restart_and_is_shared_by_gateways(#[values(false, true)] postgres: bool) {
    let server = postgres.then(|| luthien_servers::database().unwrap());
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = async |folder: &std::path::Path| {
        let config = RecorderConfig::in_dir(folder);
        let database = server.as_ref().map_or_else(
            || format!("sqlite://{}", here.path().join("luthien.db").display()),
            |server| server.url().to_owned(),
        );
        Recorder::open(RecorderConfig { database, ..config }).await.unwrap()
    };
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let who = user("ada");
    let (one, two) = (open(here.path()).await, open(there.path()).await);
    let (first, second) = (CapsState::default(), CapsState::default());
    for (caps, amount) in [(&first, 5), (&second, 7), (&first, 1)] {
        caps.shared().ledger.add(&who, day_of(now), tokens(amount));
    }
    assert_eq!((first.standing(&who, now).used.today.tokens, second.standing(&who, now).used.today.tokens), (6, 7));
    first.flush(one.store(), now).await.unwrap();
    second.flush(two.store(), now).await.unwrap();
    assert_eq!(second.standing(&who, now).used.today.tokens, 13, "read when it was written");
    assert_eq!(first.standing(&who, now).used.today.tokens, 6, "not read since");
    first.flush(one.store(), now).await.unwrap();
    assert_eq!(first.standing(&who, now).used.today.tokens, 13, "read since somebody asked");
    let again = CapsState::default();
    again.start(one.store(), now).await.unwrap();
    assert_eq!(again.standing(&who, now).used.today.tokens, 13, "at a start");
    let tomorrow = now + std::time::Duration::from_hours(24);
    again.start(one.store(), tomorrow).await.unwrap();
    assert_eq!(again.standing(&who, tomorrow).used.today.tokens, 0);
    for recorder in [one, two] {
        recorder.shutdown(std::time::Duration::from_secs(5)).await;
    }
}

proptest! {
    #[test]
    fn dollars_are_read_as_they_are_written(nanos in 0_u64..) {
        let dollars = Dollars::of_nanos(nanos);
        prop_assert_eq!(Dollars::parse(&dollars.to_string()), Ok(dollars));
        prop_assert_eq!(serde_json::from_value::<Dollars>(serde_json::to_value(dollars).unwrap()).unwrap(), dollars);
    }

    #[test]
    fn a_number_of_a_few_digits_is_exact(whole in 0_u64..1_000_000, cents in 0_u64..100) {
        let number: Dollars = serde_json::from_str(&format!("{whole}.{cents:02}")).unwrap();
        prop_assert_eq!(number.nanos(), whole * 1_000_000_000 + cents * 10_000_000);
    }

    #[test]
    fn a_cost_never_falls_below_its_parts(input in 0_u64..1 << 40, output in 0_u64..1 << 40) {
        let price = Prices::parse(PRICES).unwrap().of("big-1").unwrap();
        let both = price.of(Usage { input, output, ..Usage::default() });
        let apart = price.of(Usage { input, ..Usage::default() }) + price.of(Usage { output, ..Usage::default() });
        prop_assert_eq!(both, apart, "prices of whole nanodollars add up");
    }

    #[test]
    fn however_it_is_kept_nothing_is_lost(steps in proptest::collection::vec((0_u8..4, 0_u64..1000), 1..60)) {
        let (ledger, ada) = (Ledger::new(), user("ada"));
        let (mut used, mut database, mut under_way) = (0, 0, None::<u64>);
        for (step, amount) in steps {
            match step {
                0 | 1 => {
                    ledger.add(&ada, 1, tokens(amount));
                    used += amount;
                }
                2 => under_way = Some(ledger.batch().more.iter().map(|on| on.spent.tokens).sum()),
                _ => if let Some(kept) = under_way.take() {
                    database += kept;
                    ledger.kept();
                    let totals = luthien_record::store::Totals { today: tokens(database), in_all: tokens(database) };
                    ledger.read(&[(spender(&ada), totals)].into(), &[spender(&ada)], 1);
                },
            }
            prop_assert_eq!(ledger.used(&ada, 1).today.tokens, used);
        }
    }
}
