//! Conditions as luthien_control writes them: comparisons of values in the request, put together by `all`, `any` and `not`.

use std::cmp::Ordering;

use luthien_wire::request::Request;
use regex::Regex;
use serde_json::Value;

use crate::contract::{PolicyError, ReviewContext};
use crate::tree::Condition;

/// The deepest nesting.
const DEPTH: usize = 32;

/// A condition.
#[derive(Debug)]
pub(super) enum Imported {
    All(Vec<Imported>),
    Any(Vec<Imported>),
    Not(Box<Imported>),
    Compare {
        how: How,
        left: Operand,
        right: Operand,
    },
    /// With a pattern that is known beforehand.
    Matches {
        text: Operand,
        pattern: Regex,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Equals,
    NotEquals,
    Contains,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
}

/// What is compared.
#[derive(Debug)]
pub(super) enum Operand {
    Static(Value),
    /// Keys and indices in the request's body.
    Body(Vec<String>),
    TransactionId,
}

/// The field that is wrong, and how.
type Wrong = (Vec<String>, String);

impl Imported {
    pub(super) fn read(json: &Value) -> Result<Self, Wrong> {
        read(json, 0)
    }

    fn evaluate(&self, body: &Value, context: &ReviewContext) -> Result<bool, PolicyError> {
        match self {
            Self::All(all) => {
                for one in all {
                    if !one.evaluate(body, context)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(any) => {
                for one in any {
                    if one.evaluate(body, context)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(one) => one.evaluate(body, context).map(|holds| !holds),
            Self::Compare { how, left, right } => {
                compare(*how, &left.value(body, context), &right.value(body, context))
            }
            Self::Matches { text, pattern } => match text.value(body, context) {
                Value::Null => Ok(false),
                Value::String(text) => Ok(pattern.is_match(&text)),
                other => Err(unlike("regex_match", &other, &Value::from(pattern.as_str()))),
            },
        }
    }
}

impl Condition for Imported {
    fn holds(&self, request: &Request, context: &ReviewContext) -> Result<bool, PolicyError> {
        let body = serde_json::from_str(request.text()).map_err(|error| PolicyError(error.to_string()))?;
        self.evaluate(&body, context)
    }
}

impl Operand {
    fn value(&self, body: &Value, context: &ReviewContext) -> Value {
        match self {
            Self::Static(value) => value.clone(),
            Self::TransactionId => Value::from(context.transaction_id.as_str()),
            Self::Body(path) => {
                let step = |value: &Value, key: &String| match value {
                    Value::Array(list) => key.parse::<usize>().ok().and_then(|at| list.get(at)).cloned(),
                    value => value.get(key).cloned(),
                };
                path.iter().try_fold(body.clone(), |value, key| step(&value, key)).unwrap_or_default()
            }
        }
    }
}

fn compare(how: How, left: &Value, right: &Value) -> Result<bool, PolicyError> {
    if left.is_null() || right.is_null() {
        return Ok(false);
    }
    let order = |name, wanted: fn(Ordering) -> bool| match ordered(left, right) {
        Some(order) => Ok(wanted(order)),
        None => Err(unlike(name, left, right)),
    };
    match how {
        How::Equals => Ok(same(left, right)),
        How::NotEquals => Ok(!same(left, right)),
        How::Contains => match (left, right) {
            (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
            (Value::Array(list), one) => Ok(list.iter().any(|other| same(one, other))),
            (Value::Object(object), Value::String(key)) => Ok(object.contains_key(key)),
            _ => Err(unlike("contains", left, right)),
        },
        How::Less => order("less_than", Ordering::is_lt),
        How::LessOrEqual => order("less_than_or_equal", Ordering::is_le),
        How::Greater => order("greater_than", Ordering::is_gt),
        How::GreaterOrEqual => order("greater_than_or_equal", Ordering::is_ge),
        How::Matches => match (left, right) {
            (Value::String(text), Value::String(pattern)) => {
                let pattern = Regex::new(pattern).map_err(|error| PolicyError(error.to_string()))?;
                Ok(pattern.is_match(text))
            }
            _ => Err(unlike("regex_match", left, right)),
        },
    }
}

fn same(left: &Value, right: &Value) -> bool {
    left == right || (left.is_number() && ordered(left, right) == Some(Ordering::Equal))
}

fn ordered(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// The values stay out of it: they are the client's.
fn unlike(how: &str, left: &Value, right: &Value) -> PolicyError {
    PolicyError(format!("{how} cannot compare {} with {}", kind(left), kind(right)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn read(json: &Value, depth: usize) -> Result<Imported, Wrong> {
    let wrong = |field: &str, why: String| (vec![field.to_owned()], why);
    if depth > DEPTH {
        return Err((Vec::new(), format!("conditions nest more than {DEPTH} deep")));
    }
    let Some(name) = json.get("type").and_then(Value::as_str) else {
        return Err(wrong("type", "missing: the condition's type".to_owned()));
    };
    let how = match name {
        "all" | "any" => {
            let Some(list) = json.get("conditions").and_then(Value::as_array) else {
                return Err(wrong("conditions", "must be a list of conditions".to_owned()));
            };
            let each = list.iter().enumerate().map(|(at, one)| {
                read(one, depth + 1)
                    .map_err(|(path, why)| ([vec!["conditions".into(), at.to_string()], path].concat(), why))
            });
            let each = each.collect::<Result<Vec<_>, _>>()?;
            return Ok(if name == "all" { Imported::All(each) } else { Imported::Any(each) });
        }
        "not" => {
            let (field, one) = match (json.get("cond"), json.get("value")) {
                (Some(one), _) => ("cond", one),
                (None, Some(one)) => ("value", one),
                (None, None) => return Err(wrong("cond", "missing: the condition that must not hold".to_owned())),
            };
            let one = read(one, depth + 1).map_err(|(path, why)| ([vec![field.to_owned()], path].concat(), why))?;
            return Ok(Imported::Not(Box::new(one)));
        }
        "equals" => How::Equals,
        "not_equals" => How::NotEquals,
        "contains" => How::Contains,
        "less_than" => How::Less,
        "less_than_or_equal" => How::LessOrEqual,
        "greater_than" => How::Greater,
        "greater_than_or_equal" => How::GreaterOrEqual,
        "regex_match" => How::Matches,
        other => return Err(wrong("type", format!("unknown condition {other:?}"))),
    };
    // The oldest form has a path and a value.
    let (left, right) = match json.get("key") {
        Some(key) => (path("key", key)?, Operand::Static(json.get("value").cloned().unwrap_or_default())),
        None => (operand(json, "left")?, operand(json, "right")?),
    };
    match (how, right) {
        (How::Matches, Operand::Static(Value::String(source))) => {
            let pattern =
                Regex::new(&source).map_err(|error| wrong("right", format!("not a regular expression: {error}")))?;
            Ok(Imported::Matches { text: left, pattern })
        }
        (how, right) => Ok(Imported::Compare { how, left, right }),
    }
}

fn operand(json: &Value, side: &str) -> Result<Operand, Wrong> {
    let said = json.get(side).or_else(|| json.get(format!("{side}_resolver")));
    let Some(said) = said else { return Err((vec![side.to_owned()], "missing: what is compared".to_owned())) };
    let at = |field: &str| vec![side.to_owned(), field.to_owned()];
    match said.get("type").and_then(Value::as_str) {
        None if !said.is_object() => Ok(Operand::Static(said.clone())),
        Some("static") => Ok(Operand::Static(said.get("value").cloned().unwrap_or_default())),
        Some("transaction_path") => {
            let missing = || (at("path"), "missing: the path".to_owned());
            path("path", said.get("path").ok_or_else(missing)?).map_err(|(_, why)| (at("path"), why))
        }
        _ => Err((at("type"), "expected `static` or `transaction_path`".to_owned())),
    }
}

/// `request.payload.model` and the like: what is known when the request is about to be sent.
fn path(field: &str, json: &Value) -> Result<Operand, Wrong> {
    let steps: Vec<&str> = json.as_str().unwrap_or_default().split('.').collect();
    match steps.as_slice() {
        ["transaction_id"] => Ok(Operand::TransactionId),
        ["request", "payload" | "content" | "json", rest @ ..] if !rest.is_empty() => {
            Ok(Operand::Body(rest.iter().map(|&step| step.to_owned()).collect()))
        }
        _ => {
            let why = "conditions are about the request: a path begins with `request.payload.`, or is `transaction_id`";
            Err((vec![field.to_owned()], why.to_owned()))
        }
    }
}
