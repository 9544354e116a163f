//! Which branch is taken, and what is refused.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::condition::Imported;
use super::*;
use crate::contract::PolicyError;
use crate::scripted;

fn holds(condition: &Value) -> Result<bool, PolicyError> {
    let body = json!({"model": "gpt-4o", "temperature": 0.5, "n": 2, "stop": ["a", 1], "user": null,
        "messages": [{"role": "user", "content": "hello"}], "metadata": {"team": "red"}});
    let request = Request::parse(Dialect::Chat, RequestKind::Turn, Bytes::from(body.to_string())).unwrap();
    Imported::read(condition).unwrap().holds(&request, &scripted::context())
}

fn at(path: &str) -> Value {
    json!({"type": "transaction_path", "path": path})
}

fn compares(how: &str, path: &str, right: Value) -> Value {
    let right = if right.is_object() { right } else { json!({"type": "static", "value": right}) };
    json!({"type": how, "left": at(path), "right": right, "comparator": how})
}

#[rstest]
#[case(compares("equals", "request.payload.model", json!("gpt-4o")), true)]
#[case(compares("equals", "request.payload.n", json!(2.0)), true)]
#[case(compares("equals", "request.payload.messages.0.content", json!("hello")), true)]
#[case(compares("equals", "request.payload.model", at("request.payload.model")), true)]
#[case(compares("not_equals", "request.payload.model", json!("gpt-4o")), false)]
#[case(compares("not_equals", "request.payload.model", json!("o3")), true)]
#[case(compares("contains", "request.payload.model", json!("4o")), true)]
#[case(compares("contains", "request.payload.stop", json!(1)), true)]
#[case(compares("contains", "request.payload.metadata", json!("team")), true)]
#[case(compares("less_than", "request.payload.temperature", json!(0.5)), false)]
#[case(compares("less_than_or_equal", "request.payload.temperature", json!(0.5)), true)]
#[case(compares("greater_than", "request.payload.n", json!(1)), true)]
#[case(compares("greater_than_or_equal", "request.payload.model", json!("gpt")), true)]
#[case(compares("regex_match", "request.payload.model", json!("4o$")), true)]
#[case(compares("equals", "transaction_id", json!("t-1")), true)]
// What is not there, or null, compares false, also as unequal.
#[case(compares("equals", "request.payload.user", json!(null)), false)]
#[case(compares("not_equals", "request.payload.user", json!("x")), false)]
#[case(compares("not_equals", "request.payload.nothing.here", json!("x")), false)]
#[case(compares("less_than", "request.payload.nothing", json!(1)), false)]
#[case(compares("regex_match", "request.payload.nothing", json!("")), false)]
#[case(json!({"type": "equals", "key": "request.content.model", "comparator": "equals", "value": "gpt-4o"}), true)]
#[case(json!({"type": "all", "conditions": []}), true)]
#[case(json!({"type": "any", "conditions": []}), false)]
#[case(json!({"type": "not", "cond": {"type": "any", "conditions": []}}), true)]
#[case(json!({"type": "any", "conditions": [
    {"type": "all", "conditions": [compares("equals", "request.payload.n", json!(2)), compares("equals", "request.payload.n", json!(3))]},
    compares("equals", "request.payload.metadata.team", json!("red")),
]}), true)]
fn conditions_of_luthien_control_mean_what_they_meant(#[case] condition: Value, #[case] expected: bool) {
    assert_eq!(holds(&condition), Ok(expected), "{condition}");
}

#[rstest]
#[case(compares("less_than", "request.payload.model", json!(1)), "less_than cannot compare a text with a number")]
#[case(compares("contains", "request.payload.n", json!(1)), "contains cannot compare a number with a number")]
fn what_cannot_be_compared_has_no_value(#[case] condition: Value, #[case] why: &str) {
    assert_eq!(holds(&condition), Err(PolicyError(why.to_owned())));
}

