//! What `luthien policy test` prints.

use super::*;

const RULES: &str = r#"
rules:
  - name: keep-files
    description: nothing is deleted
    when: tool.effects.deletes()
    action: block
    match: ["rm x", "ls"]
    no_match: ["cat x"]
  - name: odd
    when: "true"
    action: flag
    score: 0.5
"#;

fn sets(text: &str) -> Sets {
    let document: Value = serde_saphyr::from_str(text).unwrap();
    RuleSet::find(&document, &LoadEnv::default()).unwrap()
}

fn outcomes(sets: &Sets) -> Vec<Outcome> {
    sets.iter().flat_map(|(_, set)| set.examples()).collect()
}

#[test]
fn each_example_is_a_line_and_failures_say_what_was_found() {
    let sets = sets(RULES);
    let text = table(&sets, &outcomes(&sets), Palette::plain());
    let expected = "\
rule        example  has to     result
keep-files  rm x     match      ok
keep-files  ls       match      FAILED: does not match; it does nothing that is known
keep-files  cat x    not match  ok
odd         no examples

2 rules, 3 examples, 1 failed
";
    assert_eq!(text, expected);
}

#[test]
fn as_json_the_same_is_there_to_be_read() {
    let sets = sets(RULES);
    let report: Value = serde_json::from_str(&report(&sets, &outcomes(&sets)).unwrap()).unwrap();
    assert_eq!(report["failed"], 1);
    assert_eq!(report["without_examples"], json!(["odd"]));
    assert_eq!(report["examples"][1]["found"], false);
    assert_eq!(report["examples"][0]["effects"], json!(["delete file x"]));
}

#[test]
fn a_command_is_explained_rule_by_rule() {
    let text = story(&explain(&sets(RULES), "Bash", "rm x").unwrap(), Palette::plain());
    let expected = "\
What it does
  delete file x

Rules
  keep-files  matches: block  nothing is deleted
  odd         matches: flag

Decision: block by keep-files
";
    assert_eq!(text, expected);
}

#[test]
fn rules_are_found_in_a_configuration_wherever_they_stand() {
    let text = r"
policy:
  class: serial
  config:
    policies:
      - class: no_op
      - { class: rules, config: { rules: [{ name: a, action: block }] } }
";
    let found = sets(text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "policy.config.policies.1");
    assert_eq!(found[0].1.names().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let document: Value = serde_saphyr::from_str("policy: {class: rules, config: {rules: [{name: a}]}}").unwrap();
    let error = RuleSet::find(&document, &LoadEnv::default()).unwrap_err().to_string();
    assert!(error.starts_with("policy.config.rules[0].action: missing field `action`"), "{error}");
}
