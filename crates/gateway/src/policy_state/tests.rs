//! Which policy the gateway begins with, and what keeps it from beginning.

use std::path::Path;

use luthien_record::{Recorder, RecorderConfig};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::settings::PolicySource;

/// A record in a folder.
async fn record() -> (Recorder, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap(), folder)
}

fn options(source: PolicySource, inline: Option<Value>) -> PolicyOptions {
    let inline = inline.map(|value| (value, "luthien.yaml".to_owned()));
    PolicyOptions { source, file: None, inline, dogfood: false, env: LoadEnv::default() }
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
    (live.active.class_ref.clone(), live.active.enabled_by.clone())
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
    assert!(state.live().load().label().contains("all_caps"));
}

#[tokio::test]
async fn a_policy_that_is_off_in_the_file_is_off() {
    let (recorder, folder) = record().await;
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, "policy: { class: all_caps, mode: off }").unwrap();
    let state =
        start(PolicyOptions { file: Some(file), ..options(PolicySource::File, None) }, &recorder).await.unwrap();
    let live = state.live().load();
    assert!(live.plan.is_idle());
    assert_eq!(live.active.class_ref, "all_caps");
}

#[rstest]
#[case("policy: { class: all_cap }", "does not load, so the gateway does not start: class: unknown policy")]
#[case("policy: { class: all_caps, config: { loud: 1 } }", "loud")]
#[case("policy: { class: serial, config: { policies: [{ class: nope }] } }", "policies[0].class")]
#[case("policy: { klass: all_caps }", "policy.klass")]
#[case("policy: { class: 5 }", "policy.class")]
#[case("policy: { class: no_op }\nserver: {}", "`server` stands beside `policy`")]
#[case("policy: {", "cannot read the policy file")]
#[case("", "policy: invalid type: null")]
#[tokio::test]
async fn a_policy_that_does_not_load_keeps_the_gateway_from_starting(#[case] text: &str, #[case] expected: &str) {
    let (recorder, folder) = record().await;
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, text).unwrap();
    let options = PolicyOptions { file: Some(file), ..options(PolicySource::DbFallbackFile, None) };
    let error = start(options, &recorder).await.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("policy.yaml"), "{error}");
}

#[tokio::test]
async fn a_policy_file_that_is_not_there_is_an_error() {
    let (recorder, _folder) = record().await;
    let file = Some(Path::new("/nonexistent/policy.yaml").to_owned());
    let error = start(PolicyOptions { file, ..options(PolicySource::File, None) }, &recorder).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read the policy file /nonexistent/policy.yaml"));
}

#[tokio::test]
async fn the_gateways_own_protection_stands_first_in_every_chain() {
    let (recorder, _folder) = record().await;
    let options = PolicyOptions { dogfood: true, ..options(PolicySource::Db, None) };
    let state = start(options, &recorder).await.unwrap();
    assert!(state.live().load().label().starts_with("dogfood_safety"));
    state.set(PolicySpec::new("all_caps", json!({})), "a").await.unwrap();
    let live = state.live().load();
    assert!(live.label().starts_with("dogfood_safety+all_caps"), "{}", live.label());
    assert_eq!(live.active.class_ref, "all_caps");
}

#[tokio::test]
async fn versions_count_on_over_restarts() {
    let (recorder, _folder) = record().await;
    let state = start(options(PolicySource::Db, None), &recorder).await.unwrap();
    assert_eq!(state.live().load().version, 0);
    state.set(PolicySpec::new("all_caps", json!({})), "a").await.unwrap();
    state.set(PolicySpec::new("no_op", json!({})), "b").await.unwrap();
    assert_eq!(state.live().load().version, 2);
    let again = start(options(PolicySource::Db, None), &recorder).await.unwrap();
    assert_eq!(again.live().load().version, 2);
    again.set(PolicySpec::new("all_caps", json!({})), "c").await.unwrap();
    assert_eq!(again.live().load().version, 3);
}