#[rstest]
#[case(json!("request.model =="), "branches[0].when: ")]
#[case(json!("request.nothing"), "branches[0].when: ")]
#[case(json!(5), "branches[0].when: expected an expression in CEL")]
#[case(json!({"type": "some"}), "branches[0].when.type: unknown condition \"some\"")]
#[case(json!({"type": "not"}), "branches[0].when.cond: missing")]
#[case(json!({"type": "any", "conditions": [{"type": "equals", "left": 1}]}), "branches[0].when.conditions[0].right: missing")]
#[case(json!({"type": "regex_match", "left": "a", "right": "("}), "branches[0].when.right: not a regular expression")]
#[case(compares("equals", "response.payload.model", json!(1)), "branches[0].when.left.path: conditions are about the request")]
fn what_is_wrong_with_a_condition_is_told_by_path(#[case] when: Value, #[case] expected: &str) {
    let message = scripted::refused("branch", json!({"branches": [{"when": when, "policy": {"class": "no_op"}}]}));
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let branches = json!([{"when": "", "policy": {"class": "nope"}}, {"when": "true", "policy": {"class": "no_op", "config": {"x": 1}}}]);
    let message = scripted::refused("branch", json!({"branches": branches, "default": {"class": "nope"}}));
    for place in
        ["branches[0].when: ", "branches[0].policy.class: ", "branches[1].policy.config.x: ", "default.class: "]
    {
        assert!(message.contains(place), "{message}");
    }
}

#[test]
fn luthien_controls_own_form_loads() {
    let condition = compares("equals", "request.payload.model", json!("gpt-4o")).to_string();
    let policy = json!({"type": "LeakedApiKeyDetection", "name": "keys", "patterns": ["CORP-\\d+"]});
    let config = json!({"name": "fork", "cond_to_policy_map": {condition: policy},
        "default_policy": {"type": "NoopPolicy", "config": {}}});
    let spec = PolicySpec::new("BranchingPolicy", config);
    let loaded = crate::catalogue::load(&spec, &crate::catalogue::LoadEnv::default()).unwrap();
    let names: Vec<_> = loaded.tree.policies().iter().map(|policy| policy.name()).collect();
    assert_eq!(names, ["leaked_api_key_detection", "no_op"]);
    assert!(matches!(loaded.tree, Tree::Branch(..)));
    let bad = json!({"cond_to_policy_map": {"{": {"type": "NoopPolicy"}}});
    assert!(scripted::refused("BranchingPolicy", bad).contains("not JSON"));
}

/// Conditions with what is right and what is wrong in their places.
fn any_condition() -> impl Strategy<Value = Value> {
    let side = prop_oneof![
        prop::sample::select(vec![
            "model",
            "n",
            "stop.1",
            "messages.0.content",
            "user",
            "metadata",
            "",
            "a..b",
            "stop.-1"
        ])
        .prop_map(|path| at(&format!("request.payload.{path}"))),
        prop::sample::select(vec![
            json!(null),
            json!(u64::MAX),
            json!(-0.5),
            json!("("),
            json!("a*"),
            json!([1]),
            json!({})
        ]),
        "\\PC{0,8}".prop_map(|text| json!({"type": "static", "value": text})),
    ];
    let how = prop::sample::select(vec![
        "equals",
        "not_equals",
        "contains",
        "less_than",
        "less_than_or_equal",
        "greater_than",
        "greater_than_or_equal",
        "regex_match",
        "other",
    ]);
    let leaf =
        (how, side.clone(), side).prop_map(|(how, left, right)| json!({"type": how, "left": left, "right": right}));
    leaf.prop_recursive(40, 60, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|cond| json!({"type": "not", "cond": cond})),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|all| json!({"type": "all", "conditions": all})),
            prop::collection::vec(inner, 0..3).prop_map(|any| json!({"type": "any", "conditions": any})),
        ]
    })
}

proptest! {
    #[test]
    fn any_condition_is_refused_or_asked(condition in any_condition()) {
        let read = Imported::read(&condition).is_ok();
        let not = json!({"type": "not", "cond": condition});
        if read && Imported::read(&not).is_ok() {
            let (plain, not) = (holds(&condition), holds(&not));
            prop_assert_eq!(plain.map(|holds| !holds).ok(), not.ok());
        }
    }
}
