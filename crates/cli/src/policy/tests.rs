//! Policies as they are printed.

use rstest::rstest;

use super::*;

#[test]
fn every_policy_can_be_listed_and_shown() {
    let all = catalogue::list();
    let text = list(&all, Palette::plain());
    assert_eq!(text.lines().count(), all.len());
    for listing in &all {
        assert!(text.contains(listing.name));
        let shown = show(listing, 80, Palette::plain()).unwrap();
        assert!(shown.contains(&format!("class: {}", listing.name)), "{shown}");
    }
}

#[test]
fn fields_have_defaults_and_meanings() {
    let schema = json!({
        "required": ["rules"],
        "properties": {
            "rules": {"description": "What holds.\nAlways."},
            "limit": {"description": "How many.", "default": 3},
            "name": {"default": null},
            "way": {"description": "Which way.", "anyOf": [{"$ref": "#/$defs/Way"}, {"type": "null"}]},
            "place": {"description": "Where.", "$ref": "#/$defs/Place"},
        },
        "$defs": {
            "Way": {"oneOf": [{"const": "in"}, {"const": "out"}]},
            "Place": {"oneOf": [{"const": "here"}, {"type": "object"}]},
        },
    });
    let expected = [
        ("rules (required)", "What holds. Always."),
        ("limit (default 3)", "How many."),
        ("name", ""),
        ("way", "Which way. One of `in`, `out`."),
        ("place", "Where."),
    ];
    let found = fields(&schema);
    assert_eq!(found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn a_policy_is_known_by_its_older_names_too() {
    let listing = catalogue::listed("luthien_proxy.policies.noop_policy:NoOpPolicy").unwrap();
    assert_eq!(listing.name, "no_op");
    assert!(catalogue::listed("NoSuchPolicy").is_none());
}

/// What `check` says of the file `name`, beside which stands a policy file.
fn checked(name: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap();
    std::fs::write(
        place.join("policy.json"),
        r#"{"type": "SerialPolicy", "config": {"policies": [{"type": "NoopPolicy"}]}}"#,
    )
    .unwrap();
    let file = place.join(name);
    std::fs::write(&file, text).unwrap();
    let said = check(&file).unwrap_or_else(|failure| failure.to_string());
    said.trim_end().replace(&format!("{}/", place.display()), "")
}

#[rstest]
#[case("policy: { class: all_caps, header_choices: [no_op] }", "The settings and the policy are fine: all_caps")]
#[case("policy: { file: policy.json }", "The settings and the policy are fine (the policy is in policy.json): no_op")]
#[case(
    "policy: { class: all_caps, mode: off }",
    "The settings and the policy are fine: nothing, since all of it is off"
)]
#[case("server: { port: 1 }", "The settings are fine. The file names no policy, so everything would pass.")]
#[case("class: all_caps", "The settings and the policy are fine: all_caps")]
#[case(r#"{"type": "NoopPolicy", "config": {"name": "a"}}"#, "The settings and the policy are fine: no_op")]
#[case(
    "policy: { class: all_caps, mode: shade }",
    "the policy cannot be used: file.yaml: policy.mode: unknown variant `shade`, expected one of `off`, `shadow`, `enforce`"
)]
#[case(
    "policy: { file: gone.json }",
    "the policy cannot be used: cannot read the policy file gone.json: No such file or directory (os error 2)"
)]
fn a_file_is_checked_as_the_gateway_would_read_it(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(checked("file.yaml", text), expected);
}
