//! The gateway is killed again and again, at any moment and under traffic. What its clients had seen for a second is on the
//! record when it starts again, whole or as far as it came, and nothing is there twice.
//!
//! `cargo xtask soak` does the same for longer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use luthien_testkit::{Upstream, servers};
use luthien_tests::gateway::{Gateway, Setup};
use tempfile::TempDir;

use crate::dice::Dice;
use crate::load::{Kind, Load, Seen, TICK};
use crate::record::{Found, Record};
use crate::said;

/// What may be lost: what happened so late before the kill.
const WINDOW: Duration = Duration::from_secs(1);

const WORKERS: [Kind; 5] = [Kind::Quick, Kind::Stream, Kind::Stream, Kind::Endless, Kind::Endless];

#[tokio::test]
async fn a_kill_loses_a_second_at_most_on_sqlite() {
    kills(&[]).await;
}

#[tokio::test]
async fn a_kill_loses_a_second_at_most_on_postgres() {
    let database = servers::database().expect("a database");
    kills(&[("DATABASE_URL", database.url())]).await;
}

/// A number from the environment.
fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

async fn kills(environment: &[(&str, &str)]) {
    let seed = told("LUTHIEN_SOAK_SEED").unwrap_or(1);
    let kills = told("LUTHIEN_SOAK_KILLS").unwrap_or(20);
    let load = Load::default();
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(load.script());
    let setup = Setup { upstream: upstream.base_url(), policy: None };
    let mut dice = Dice::new(seed);
    let mut record = Record::default();
    let (mut whole, mut begun) = (0, 0);
    let mut gateway = Gateway::start_with(&setup, environment).await;
    for kill in 1..=kills {
        let (seen, killed, stood, mut folder) = life(gateway, &load, dice.throw(55, 95)).await;
        // Nobody asks what the upstream was asked, and it would fill the memory of a long run.
        upstream.clear();
        if dice.throw(0, 2) == 0 {
            // Once more, perhaps while it stores what the journal has.
            let after = Duration::from_millis(dice.throw(0, 200));
            folder = Gateway::killed_after(&setup, environment, folder, after).await;
        }
        gateway = Gateway::start_in(&setup, environment, folder).await;
        let found = record.read(&gateway).await;
        // The process was there a moment longer.
        let then = killed.checked_sub(WINDOW + stood).expect("a clock that has run for a second");
        for one in seen.values() {
            whole += usize::from(one.ended.is_some_and(|at| at <= then));
            begun += usize::from(one.ended.is_none() && one.by(then).is_some_and(|text| !text.is_empty()));
            check(one, found.get(&one.number), then, &format!("seed {seed}, kill {kill}, request {}", one.number));
        }
        assert!(found.keys().all(|number| seen.contains_key(number)), "seed {seed}, kill {kill}: of another life");
    }
    assert!(whole > 0 && begun > 0, "no kill came late enough to ask for anything: {whole} whole, {begun} begun");
    gateway.stop().await;
    upstream.stop().await;
}

/// Lets traffic go through a gateway for so many ticks, then kills it. Gives what the clients saw, when the kill came, how
/// long the machine itself had stood still, and the folder.
async fn life(gateway: Gateway, load: &Load, ticks: u64) -> (BTreeMap<u64, Seen>, Instant, Duration, TempDir) {
    let stalls = Stalls::watch();
    let workers = load.start(gateway.url(), &WORKERS);
    tokio::time::sleep(TICK * u32::try_from(ticks).expect("a small number")).await;
    let stood = stalls.longest();
    workers.over();
    let killed = Instant::now();
    let folder = gateway.kill().await;
    (workers.seen().await, killed, stood, folder)
}

/// Compares what a client saw with what the record has.
fn check(seen: &Seen, found: Option<&Found>, then: Instant, of: &str) {
    let expected = said::answer(seen.number, seen.kind.pieces());
    let whole = seen.ended.is_some_and(|at| at <= then);
    let came = seen.by(then);
    let Some(found) = found else {
        assert!(!whole, "{of}: a whole answer that was older than the window is not on the record");
        assert!(came.is_none(), "{of}: a stream that was older than the window is not on the record");
        return;
    };
    assert!(seen.id.as_ref().is_none_or(|id| *id == found.id), "{of}: recorded as {}, not {:?}", found.id, seen.id);
    assert!(found.request.starts_with(&format!("request {}:", seen.number)), "{of}: {}", found.request);
    if found.status == "completed" {
        assert_eq!(found.text, expected, "{of}: recorded as complete");
        return;
    }
    assert_eq!(found.status, "interrupted", "{of}");
    assert!(!whole, "{of}: a whole answer that was older than the window is recorded as interrupted");
    let came = came.unwrap_or_default();
    assert!(found.text.starts_with(came), "{of}: the client had `{came}`, the record has `{}`", found.text);
    assert!(expected.starts_with(&found.text), "{of}: the record has what was never said: {}", found.text);
}

/// Watches for how long the machine leaves a thread unattended: a gateway cannot keep its promise of a second better.
struct Stalls {
    longest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Stalls {
    fn watch() -> Self {
        let watch = Self { longest: Arc::default(), stop: Arc::default() };
        let (longest, stop) = (Arc::clone(&watch.longest), Arc::clone(&watch.stop));
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let slept = Instant::now();
                std::thread::sleep(TICK);
                let late = slept.elapsed().saturating_sub(TICK);
                longest.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
            }
        });
        watch
    }

    fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::SeqCst))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
