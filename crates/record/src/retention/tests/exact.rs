//! Whatever is deleted, every byte of what stays can be given back, and once all is deleted nothing is left.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A turn of a session: it goes on, from the history of another one if it says so.
    Turn { session: u8, user: u8, system: u8, message: u8, from: Option<u8>, marked: bool },
    /// What began before one of the transactions is removed.
    Age(Index),
    /// A session is deleted.
    Session(u8),
    /// A user's transactions are.
    User(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let turn = (0..4_u8, 0..3_u8, 0..2_u8, 0..6_u8, proptest::option::weighted(0.2, 0..4_u8), any::<bool>());
    prop_oneof![
        12 => turn.prop_map(|(session, user, system, message, from, marked)| {
            Step::Turn { session, user, system, message, from, marked }
        }),
        1 => any::<Index>().prop_map(Step::Age),
        1 => (0..4_u8).prop_map(Step::Session),
        1 => (0..3_u8).prop_map(Step::User),
    ]
}

/// What must be there.
struct Expected {
    request: Bytes,
    response: Bytes,
    session: u8,
    user: u8,
}

struct World {
    recorder: Recorder,
    histories: [Vec<Value>; 4],
    expected: BTreeMap<u32, Expected>,
    next: u32,
}

fn name(kind: &str, number: u8) -> String {
    format!("{kind}{number}")
}

/// A message: short ones lie in their node, long ones are contents, marked ones are contents and marks.
fn message(number: u8, marked: bool) -> Value {
    let text = format!("message {number} ").repeat(if number.is_multiple_of(2) { 2 } else { 80 });
    let mut block = json!({"type": "text", "text": text});
    if marked {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
    json!({"role": "user", "content": [block]})
}

impl World {
    async fn take(&mut self, step: &Step) {
        let store = self.recorder.store().clone();
        let now = second(1_000_000);
        match step {
            Step::Turn { session, user, system, message: said, from, marked } => {
                if let Some(from) = from {
                    self.histories[usize::from(*session)] = self.histories[usize::from(*from)].clone();
                }
                let history = &mut self.histories[usize::from(*session)];
                let mut all = history.clone();
                all.push(message(*said, *marked));
                history.push(message(*said, false));
                let system = format!("system {system} ").repeat(100);
                let request = json!({"model": "m", "system": system, "messages": all}).to_string();
                let response = answer(&format!("answer {said} ").repeat(60));
                self.next += 1;
                let start = Start {
                    user_id: Some(name("u", *user)),
                    ..start(self.next, Some(&name("s", *session)), request.clone())
                };
                answered(&self.recorder, start, &response).finish(end(self.next));
                self.recorder.settled().await;
                let expected =
                    Expected { request: request.into(), response: response.into(), session: *session, user: *user };
                self.expected.insert(self.next, expected);
            }
            Step::Age(index) => {
                if self.next == 0 {
                    return;
                }
                let first = u32::try_from(index.index(usize::try_from(self.next).unwrap())).unwrap() + 1;
                let age = Duration::from_secs(1_000_000 - u64::from(first));
                let keeper = Retention {
                    store,
                    rule: Rule { max_age: Some(age), max_bytes: None },
                    archive: None,
                    now: || second(1_000_000),
                };
                let gone = self.expected.len();
                self.expected.retain(|number, _| *number >= first);
                let report = keeper.run(run(1)).await.unwrap();
                assert_eq!(report.transactions, (gone - self.expected.len()) as u64);
            }
            Step::Session(session) => {
                let erased = store.erase(Erasure::Session(&name("s", *session)), now, Duration::from_mins(1)).await;
                self.erased(erased.unwrap(), |expected| expected.session == *session);
            }
            Step::User(user) => {
                let erased = store.erase(Erasure::User(&name("u", *user)), now, Duration::from_mins(1)).await;
                self.erased(erased.unwrap(), |expected| expected.user == *user);
            }
        }
    }

    fn erased(&mut self, erased: Option<Erased>, theirs: impl Fn(&Expected) -> bool) {
        let before = self.expected.len();
        self.expected.retain(|_, expected| !theirs(expected));
        assert_eq!(erased.map_or(0, |erased| erased.transactions), (before - self.expected.len()) as u64);
    }

    /// Everything that must be there is, byte for byte, and nothing else.
    async fn check(&self) {
        let store = self.recorder.store();
        let sessions: std::collections::BTreeSet<u8> =
            self.expected.values().map(|expected| expected.session).collect();
        let counts = rows(store, &["transactions", "sessions", "garbage"]).await;
        assert_eq!(counts, [self.expected.len(), sessions.len(), 0].map(|count| i64::try_from(count).unwrap()));
        for (number, expected) in &self.expected {
            let found = stored(&self.recorder, *number).await.unwrap();
            assert_eq!((&found.request, &found.upstream_response), (&expected.request, &expected.response));
        }
    }
}

#[rstest]
#[case(Db::Sqlite, 16)]
#[case(Db::Postgres, 3)]
fn what_stays_is_whole_and_what_goes_leaves_nothing(#[case] db: Db, #[case] cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let steps = proptest::collection::vec(step(), 1..40);
    let result = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let (_home, recorder) = recorder_on(db).await;
            let mut world = World { recorder, histories: Default::default(), expected: BTreeMap::new(), next: 0 };
            for step in &steps {
                world.take(step).await;
                if !matches!(step, Step::Turn { .. }) {
                    world.check().await;
                }
            }
            world.check().await;
            for session in 0..4 {
                world.take(&Step::Session(session)).await;
            }
            let left = rows(world.recorder.store(), tables(db)).await;
            assert!(left.iter().all(|count| *count == 0), "{left:?} of {:?}", tables(db));
            world.recorder.shutdown(Duration::from_secs(10)).await;
        });
        Ok(())
    });
    result.unwrap();
}
