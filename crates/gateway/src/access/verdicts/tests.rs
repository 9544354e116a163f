//! How long a verdict counts, how often a vendor is asked, and what is bounded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::*;

const VALIDITY: Validity = Validity { valid: Duration::from_secs(100), invalid: Duration::from_secs(10) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn hash(number: usize) -> Hash {
    u128::try_from(number).unwrap().to_be_bytes()
}

/// Asks a vendor that answers at once; says what came and how often it has been asked.
struct Vendor(Verdicts, AtomicUsize);

impl Vendor {
    fn new() -> Self {
        Self(Verdicts::default(), AtomicUsize::new(0))
    }

    async fn find(&self, number: usize, second: i64, says: Verdict) -> (Verdict, usize) {
        let question = || {
            self.1.fetch_add(1, Ordering::SeqCst);
            async move { says }.boxed()
        };
        let whose = (CredentialType::ApiKey, "anthropic");
        let verdict = self.0.find(hash(number), whose, (VALIDITY, at(second)), question).await;
        (verdict, self.1.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_verdict_counts_as_long_as_its_kind_does() {
    let vendor = Vendor::new();
    assert_eq!(vendor.find(1, 0, Verdict::Valid).await, (Verdict::Valid, 1));
    assert_eq!(vendor.find(1, 99, Verdict::Invalid).await, (Verdict::Valid, 1));
    assert_eq!(vendor.find(1, 100, Verdict::Invalid).await, (Verdict::Invalid, 2));
    assert_eq!(vendor.find(1, 109, Verdict::Valid).await, (Verdict::Invalid, 2));
    assert_eq!(vendor.find(1, 110, Verdict::Valid).await, (Verdict::Valid, 3));
}

#[tokio::test]
async fn what_the_vendor_does_not_say_is_asked_anew() {
    let vendor = Vendor::new();
    assert_eq!(vendor.find(1, 0, Verdict::Unknown).await, (Verdict::Unknown, 1));
    assert_eq!(vendor.find(1, 0, Verdict::Valid).await, (Verdict::Valid, 2));
    assert_eq!(vendor.0.all(Some(VALIDITY), at(0)).len(), 1);
}

#[tokio::test]
async fn a_shorter_time_counts_at_once_and_none_remembers_nothing() {
    let vendor = Vendor::new();
    vendor.find(1, 0, Verdict::Valid).await;
    let short = Validity { valid: Duration::from_secs(5), invalid: Duration::ZERO };
    assert_eq!(vendor.0.all(Some(short), at(5)), []);
    assert_eq!(vendor.0.all(None, at(0)), []);
    let never = Validity { valid: Duration::ZERO, invalid: Duration::ZERO };
    let question = || async { Verdict::Valid }.boxed();
    vendor.0.find(hash(2), (CredentialType::Oauth, "openai"), (never, at(0)), question).await;
    let left = vendor.0.all(Some(VALIDITY), at(0));
    assert_eq!(left.iter().map(|one| one.hash).collect::<Vec<_>>(), [hash(1)]);
}

#[tokio::test]
async fn many_who_wait_ask_once() {
    let (verdicts, asked) = (Verdicts::default(), AtomicUsize::new(0));
    let (answer, answered) = oneshot::channel();
    let answered = answered.shared();
    let wait = |_| {
        let answered = answered.clone();
        let question = || {
            asked.fetch_add(1, Ordering::SeqCst);
            async move { answered.await.unwrap_or(Verdict::Unknown) }.boxed()
        };
        verdicts.find(hash(1), (CredentialType::Oauth, "anthropic"), (VALIDITY, at(0)), question)
    };
    let all = join_all((0..50).map(wait));
    let (verdict, _) = tokio::join!(all, async { answer.send(Verdict::Invalid) });
    assert_eq!(verdict, [Verdict::Invalid; 50]);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(verdicts.lock().asked.is_empty());
}

#[tokio::test]
async fn who_stops_waiting_leaves_nothing_to_others() {
    let verdicts = Verdicts::default();
    let never = || std::future::pending().boxed();
    let mut gone = Box::pin(verdicts.find(hash(1), (CredentialType::ApiKey, "a"), (VALIDITY, at(0)), never));
    assert!(gone.as_mut().now_or_never().is_none());
    drop(gone);
    let says = || async { Verdict::Valid }.boxed();
    let verdict = verdicts.find(hash(1), (CredentialType::ApiKey, "a"), (VALIDITY, at(0)), says).await;
    assert_eq!(verdict, Verdict::Valid);
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_asked_for_is_not_remembered() {
    let verdicts = Verdicts::default();
    let clearing = verdicts.clone();
    let question = move || {
        async move {
            clearing.clear();
            Verdict::Valid
        }
        .boxed()
    };
    let verdict = verdicts.find(hash(1), (CredentialType::ApiKey, "a"), (VALIDITY, at(0)), question).await;
    assert_eq!((verdict, verdicts.all(Some(VALIDITY), at(0))), (Verdict::Valid, vec![]));
}

#[tokio::test]
async fn one_or_all_are_forgotten() {
    let vendor = Vendor::new();
    for number in 0..3 {
        vendor.find(number, 0, Verdict::Valid).await;
    }
    assert!(vendor.0.forget(hash(1)) && !vendor.0.forget(hash(1)));
    assert_eq!(vendor.find(1, 0, Verdict::Invalid).await, (Verdict::Invalid, 4));
    assert_eq!((vendor.0.clear(), vendor.0.clear()), (3, 0));
}

#[tokio::test]
async fn memory_and_questions_are_bounded() {
    let vendor = Vendor::new();
    for number in 0..=MOST.get() {
        vendor.find(number, 0, Verdict::Valid).await;
    }
    assert_eq!(vendor.0.all(Some(VALIDITY), at(0)).len(), MOST.get());
    assert_eq!(vendor.find(0, 0, Verdict::Invalid).await, (Verdict::Invalid, MOST.get() + 2), "the oldest went first");

    let mut waiting = Vec::new();
    for number in 0..MOST_QUESTIONS {
        let never = || std::future::pending().boxed();
        let whose = (CredentialType::ApiKey, "a");
        let mut one = Box::pin(vendor.0.find(hash(100_000 + number), whose, (VALIDITY, at(0)), never));
        assert!(one.as_mut().now_or_never().is_none());
        waiting.push(one);
    }
    assert_eq!(vendor.find(200_000, 0, Verdict::Invalid).await.0, Verdict::Unknown, "nobody is asked");
    drop(waiting);
    assert_eq!(vendor.find(200_000, 0, Verdict::Invalid).await.0, Verdict::Invalid);
}
