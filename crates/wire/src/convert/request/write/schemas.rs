//! What each vendor wants of the schema for an answer.

use serde_json::{Map, Value};

/// Whether OpenAI takes a schema as strict: every object names all its members as required and allows no others. Messages
/// always keeps an answer to its schema.
pub(super) fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Array(list) => list.iter().all(is_strict),
        Value::Object(map) => {
            let names = map.get("properties").and_then(Value::as_object);
            let required = map.get("required").and_then(Value::as_array);
            let is_object = map.get("type").is_some_and(|kind| kind == "object") || names.is_some();
            let all = |names: &Map<String, Value>| {
                names.keys().all(|name| required.is_some_and(|list| list.iter().any(|one| one == name)))
            };
            let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
            let inner = |(name, value): (&String, &Value)| match value {
                _ if is_data(name) => true,
                Value::Object(named) if is_named(name) => named.values().all(is_strict),
                value => is_strict(value),
            };
            (!is_object || (closed && names.is_some_and(all))) && map.iter().all(inner)
        }
        _ => true,
    }
}

/// The schema as Anthropic takes it: every object that says nothing of further members allows none.
pub(super) fn closed(mut schema: Value) -> Value {
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(close),
        Value::Object(map) => {
            let is_object = map.get("type").is_some_and(|kind| kind == "object");
            if is_object && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), false.into());
            }
            for (name, inner) in map.iter_mut() {
                match inner {
                    _ if is_data(name) => {}
                    Value::Object(named) if is_named(name) => named.values_mut().for_each(close),
                    inner => close(inner),
                }
            }
        }
        _ => {}
    }
}

/// Whether what stands in a keyword is data, not a schema.
fn is_data(keyword: &str) -> bool {
    matches!(keyword, "enum" | "const" | "default" | "examples")
}

/// Whether a keyword holds schemas by names, which are the author's and may look like keywords.
fn is_named(keyword: &str) -> bool {
    matches!(keyword, "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_that_say_nothing_are_closed_and_data_is_left_alone() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}},
            "b": {"type": "object", "additionalProperties": true}, "c": {"const": {"type": "object"}}}});
        let expected = json!({"type": "object", "properties": {
            "a": {"type": "array", "items": {"type": "object", "additionalProperties": false}},
            "b": {"type": "object", "additionalProperties": true}, "c": {"const": {"type": "object"}}},
            "additionalProperties": false});
        assert_eq!(closed(schema), expected);
    }

    #[test]
    fn names_that_look_like_keywords_are_names() {
        let open = json!({"type": "object", "properties": {}});
        let shut = json!({"type": "object", "properties": {}, "additionalProperties": false});
        let of = |inner: &Value| {
            json!({"type": "object", "properties": {"default": inner, "enum": inner, "properties": inner},
                   "required": ["default", "enum", "properties"], "additionalProperties": false, "$defs": {"const": inner}})
        };
        assert_eq!(closed(of(&open)), of(&shut));
        assert!(is_strict(&of(&shut)));
        assert!(!is_strict(&of(&open)));
    }

    #[test]
    fn strict_is_what_openai_would_take() {
        let inner =
            json!({"type": "object", "properties": {"b": {}}, "required": ["b"], "additionalProperties": false});
        let outer = |required: Value, inner: &Value| json!({"type": "object", "properties": {"a": inner}, "required": required, "additionalProperties": false});
        assert!(is_strict(&outer(json!(["a"]), &inner)));
        assert!(!is_strict(&outer(json!([]), &inner)));
        assert!(!is_strict(&outer(json!(["a"]), &json!({"type": "object"}))));
    }
}
