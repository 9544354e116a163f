//! Two processes on one record: what the one sets comes into force at the other.

use std::time::Duration;

use luthien_policy::catalogue::PolicySpec;
use luthien_record::store::StoredPolicy;
use luthien_record::{Recorder, RecorderConfig};
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::Clock;
use crate::panic_switch::{PanicMode, PanicOrder};
use crate::policy_state::{NewAssignment, PolicyOptions};
use crate::scopes::{How, Scope};
use crate::settings::{Settings, Sources};

struct Two {
    a: PolicyState,
    b: Arc<PolicyState>,
    recorder: Recorder,
    _folder: tempfile::TempDir,
}

async fn two() -> Two {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
    let sources = Sources { folder: folder.path().to_owned(), ..Sources::default() };
    let options = PolicyOptions::new(&Settings::load(&sources).unwrap(), &sources);
    let options = PolicyOptions { choices: vec!["all_caps".to_owned()], ..options };
    let start = || PolicyState::start(options.clone(), recorder.store().clone(), Clock::system());
    let (a, b) = (start().await.unwrap(), Arc::new(start().await.unwrap()));
    Two { a, b, recorder, _folder: folder }
}

fn label(state: &PolicyState) -> String {
    state.live().load().usual().label().to_owned()
}

fn all_caps() -> PolicySpec {
    PolicySpec::new("all_caps", json!({}))
}

fn everywhere(class: &str) -> NewAssignment {
    NewAssignment {
        scope: Scope::Global,
        spec: PolicySpec::new(class, json!({})),
        how: How::Add,
        expires_at: None,
        by: "a person".to_owned(),
    }
}

fn ids(state: &PolicyState) -> Vec<u64> {
    let mut ids: Vec<u64> = state.live().load().assignments.all().map(|one| one.id).collect();
    ids.sort_unstable();
    ids
}

async fn turned(state: &PolicyState, mode: PanicMode) {
    state.halt(PanicOrder { mode, by: "a person".to_owned(), ..PanicOrder::default() }).await.unwrap();
}

fn mode(state: &PolicyState) -> PanicMode {
    state.live().load().panic.order.mode
}

#[tokio::test]
async fn the_policy_that_was_set_last_comes_into_force() {
    let two = two().await;
    let (a, b) = (&two.a, &two.b);
    a.set(all_caps(), "a person").await.unwrap();
    assert_eq!(label(b), "no_op; version=0");
    b.take(Topic::Policies).await.unwrap();
    assert_eq!(label(b), "all_caps; version=1");
    assert_eq!(b.live().load().standing.active.enabled_by, "a person");
    // Its own is the last one now, and stays.
    b.set(PolicySpec::new("no_op", json!({})), "another").await.unwrap();
    b.take(Topic::Policies).await.unwrap();
    assert_eq!(label(b), "no_op; version=2");
    a.take(Topic::Policies).await.unwrap();
    a.rollback(1, "a person").await.unwrap();
    b.take(Topic::Policies).await.unwrap();
    assert_eq!(label(b), "all_caps; version=3");
}

#[tokio::test]
async fn a_policy_that_does_not_load_here_is_rejected_here() {
    let two = two().await;
    let (a, b, recorder) = (&two.a, &two.b, &two.recorder);
    let unknown = StoredPolicy {
        class_ref: "of_a_later_version".to_owned(),
        config: json!({}),
        mode: None,
        enabled_at: a.now(),
        enabled_by: "a person".to_owned(),
    };
    recorder.store().set_policy(&unknown).await.unwrap();
    b.take(Topic::Policies).await.unwrap();
    let live = b.live().load();
    assert!(live.standing.rejected().unwrap().reason.contains("of_a_later_version"));
    assert_eq!((live.usual().missing.len(), live.standing.version), (1, 1));
}

#[tokio::test]
async fn assignments_come_and_go() {
    let two = two().await;
    let (a, b) = (&two.a, &two.b);
    let first = a.assign(everywhere("all_caps")).await.unwrap().id;
    let own = b.assign(everywhere("debug_logging")).await.unwrap().id;
    b.take(Topic::Assignments).await.unwrap();
    a.take(Topic::Assignments).await.unwrap();
    // 0 is what requests may choose by the settings.
    assert_eq!((ids(a), ids(b)), (vec![0, first, own], vec![0, first, own]));
    a.end_assignment(first, "a person").await.unwrap();
    a.end_assignment(own, "a person").await.unwrap();
    b.take(Topic::Assignments).await.unwrap();
    assert_eq!(ids(b), [0]);
}

#[tokio::test]
async fn the_panic_switch_is_turned_everywhere_and_the_latest_order_counts() {
    let two = two().await;
    let (a, b) = (&two.a, &two.b);
    turned(a, PanicMode::Traffic).await;
    b.take(Topic::Panic).await.unwrap();
    assert_eq!((mode(b), b.panic_is_kept()), (PanicMode::Traffic, true));
    turned(b, PanicMode::Off).await;
    b.take(Topic::Panic).await.unwrap();
    assert_eq!(mode(b), PanicMode::Off);
    a.take(Topic::Panic).await.unwrap();
    assert_eq!((mode(a), a.panic_is_kept()), (PanicMode::Off, true));
    // An order that the database does not have yet is later than all that it has.
    b.live().halt(&PanicOrder { mode: PanicMode::ToolCalls, ..PanicOrder::default() }, b.now());
    b.take(Topic::Panic).await.unwrap();
    assert_eq!((mode(b), b.panic_is_kept()), (PanicMode::ToolCalls, false));
}

#[tokio::test]
async fn what_is_turned_up_elsewhere_ends_what_is_under_way() {
    let two = two().await;
    let (a, b) = (&two.a, &two.b);
    let before = b.live().load();
    let under_way = crate::panic_switch::Interrupt::new(before.panic.generation.clone(), CancellationToken::new());
    turned(a, PanicMode::Traffic).await;
    b.take(Topic::Panic).await.unwrap();
    assert!(under_way.halted().is_some());
}

#[tokio::test]
async fn changes_are_followed_until_the_end() {
    let two = two().await;
    let (a, b) = (&two.a, &two.b);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(Arc::clone(b).follow(stop.clone()));
    tasks.close();
    let comes = async |expected: &str| {
        let come = async {
            while label(b) != expected {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), come).await.expect("it comes into force");
    };
    a.set(all_caps(), "a person").await.unwrap();
    comes("all_caps; version=1").await;
    turned(a, PanicMode::ToolCalls).await;
    comes("operator_stop+all_caps; version=1").await;
    assert!(b.watched().sees());
    stop.cancel();
    tasks.wait().await;
}
