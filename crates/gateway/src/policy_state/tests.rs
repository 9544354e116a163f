//! Which policy the gateway begins with, and what keeps it from beginning.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use luthien_policy::catalogue::Servers;
use luthien_policy::remote::{Message, Place, PolicyServer, PolicyServers, Reply, ServerError, Unusable};
use luthien_record::store::StoredAssignment;
use luthien_record::{Recorder, RecorderConfig};
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::errors::GatewayError;
use crate::panic_switch::{PanicMode, PanicOrder};
use crate::scopes::{Asker, How, Scope};
use crate::settings::{PolicyFailMode, PolicySource};

/// A record in a folder.
async fn record() -> (Recorder, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap(), folder)
}

fn options(source: PolicySource, inline: Option<Value>) -> PolicyOptions {
    let inline = inline.map(|value| (value, "luthien.yaml".to_owned()));
    PolicyOptions {
        source,
        file: None,
        inline,
        dogfood: false,
        tell_model: false,
        fail_mode: PolicyFailMode::Closed,
        choices: Vec::new(),
        env: LoadEnv::default(),
    }
}

async fn start(options: PolicyOptions, recorder: &Recorder) -> Result<PolicyState, StartError> {
    PolicyState::start(options, recorder.store().clone(), Clock::system()).await
}

/// The class that is active when the database and the file hold these.
async fn chosen(source: PolicySource, stored: bool, file: bool) -> (String, String) {
    let (recorder, _folder) = record().await;
    if stored {
        let state = start(options(PolicySource::Db, None), &recorder).await.unwrap();
        state.set(PolicySpec::new("all_caps", json!({})), "a person").await.unwrap();
    }
    let inline = file.then(|| json!({"class": "serial", "config": {"policies": [{"class": "no_op"}]}}));
    let state = start(options(source, inline), &recorder).await.unwrap();
    let live = state.live().load();
    (live.standing.active.class_ref.clone(), live.standing.active.enabled_by.clone())
}

#[rstest]
#[case(PolicySource::Db, true, true, "all_caps", "a person")]
#[case(PolicySource::Db, false, true, "no_op", "default")]
#[case(PolicySource::File, true, true, "serial", "file")]
#[case(PolicySource::File, true, false, "no_op", "default")]
#[case(PolicySource::DbFallbackFile, true, true, "all_caps", "a person")]
#[case(PolicySource::DbFallbackFile, false, true, "serial", "file")]
#[case(PolicySource::DbFallbackFile, false, false, "no_op", "default")]
#[case(PolicySource::FileFallbackDb, true, true, "serial", "file")]
#[case(PolicySource::FileFallbackDb, true, false, "all_caps", "a person")]
#[case(PolicySource::FileFallbackDb, false, false, "no_op", "default")]
#[tokio::test]
async fn the_source_decides(
    #[case] source: PolicySource,
    #[case] stored: bool,
    #[case] file: bool,
    #[case] class: &str,
    #[case] by: &str,
) {
    assert_eq!(chosen(source, stored, file).await, (class.to_owned(), by.to_owned()));
}

#[rstest]
#[case("policy:\n  class: all_caps\n")]
#[case("class: all_caps\nconfig: {}\n")]
#[case("{\"type\": \"luthien_proxy.policies.all_caps_policy:AllCapsPolicy\", \"config\": {}}")]
#[tokio::test]
async fn a_policy_file_has_one_of_three_forms(#[case] text: &str) {
    let (recorder, folder) = record().await;
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, text).unwrap();
    let options = PolicyOptions { file: Some(file), ..options(PolicySource::File, Some(json!({"class": "no_op"}))) };
    let state = start(options, &recorder).await.unwrap();
    assert!(state.live().load().usual().label().contains("all_caps"));
}

#[tokio::test]
async fn a_policy_that_is_off_in_the_file_is_off() {
    let (recorder, folder) = record().await;
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, "policy: { class: all_caps, mode: off }").unwrap();
    let state =
        start(PolicyOptions { file: Some(file), ..options(PolicySource::File, None) }, &recorder).await.unwrap();
    let live = state.live().load();
    assert!(live.usual().plan.is_idle());
    assert_eq!(live.standing.active.class_ref, "all_caps");
}

