//! What is set is what is read, exactly: through the API, the database, a restart and a file.

use std::fmt::Write as _;

use luthien_policy::catalogue::{self, LoadEnv, PolicySpec};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A number as JSON may write it, from 0 to 1.
fn number() -> impl Strategy<Value = String> {
    let plain = (0.0..=1.0_f64).prop_map(|number| format!("{number}"));
    let odd = prop::sample::select(vec![
        "0",
        "1",
        "-0",
        "-0.0",
        "0.0",
        "1.0",
        "1.00",
        "1e0",
        "1E-2",
        "10e-2",
        "0.10",
        "0.30000000000000004",
        "5e-324",
        "0.1000000000000000055511151231257827021181583404541015625",
        "2.2250738585072014e-308",
    ]);
    prop_oneof![plain, odd.prop_map(str::to_owned), "0\\.[0-9]{1,25}"]
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A policy's class and configuration, as text.
fn leaf() -> impl Strategy<Value = (String, String)> {
    let judge = (number(), any::<bool>(), "\\PC{1,8}|[\\x00-\\x7f]{1,8}").prop_map(|(number, older, model)| {
        let class =
            if older { "luthien_proxy.policies.tool_call_judge_policy:ToolCallJudgePolicy" } else { "tool_call_judge" };
        let config = format!("{{\"probability_threshold\": {number}, \"model\": {}}}", quoted(&format!("m{model}")));
        (class.to_owned(), config)
    });
    let text = "[\\x00-\\x7f]{1,6}|\\PC{1,6}|[\u{80}-\u{a0}\u{2028}\u{feff}\u{ffff}\u{10ffff}]{1,4}";
    let replace = (text, text, any::<bool>()).prop_map(|(what, with, wrapped)| {
        let config = format!("{{\"replacements\": [[{}, {}]]}}", quoted(&what), quoted(&with));
        ("string_replacement".to_owned(), if wrapped { format!("{{\"config\": {config}}}") } else { config })
    });
    // Some need an environment variable of the operator's.
    let loads = |listing: &catalogue::Listing| {
        catalogue::load(&PolicySpec::new(listing.class_ref, listing.example_config.clone()), &LoadEnv::default())
            .is_ok()
    };
    let listed: Vec<_> = catalogue::list().into_iter().filter(loads).collect();
    let listed = prop::sample::select(listed)
        .prop_map(|listing| (listing.class_ref.to_owned(), listing.example_config.to_string()));
    prop_oneof![judge, replace, listed]
}

/// Policies, chains of policies, and chains of those.
fn policy() -> impl Strategy<Value = (String, String)> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let member = (inner, prop::sample::select(vec!["class", "type"]), 0..4_usize);
        prop::collection::vec(member, 0..3).prop_map(|members| {
            let mut all = String::new();
            for (index, ((class, config), name, mode)) in members.into_iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                let mode = ["", ", \"mode\": \"off\"", ", \"mode\": \"shadow\"", ", \"mode\": \"enforce\""][mode];
                let _ = write!(all, "{comma}{{\"config\": {config}, \"{name}\": {}{mode}}}", quoted(&class));
            }
            ("serial".to_owned(), format!("{{\"policies\": [{all}]}}"))
        })
    })
}

/// A configuration as a value.
fn exact(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn started(folder: &Path, fixture: &Fixture, source: PolicySource, file: Option<PathBuf>) -> Value {
    let sources = Sources { folder: folder.to_owned(), ..Sources::default() };
    let options = PolicyOptions { source, file, ..PolicyOptions::new(&Settings::load(&sources).unwrap(), &sources) };
    let state = PolicyState::start(options, fixture.state.recorder.store().clone(), Clock::system()).await.unwrap();
    let standing = state.live().load().standing.clone();
    assert_eq!(standing.rejected(), None);
    json!({"class": standing.active.class_ref, "config": standing.active.config, "mode": standing.active.mode})
}

#[test]
fn every_policy_comes_back_as_it_was_set() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fixture = runtime.block_on(Fixture::on(folder.path()));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let modes = prop::sample::select(vec!["off", "shadow", "enforce"]);
    let tried = runner.run(&(policy(), modes), |((class, config), mode)| {
        runtime.block_on(async {
            let wanted = json!({"class": class, "config": exact(&config), "mode": mode});
            let body = format!(
                "{{\"policy_class_ref\": {}, \"config\": {config}, \"mode\": \"{mode}\", \"for\": \"1h\", \"scope\": {{\"kind\": \"global\"}}}}",
                quoted(&class)
            );
            let answer = fixture.set(&body).await;
            prop_assert_eq!(&answer.json()["success"], &json!(true), "{}", answer.text);
            let current = fixture.get("/api/admin/policy/current").await.json();
            let got = json!({"class": current["class_ref"], "config": current["config"], "mode": current["mode"]});
            prop_assert_eq!(got.to_string(), wanted.to_string());
            let again = started(folder.path(), &fixture, PolicySource::Db, None).await;
            prop_assert_eq!(again.to_string(), wanted.to_string());
            let file = folder.path().join("policy.yaml");
            let text = format!("{{\"policy\": {{\"class\": {}, \"config\": {config}, \"mode\": \"{mode}\"}}}}", quoted(&class));
            std::fs::write(&file, text).unwrap();
            let read = started(folder.path(), &fixture, PolicySource::File, Some(file)).await;
            prop_assert_eq!(read.to_string(), wanted.to_string());
            let set = fixture.call(Method::POST, "/api/admin/policy/assignments", Some(KEY), &body).await.json();
            let id = set["assignment"]["id"].as_u64().unwrap();
            let stored = fixture.state.recorder.store().assignments().await.unwrap().pop().unwrap();
            let got = json!({"class": stored.class_ref, "config": stored.config, "mode": stored.mode});
            prop_assert_eq!((stored.id, got.to_string()), (id, wanted.to_string()));
            let shown = fixture.get(&format!("/api/admin/policy/assignments/{id}")).await.json();
            prop_assert_eq!(shown["config"].to_string(), wanted["config"].to_string());
            Ok(())
        })
    });
    tried.unwrap();
}

/// Numbers are read as exactly as they can be, so that none changes on its way.
#[test]
fn numbers_are_read_to_the_nearest() {
    for text in ["0.30000000000000004", "0.1000000000000000055511151231257827021181583404541015625", "5e-324"] {
        let read: f64 = serde_json::from_str(text).unwrap();
        assert_eq!(read.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}
