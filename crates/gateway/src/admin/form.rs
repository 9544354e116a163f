//! Reading the fields of a call's body, every problem with its place.

use std::time::Duration;

use jiff::Timestamp;
use luthien_policy::catalogue::PolicySpec;
use luthien_policy::contract::Mode;
use serde_json::{Map, Value, json};

use super::error::{ApiError, Field};
use super::params::NO_NUL;
use super::who::Who;
use crate::settings::parse_duration;

/// A body's fields, and what is wrong with them.
pub(super) struct Form<'a> {
    members: &'a Map<String, Value>,
    wrong: Vec<Field>,
}

impl<'a> Form<'a> {
    pub(super) fn new(members: &'a Map<String, Value>) -> Self {
        Self { members, wrong: Vec::new() }
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Notes what is wrong with a field.
    pub(super) fn refuse(&mut self, name: &str, kind: &'static str, msg: impl Into<String>) {
        self.wrong.push(Field::body(name, kind, msg));
    }

    /// A text; none if it is not given.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        match value {
            Value::String(text) if text.contains('\0') => self.refuse(name, "string_pattern", NO_NUL),
            Value::String(text) => return Some(text.clone()),
            _ => self.refuse(name, "string_type", "must be a text"),
        }
        None
    }

    /// A switch; none if it is not given.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        if value.as_bool().is_none() {
            self.refuse(name, "bool_type", "must be `true` or `false`");
        }
        value.as_bool()
    }

    /// The name under which the change is kept; what the call says counts only where nobody's own name is known.
    pub(super) fn by(&mut self, name: &str, who: &Who) -> String {
        who.signs(self.text(name))
    }

    /// A whole number that has to be there.
    pub(super) fn number(&mut self, name: &str) -> u64 {
        match self.get(name).map(Value::as_u64) {
            Some(Some(number)) => number,
            Some(None) => {
                self.refuse(name, "int_type", "must be a whole number");
                0
            }
            None => {
                self.refuse(name, "missing", "is required");
                0
            }
        }
    }

    /// The policy: `policy_class_ref`, and if wanted `config` and `mode`.
    pub(super) fn spec(&mut self) -> PolicySpec {
        // A null counts as a wrong type here: whoever sends one meant something.
        let class = match self.members.get("policy_class_ref") {
            Some(Value::String(class)) => class.clone(),
            Some(_) => {
                self.refuse("policy_class_ref", "string_type", "must be a text");
                String::new()
            }
            None => {
                self.refuse("policy_class_ref", "missing", "is required: the policy's class");
                String::new()
            }
        };
        let config = match self.get("config") {
            Some(config @ Value::Object(_)) => config.clone(),
            None => json!({}),
            Some(_) => {
                self.refuse("config", "dict_type", "must be an object");
                Value::Null
            }
        };
        let mode = self.members.get("mode").map(|mode| serde_json::from_value::<Mode>(mode.clone()));
        let mode = mode.unwrap_or(Ok(Mode::Enforce)).unwrap_or_else(|_| {
            self.refuse("mode", "enum", "must be `off`, `shadow` or `enforce`");
            Mode::Enforce
        });
        PolicySpec { class, config, mode }
    }

    /// The policy in the object of this name; none if it is not given.
    pub(super) fn spec_in(&mut self, name: &str) -> Option<PolicySpec> {
        let Value::Object(members) = self.get(name)? else {
            self.refuse(name, "dict_type", "must be an object with `policy_class_ref`");
            return None;
        };
        let mut inner = Form::new(members);
        let spec = inner.spec();
        inner.only(&["policy_class_ref", "config", "mode"]);
        self.wrong.extend(inner.wrong.into_iter().map(|field| field.inside(name)));
        Some(spec)
    }

    /// When it ends: `expires_at`, or `for` from now on.
    pub(super) fn end(&mut self, now: Timestamp) -> Option<Timestamp> {
        let (at, span) = (self.text("expires_at"), self.text("for"));
        let end = match (at, span) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                self.refuse("for", "conflict", "give either `expires_at` or `for`");
                return None;
            }
            (Some(at), None) => at.parse().map_err(|_| ("expires_at", "must be a time such as `2026-01-31T12:00:00Z`")),
            (None, Some(span)) => {
                let days = span.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
                let span = match days {
                    Some(days) => Some(Duration::from_secs(86_400 * u64::from(days))),
                    None => parse_duration(&span).ok(),
                };
                let end = span.and_then(|span| now.checked_add(span).ok());
                end.ok_or(("for", "must be a time such as `15m`, `2h` or `90d`"))
            }
        };
        match end {
            // As finely as the database keeps it.
            Ok(end) if end > now => Timestamp::from_microsecond(end.as_microsecond()).ok(),
            Ok(_) => {
                self.refuse(
                    if self.get("for").is_some() { "for" } else { "expires_at" },
                    "past",
                    "must be in the future",
                );
                None
            }
            Err((name, msg)) => {
                self.refuse(name, "datetime_parsing", msg);
                None
            }
        }
    }

    /// Notes fields that are none of these. A misspelt end would make what is meant for a while last.
    pub(super) fn only(&mut self, known: &[&str]) {
        for name in self.members.keys().filter(|name| !known.contains(&name.as_str())) {
            self.wrong.push(Field::body(
                name,
                "extra_forbidden",
                format!("is not known; known are {}", known.join(", ")),
            ));
        }
    }

    /// Refuses the call if anything was wrong.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        if self.wrong.is_empty() { Ok(()) } else { Err(ApiError::Unprocessable(self.wrong)) }
    }
}