#[rstest]
#[case("policy: { class: all_cap }", "does not load: class: unknown policy")]
#[case("policy: { class: all_caps, config: { loud: 1 } }", "loud")]
#[case("policy: { class: serial, config: { policies: [{ class: nope }] } }", "policies[0].class")]
#[case("policy: { klass: all_caps }", "policy.klass")]
#[case("policy: { class: 5 }", "policy.class")]
#[case("policy: { class: no_op }\nserver: {}", "`server` stands beside `policy`")]
#[case("policy: {", "cannot read the policy file")]
#[case("", "policy: invalid type: null")]
#[tokio::test]
async fn a_policy_that_does_not_load_is_rejected_with_its_reason(#[case] text: &str, #[case] expected: &str) {
    let (recorder, folder) = record().await;
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, text).unwrap();
    let options = PolicyOptions { file: Some(file), ..options(PolicySource::DbFallbackFile, None) };
    let state = start(options, &recorder).await.unwrap();
    let live = state.live().load();
    let reason = live.standing.rejected().expect("a reason").to_string();
    assert!(reason.contains(expected), "{reason}");
    assert!(reason.contains("policy.yaml"), "{reason}");
    assert!(live.usual().plan.is_idle());
    assert!(live.usual().label().contains("; rejected="), "{}", live.usual().label());
    state.set(PolicySpec::new("all_caps", json!({})), "a person").await.unwrap();
    let live = state.live().load();
    assert_eq!((live.standing.rejected(), live.usual().label()), (None, "all_caps; version=1"));
}

#[tokio::test]
async fn a_policy_file_that_is_not_there_is_rejected() {
    let (recorder, _folder) = record().await;
    let file = Some(Path::new("/nonexistent/policy.yaml").to_owned());
    let state = start(PolicyOptions { file, ..options(PolicySource::File, None) }, &recorder).await.unwrap();
    let live = state.live().load();
    let reason = live.standing.rejected().expect("a reason").to_string();
    assert!(reason.starts_with("cannot read the policy file /nonexistent/policy.yaml"), "{reason}");
}

#[tokio::test]
async fn the_gateways_own_protection_stands_first_in_every_chain() {
    let (recorder, _folder) = record().await;
    let options = PolicyOptions { dogfood: true, ..options(PolicySource::Db, None) };
    let state = start(options, &recorder).await.unwrap();
    assert!(state.live().load().usual().label().starts_with("dogfood_safety"));
    state.set(PolicySpec::new("all_caps", json!({})), "a").await.unwrap();
    let live = state.live().load();
    assert!(live.usual().label().starts_with("dogfood_safety+all_caps"), "{}", live.usual().label());
    assert_eq!(live.standing.active.class_ref, "all_caps");
}

#[tokio::test]
async fn versions_count_on_over_restarts() {
    let (recorder, _folder) = record().await;
    let state = start(options(PolicySource::Db, None), &recorder).await.unwrap();
    assert_eq!(state.live().load().standing.version, 0);
    state.set(PolicySpec::new("all_caps", json!({})), "a").await.unwrap();
    state.set(PolicySpec::new("no_op", json!({})), "b").await.unwrap();
    assert_eq!(state.live().load().standing.version, 2);
    let again = start(options(PolicySource::Db, None), &recorder).await.unwrap();
    assert_eq!(again.live().load().standing.version, 2);
    again.set(PolicySpec::new("all_caps", json!({})), "c").await.unwrap();
    assert_eq!(again.live().load().standing.version, 3);
}

