//! What the catalogue loads and what it refuses.

mod round_trip;

use serde_json::json;

use super::*;
use crate::plan::Plan;

/// With the environment that the examples need.
fn env() -> LoadEnv {
    let variables = [("OPENAI_API_KEY", "sk-of-the-operator"), ("LUTHIEN_DEMO", "1")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    LoadEnv { variables: Variables::Given(BTreeMap::from(variables)), ..LoadEnv::default() }
}

fn loaded(class: &str, config: Value) -> Loaded {
    load(&PolicySpec::new(class, config), &env()).unwrap()
}

fn refused(class: &str, config: Value) -> String {
    load(&PolicySpec::new(class, config), &LoadEnv::default()).unwrap_err().to_string()
}

#[test]
fn every_name_and_every_example_loads() {
    for entry in entries::all() {
        for class in entry.older.iter().chain([&entry.name]) {
            let loaded = loaded(class, (entry.example)());
            assert_eq!(loaded.class_ref, entry.name, "{class}");
            assert_eq!(loaded.spec.class, *class);
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = entries::all().flat_map(|e| e.older.iter().copied().chain([e.name])).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn an_unknown_class_gets_the_nearest_name() {
    assert_eq!(refused("al_caps", json!({})), r#"class: unknown policy "al_caps"; did you mean `all_caps`?"#);
}

#[test]
fn a_class_far_from_all_gets_the_list() {
    assert!(refused("zzzzzz", json!({})).contains("known are "));
}

#[test]
fn config_may_be_wrapped_once() {
    assert_eq!(loaded("serial", json!({"config": {"policies": [{"class": "no_op"}]}})).tree.policies().len(), 1);
    assert!(refused("serial", json!({"config": {"config": {"policies": []}}})).starts_with("config: unknown field"));
}

#[test]
fn no_config_is_an_empty_config() {
    assert_eq!(loaded("no_op", Value::Null).tree.policies().len(), 1);
}

#[test]
fn wrong_types_are_told_in_words() {
    assert_eq!(refused("no_op", json!([])), "invalid type: sequence, expected an object");
    let judge = |field: &str, value: Value| refused("tool_call_judge", json!({field: value}));
    assert_eq!(judge("temperature", json!("hot")), r#"temperature: invalid type: string "hot", expected a number"#);
    assert_eq!(
        judge("max_tokens", json!(-1)),
        "max_tokens: invalid value: integer `-1`, expected a whole number from 0 on"
    );
    assert_eq!(judge("model", json!(5)), "model: invalid type: integer `5`, expected a text");
    assert_eq!(
        refused("serial", json!({"policies": {"class": "no_op"}})),
        "policies: invalid type: map, expected a list"
    );
    assert_eq!(
        refused("serial", json!({"policies": [["no_op"]]})),
        "policies[0]: invalid type: sequence, expected an object"
    );
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    assert!(refused("no_op", json!({"speed": 1})).starts_with("speed: unknown field `speed`"));
}

#[test]
fn a_chain_is_flattened_and_the_lower_mode_wins() {
    let spec: PolicySpec = serde_json::from_value(json!({
        "class": "serial", "mode": "shadow", "config": {"policies": [
            {"class": "no_op", "mode": "off"},
            {"type": "SerialPolicy", "config": {"policies": [{"class": "all_caps"}]}},
        ]}
    }))
    .unwrap();
    let loaded = load(&spec, &LoadEnv::default()).unwrap();
    let plan = Plan::new(loaded.tree);
    assert_eq!(plan.names(), "all_caps");
    assert!(!plan.guards_answers() && !plan.is_idle());
    assert_eq!(loaded.spec, spec);
}

#[test]
fn all_problems_of_a_chain_come_with_their_paths() {
    let error = load(
        &PolicySpec::new("serial", json!({"policies": [{"class": "nope"}, {"class": "no_op", "config": {"x": 1}}]})),
        &LoadEnv::default(),
    )
    .unwrap_err();
    let paths: Vec<_> = error.problems.iter().map(|p| (p.loc.join("/"), p.kind)).collect();
    assert_eq!(
        paths,
        [
            ("policies/0/class".to_owned(), ProblemKind::UnknownClass),
            ("policies/1/config/x".to_owned(), ProblemKind::UnknownField)
        ]
    );
    assert!(error.to_string().contains("policies[1].config.x: unknown field"));
}

#[test]
fn a_missing_field_is_named() {
    let error = load(&PolicySpec::new("serial", json!({})), &LoadEnv::default()).unwrap_err();
    assert_eq!(error.problems[0].loc, ["policies"]);
    assert_eq!(error.problems[0].kind, ProblemKind::Missing);
}

#[test]
fn a_bad_mode_is_refused_with_its_path() {
    let message = refused("serial", json!({"policies": [{"class": "no_op", "mode": "loud"}]}));
    assert!(message.starts_with("policies[0].mode"), "{message}");
}

#[test]
fn schemas_name_every_field_and_refuse_others() {
    for listing in list() {
        let schema = &listing.config_schema;
        assert_eq!(schema["additionalProperties"], false, "{}", listing.name);
        for key in listing.example_config.as_object().unwrap().keys() {
            assert!(schema["properties"][key].is_object(), "{}.{key}", listing.name);
        }
    }
}

#[test]
fn schemas_carry_ranges_defaults_and_what_is_required() {
    let all = list();
    let schema = |name: &str| all.iter().find(|listing| listing.name == name).unwrap().config_schema.clone();
    let judge = schema("tool_call_judge");
    assert_eq!(judge["properties"]["probability_threshold"]["maximum"], 1.0);
    assert_eq!(judge["properties"]["probability_threshold"]["default"], 0.6);
    assert_eq!(schema("simple_llm")["required"], json!(["instructions"]));
    assert_eq!(schema("string_replacement")["properties"]["apply_to"]["default"], "response");
}

#[test]
fn words_for_people_are_there_and_short_ones_are_short() {
    for listing in list() {
        assert!(listing.short_description.len() < 80 && listing.short_description.ends_with('.'), "{}", listing.name);
        assert!(listing.description.len() > 40 && !listing.description.contains("  "), "{}", listing.name);
    }
}

#[test]
fn policies_of_luthien_control_may_carry_their_name_and_type() {
    let named = json!({"name": "first", "type": "NoopPolicy"});
    let chain = json!({"name": "all", "policies": [{"type": "NoopPolicy", "config": named.clone()}]});
    for class in ["SerialPolicy", "CompoundPolicy"] {
        let chain = loaded(class, chain.clone());
        assert_eq!(chain.tree.policies().len(), 1);
        assert_eq!(chain.spec.config["name"], "all");
    }
    assert!(refused("no_op", named).starts_with("name: unknown field"));
    assert!(refused("serial", chain).starts_with("name: unknown field"));
    assert!(refused("NoopPolicy", json!({"speed": 1})).starts_with("speed: unknown field"));
}
