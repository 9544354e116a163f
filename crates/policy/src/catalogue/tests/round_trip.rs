//! What is configured is kept exactly: chains, groups, branches and presets, to the order of their fields.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::env;
use crate::catalogue::{PolicySpec, entries, load};
use crate::contract::Mode;

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Off, Mode::Shadow, Mode::Enforce])
}

/// Any policy by any of its names, as its example configures it.
fn example() -> impl Strategy<Value = (String, Value)> {
    let all: Vec<(String, Value)> = entries::all()
        .flat_map(|entry| entry.older.iter().chain([&entry.name]).map(|class| ((*class).to_owned(), (entry.example)())))
        .collect();
    prop::sample::select(all)
}

/// Policies whose configuration is anything that it may be.
fn configured() -> impl Strategy<Value = (String, Value)> {
    let pair = ("[^\\x00]{1,8}", any::<String>()).prop_map(|(from, to)| json!([from, to]));
    let replacement =
        (prop::collection::vec(pair, 0..4), any::<bool>(), any::<bool>()).prop_map(|(pairs, case, first)| {
            // The order of fields is the operator's.
            let config = if first {
                json!({"replacements": pairs, "match_capitalization": case})
            } else {
                json!({"match_capitalization": case, "replacements": pairs})
            };
            ("string_replacement".to_owned(), config)
        });
    let judge = (0.0..=1.0f64, 1..=u32::MAX, any::<String>()).prop_map(|(threshold, tokens, instructions)| {
        let config = json!({"probability_threshold": threshold, "judge_instructions": instructions, "max_tokens": tokens,
            "temperature": 0});
        ("tool_call_judge".to_owned(), config)
    });
    let names = prop::collection::btree_map("[a-z\u{e9}]{1,6}", "[a-z]{1,6}", 0..4)
        .prop_map(|names| ("model_name_replacement".to_owned(), json!({"model_mapping": names})));
    prop_oneof![replacement, judge, names]
}

fn spec() -> impl Strategy<Value = PolicySpec> {
    let leaf =
        (prop_oneof![example(), configured()], any::<bool>(), mode()).prop_map(|((class, config), wrapped, mode)| {
            let config = if wrapped { json!({"config": config}) } else { config };
            PolicySpec { class, config, mode }
        });
    leaf.prop_recursive(3, 24, 4, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..4);
        let serial = some.clone().prop_map(|policies| ("serial", json!({"policies": policies})));
        let older = some.clone().prop_map(|policies| ("SerialPolicy", json!({"name": "n", "policies": policies})));
        let parallel = some.clone().prop_map(|policies| {
            ("parallel", json!({"consolidation_strategy": "majority_pass", "policies": policies}))
        });
        let branch = (some, inner.clone()).prop_map(|(policies, default)| {
            let case = |policy: &PolicySpec| json!({"policy": policy, "when": "request.stream"});
            ("branch", json!({"branches": policies.iter().map(case).collect::<Vec<_>>(), "default": default}))
        });
        let shadow = inner.prop_map(|policy| ("shadow", json!({"policy": policy})));
        (prop_oneof![serial, older, parallel, branch, shadow], mode()).prop_map(|((class, config), mode)| PolicySpec {
            class: class.to_owned(),
            config,
            mode,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_configuration_round_trips_exactly(spec in spec()) {
        let text = serde_json::to_string(&spec).unwrap();
        let read: PolicySpec = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &spec);
        let loaded = load(&read, &env()).map_err(|why| TestCaseError::fail(format!("{why}: {text}")))?;
        prop_assert_eq!(serde_json::to_string(&loaded.spec).unwrap(), text);
    }
}
