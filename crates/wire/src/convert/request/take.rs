//! Taking members out of JSON objects by the type that is expected of them.

use serde_json::{Map, Value};

/// A member that is there and not `null`.
pub(super) fn some(map: &mut Map<String, Value>, key: &str) -> Option<Value> {
    map.shift_remove(key).filter(|value| !value.is_null())
}

/// A string member.
pub(super) fn text(map: &mut Map<String, Value>, key: &str) -> Option<String> {
    match map.shift_remove(key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// An array member; empty where it is none.
pub(super) fn list(map: &mut Map<String, Value>, key: &str) -> Vec<Value> {
    match map.shift_remove(key) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// An object member; empty where it is none.
pub(super) fn object(map: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    map.shift_remove(key).map(members).unwrap_or_default()
}

/// A boolean member.
pub(super) fn flag(map: &mut Map<String, Value>, key: &str) -> Option<bool> {
    map.shift_remove(key)?.as_bool()
}

/// The members of a value; none where it is no object.
pub(super) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The `type` of a block, part, item or tool; empty where it has none.
pub(super) fn kind(map: &mut Map<String, Value>) -> String {
    text(map, "type").unwrap_or_default()
}
