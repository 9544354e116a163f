//! Spans, splices, and the strict parser.

use super::*;

#[test]
fn replaces_one_value_and_keeps_every_other_byte() {
    let text = "{ \"a\":1.50 ,\"b\": {\"c\":[1, 2 ,3]}}";
    let out = replace(text, &[Step::Key("b"), Step::Key("c"), Step::Index(1)], "\"x\"");
    assert_eq!(out.as_deref(), Some("{ \"a\":1.50 ,\"b\": {\"c\":[1, \"x\" ,3]}}"));
}

#[test]
fn members_keep_order_and_duplicates() {
    let text = r#"{"a":1,"b":2,"a":3}"#;
    let found: Vec<_> = members(text).into_iter().flatten().map(|(k, s)| (k, text[s].to_owned())).collect();
    assert_eq!(found, [("a".into(), "1".into()), ("b".into(), "2".into()), ("a".into(), "3".into())]);
}

#[test]
fn strict_parsing_names_what_is_wrong() {
    assert_eq!(parse_strict(r#"{"a":{"b":1,"b":2}}"#), Err(Unreadable::DuplicateKeys));
    assert_eq!(parse_strict(r#"{"a":"#), Err(Unreadable::CutOff));
    assert_eq!(parse_strict(r#"{"a":x}"#), Err(Unreadable::NotJson));
    assert_eq!(parse_strict(r#"{"a":1} {"#), Err(Unreadable::NotJson));
    assert_eq!(parse_strict(r#"{"a":[1,"x"]}"#), Ok(serde_json::json!({"a": [1, "x"]})));
}

#[test]
fn removes_a_member_with_its_comma() {
    let text = r#"{"m": {"a":1, "b" : [2] ,"c":3}}"#;
    assert_eq!(remove(text, &[Step::Key("m")], "a").as_deref(), Some(r#"{"m": { "b" : [2] ,"c":3}}"#));
    assert_eq!(remove(text, &[Step::Key("m")], "b").as_deref(), Some(r#"{"m": {"a":1 ,"c":3}}"#));
    assert_eq!(remove(text, &[Step::Key("m")], "c").as_deref(), Some(r#"{"m": {"a":1, "b" : [2] }}"#));
    assert_eq!(remove(text, &[], "m").as_deref(), Some("{}"));
    assert_eq!(remove(text, &[Step::Key("m")], "d"), None);
}