thread_local! {
    /// What the clock of these tests says, in seconds since 1970.
    static NOW: Cell<i64> = const { Cell::new(0) };
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn by_hand() -> Clock {
    Clock::new(|| at(NOW.get()), uuid::Uuid::nil)
}

const ASKER: Asker<'_> = Asker { key: Some([7; 16]), session: None, wish: None };

fn label(state: &PolicyState) -> String {
    state.live().load().choose(&ASKER, state.now()).unwrap().label().to_owned()
}

fn temporary(end: i64) -> NewAssignment {
    NewAssignment {
        scope: Scope::Key([7; 16]),
        spec: PolicySpec::new("all_caps", json!({})),
        how: How::Replace,
        expires_at: Some(at(end)),
        by: "a person".to_owned(),
    }
}

#[tokio::test]
async fn a_temporary_policy_ends_to_the_moment_and_goes_by_itself() {
    let (recorder, _folder) = record().await;
    NOW.set(1);
    let state = PolicyState::start(options(PolicySource::Db, None), recorder.store().clone(), by_hand()).await.unwrap();
    let state = Arc::new(state);
    state.assign(temporary(60)).await.unwrap();
    NOW.set(59);
    assert_eq!(label(&state), "all_caps; version=0; scope=key; assignment=1");
    NOW.set(60);
    assert_eq!(label(&state), "no_op; version=0");
    assert_eq!(state.live().load().assignments.all().count(), 1);
    let stop = CancellationToken::new();
    let gone = async {
        while !recorder.store().assignments().await.unwrap().is_empty() {}
        stop.cancel();
    };
    tokio::join!(Arc::clone(&state).tend(stop.clone()), gone);
    assert_eq!(state.live().load().assignments.all().count(), 0);
}

#[tokio::test]
async fn assignments_survive_a_restart_but_for_those_that_are_over() {
    let (recorder, _folder) = record().await;
    NOW.set(1);
    let begin = async || {
        PolicyState::start(options(PolicySource::Db, None), recorder.store().clone(), by_hand()).await.unwrap()
    };
    let state = begin().await;
    state.assign(temporary(60)).await.unwrap();
    state.assign(temporary(30)).await.unwrap();
    assert_eq!(label(&state), "all_caps; version=0; scope=key; assignment=2");
    NOW.set(40);
    let again = begin().await;
    assert_eq!(label(&again), "all_caps; version=0; scope=key; assignment=1");
    assert_eq!(recorder.store().assignments().await.unwrap().len(), 1);
}

#[rstest]
#[case(PolicyFailMode::Closed, None)]
#[case(PolicyFailMode::Open, Some("no_op; version=0; scope=key; assignment=1; rejected=gone"))]
#[tokio::test]
async fn an_assignment_that_no_longer_loads_concerns_its_own_traffic(
    #[case] fail_mode: PolicyFailMode,
    #[case] expected: Option<&str>,
) {
    let (recorder, _folder) = record().await;
    let stored = StoredAssignment {
        id: 0,
        scope: "key".to_owned(),
        credential: Some([7; 16]),
        name: None,
        class_ref: "gone".to_owned(),
        config: json!({}),
        mode: "enforce".to_owned(),
        how: "replace".to_owned(),
        set_at: at(1),
        set_by: "an older version".to_owned(),
        expires_at: None,
        ended: None,
    };
    recorder.store().assign(&stored).await.unwrap();
    let state = start(PolicyOptions { fail_mode, ..options(PolicySource::Db, None) }, &recorder).await.unwrap();
    let live = state.live().load();
    let other = Asker { key: Some([8; 16]), ..ASKER };
    assert_eq!(live.choose(&other, state.now()).unwrap().label(), "no_op; version=0");
    let chosen = live.choose(&ASKER, state.now());
    assert_eq!(chosen.as_ref().ok().map(|chosen| chosen.label()), expected);
    assert_eq!(chosen.err(), expected.is_none().then(|| GatewayError::PolicyRejected("gone".to_owned())));
    assert!(live.assignments.all().all(|assigned| assigned.loaded.is_err()));
}

#[tokio::test]
async fn the_panic_switch_outranks_every_change_and_is_kept_as_it_was_last() {
    let (recorder, _folder) = record().await;
    let state = start(options(PolicySource::Db, None), &recorder).await.unwrap();
    let order = |mode| PanicOrder { mode, by: "a person".to_owned(), ..PanicOrder::default() };
    state.halt(order(PanicMode::Traffic)).await.unwrap();
    state.set(PolicySpec::new("no_op", json!({})), "another").await.unwrap();
    let refused = state.live().load().choose(&ASKER, state.now()).unwrap_err();
    assert!(matches!(refused, GatewayError::Halted(_)));
    state.halt(order(PanicMode::ToolCalls)).await.unwrap();
    assert_eq!(label(&state), "operator_stop+no_op; version=1");
    assert!(state.panic_is_kept());
    assert_eq!(recorder.store().panic().await.unwrap().unwrap().mode, "tool_calls");
    let again = start(options(PolicySource::Db, None), &recorder).await.unwrap();
    assert_eq!(label(&again), "operator_stop+no_op; version=1");
    assert!(again.panic_is_kept());
}

/// A policy server that is away until it is there, and counts how often it was asked.
#[derive(Clone, Debug, Default)]
struct Server(Arc<(AtomicBool, AtomicUsize)>);

impl PolicyServers for Server {
    fn at(&self, _: &Place) -> Result<Arc<dyn PolicyServer>, Unusable> {
        Ok(Arc::new(self.clone()))
    }
}

impl PolicyServer for Server {
    fn send(&self, _: Message) -> BoxFuture<'_, Result<Reply, ServerError>> {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        let body = Bytes::from_static(br#"{"protocol": 1, "name": "theirs", "watches": {"tool_calls": true}}"#);
        let there = self.0.0.load(Ordering::SeqCst);
        Box::pin(async move {
            if there { Ok(Reply { status: 200, body }) } else { Err(ServerError::Unreachable("refused".to_owned())) }
        })
    }
}

#[tokio::test]
async fn a_policy_whose_server_was_away_loads_once_it_is_back() {
    let (recorder, _folder) = record().await;
    let server = Server::default();
    let webhook = json!({"class": "webhook", "config": {"url": "http://127.0.0.1:1"}});
    let mut options = options(PolicySource::File, Some(webhook));
    options.env.servers = Servers::new(Arc::new(server.clone()));
    let state = Arc::new(start(options, &recorder).await.unwrap());
    let reason = state.live().load().standing.rejected().expect("a reason").to_string();
    assert!(reason.contains("refused"), "{reason}");
    let (stop, asked) = (CancellationToken::new(), server.0.1.load(Ordering::SeqCst));
    let back = async {
        while server.0.1.load(Ordering::SeqCst) == asked {
            tokio::task::yield_now().await;
        }
        server.0.0.store(true, Ordering::SeqCst);
        state.changed.notify_one();
        while state.live().load().standing.rejected().is_some() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(Arc::clone(&state).tend(stop.clone()), back);
    assert!(state.live().load().usual().plan.watches().tool_calls);
}
