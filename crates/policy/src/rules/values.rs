//! JSON as CEL values, which borrow its texts, and back.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use serde_json::{Map, Number, Value};

/// A value of CEL's that borrows for `'a`.
pub(super) type Boxed<'a> = Box<dyn Val + 'a>;

/// The value of a JSON value.
pub(super) fn from_json(value: &Value) -> Boxed<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => number_of(number),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => list(items.iter().map(from_json)),
        Value::Object(members) => map(members.iter().map(|(key, value)| (key.as_str(), from_json(value)))),
    }
}

/// Whole numbers are `int`, as literals in expressions are; those that are too large are `uint`, the rest `double`.
fn number_of<'a>(number: &Number) -> Boxed<'a> {
    if let Some(int) = number.as_i64() {
        Box::new(CelInt::from(int))
    } else if let Some(uint) = number.as_u64() {
        Box::new(CelUInt::from(uint))
    } else {
        Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
    }
}

/// A text.
pub(super) fn text(text: &str) -> Boxed<'_> {
    Box::new(CelString::from(text))
}

/// A list.
pub(super) fn list<'a>(items: impl Iterator<Item = Boxed<'a>>) -> Boxed<'a> {
    Box::new(CelList::from(items.collect::<Vec<_>>()))
}

/// A map with text keys.
pub(super) fn map<'a>(members: impl Iterator<Item = (&'a str, Boxed<'a>)>) -> Boxed<'a> {
    let members: HashMap<CelMapKey<'a>, Boxed<'a>> = members.map(|(key, value)| (key.into(), value)).collect();
    Box::new(CelMap::from(members))
}

/// The JSON value of a value; nothing where JSON has none. The members of a map are in the order of their keys.
pub(super) fn to_json(value: &dyn Val) -> Option<Value> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Some(Value::String(text.inner().to_owned()));
    }
    if let Some(truth) = value.downcast_ref::<CelBool>() {
        return Some(Value::Bool(*truth.inner()));
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Some((*int.inner()).into());
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return Some((*uint.inner()).into());
    }
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        return Number::from_f64(*double.inner()).map(Value::Number);
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Some(Value::Null);
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|item| to_json(item.as_ref())).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    let members = value.downcast_ref::<CelMap<'_>>()?;
    let mut sorted: Vec<(&str, Value)> = Vec::with_capacity(members.inner().len());
    for (key, value) in members.inner() {
        let CelMapKey::String(key) = key else { return None };
        sorted.push((key.inner(), to_json(value.as_ref())?));
    }
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    Some(Value::Object(sorted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>()))
}
