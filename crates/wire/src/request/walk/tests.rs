//! The walk agrees with a full parser.

use proptest::prelude::*;
use serde_json::Value;

use super::{array, is, object, string};

#[test]
fn one_level_is_given_as_slices() {
    let text = " { \"a\" : [1, {\"b\":\"]}\"}] ,\n\"\\u0061\":-1.50e3,\"c\":\"x\\\\\",\"d\":null } ";
    let members = object(text).expect("an object");
    let expected = [("a", "[1, {\"b\":\"]}\"}]"), ("a", "-1.50e3"), ("c", "\"x\\\\\""), ("d", "null")];
    assert_eq!(members.iter().map(|(key, raw)| (&**key, *raw)).collect::<Vec<_>>(), expected);
    assert_eq!(array("[ 1 ,\"a,b\",[], {} ]").expect("an array"), ["1", "\"a,b\"", "[]", "{}"]);
}

#[test]
fn strings_are_decoded() {
    assert_eq!(string(r#""a\n\u00e9\ud83d\ude00""#).as_deref(), Some("a\né😀"));
    assert_eq!(string(r#""a\ud83d""#).map(|text| text.starts_with('a')), Some(true));
    assert!(is(r#""te\u0078t""#, "text") && is("\"text\"", "text") && !is("\"texts\"", "text"));
    for raw in ["", "\"", "\"a", "a\"", "7", "null", "\"a\"b\"", "\"a\\\"", "[\"a\"]", "\"a\" \"b\""] {
        assert_eq!(string(raw), None, "{raw}");
    }
}

#[test]
fn other_kinds_are_nothing() {
    for raw in ["", "{", "[", "7", "\"{}\"", "null", "{\"a\"", "{\"a\":", "{\"a\" 1}", "{,}", "[,]", "[\"", "[{]"] {
        assert_eq!(object(raw), None, "{raw}");
        assert_eq!(array(raw), None, "{raw}");
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "[\\[\\]{}:,\"\\\\ a1é\\u{1f600}]{0,24}") {
        let _ = (object(&text), array(&text), string(&text));
    }

    #[test]
    fn slices_are_the_values(items in proptest::collection::vec((".{0,8}", prop_oneof![".{0,8}".prop_map(Value::from), any::<i64>().prop_map(Value::from), proptest::collection::vec(".{0,4}", 0..3).prop_map(Value::from)]), 0..6), pretty in any::<bool>()) {
        let list = Value::from(items.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>());
        let text = if pretty { format!("{list:#}") } else { list.to_string() };
        let elements: Vec<Value> = array(&text).expect("an array").into_iter().map(|raw| serde_json::from_str(raw).expect("a value")).collect();
        prop_assert_eq!(Value::from(elements), list);

        let fields: serde_json::Map<String, Value> = items.into_iter().collect();
        let map = Value::from(fields);
        let text = if pretty { format!("{map:#}") } else { map.to_string() };
        let members = object(&text).expect("an object").into_iter();
        let members: serde_json::Map<String, Value> = members.map(|(key, raw)| (key.into_owned(), serde_json::from_str(raw).expect("a value"))).collect();
        prop_assert_eq!(Value::from(members), map);
    }
}
