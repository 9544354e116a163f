//! Policies as they are printed.

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
