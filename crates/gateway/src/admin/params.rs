//! Reading a call's query and body, every problem with its place.

use std::ops::RangeInclusive;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::error::{ApiError, Field};

/// The largest body that these routes take, in bytes.
const BODY_MAX: usize = 1 << 20;

/// What is said of a text that PostgreSQL could not hold.
pub(super) const NO_NUL: &str = "must not have a NUL in it";

/// A call's query parameters. Unknown ones are let be; of a repeated one the last counts.
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    wrong: Vec<Field>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<Query<Vec<(String, String)>>, QueryRejection> = Query::from_request_parts(parts, state).await;
        let Query(pairs) = query
            .map_err(|error| ApiError::Unprocessable(vec![Field::query("", "query_invalid", error.body_text())]))?;
        let nul = pairs.iter().find(|(name, value)| name.contains('\0') || value.contains('\0'));
        match nul {
            Some((name, _)) => {
                let name = name.replace('\0', "");
                Err(ApiError::Unprocessable(vec![Field::query(&name, "string_pattern", NO_NUL)]))
            }
            None => Ok(Self { pairs, wrong: Vec::new() }),
        }
    }
}

impl Params {
    /// A text; an empty one counts as none.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)?;
        (!value.is_empty()).then(|| value.clone())
    }

    /// A whole number in a range, or the default.
    pub(super) fn number(&mut self, name: &str, default: u32, range: &RangeInclusive<u32>) -> u32 {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let message = format!("must be a whole number from {} to {}", range.start(), range.end());
                self.wrong.push(Field::query(name, "int_parsing", message));
                default
            }
        }
    }

    /// A switch; none if it is not given.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => {
                self.wrong.push(Field::query(name, "bool_parsing", "must be `true` or `false`"));
                None
            }
        }
    }

    /// A time with its offset, or a date, which stands for its beginning in UTC.
    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        // In a query, an unescaped `+` arrives as a space.
        let time = text.replace(' ', "+").parse().or_else(|_| format!("{text}T00:00:00Z").parse());
        time.map_err(|_| {
            let message = "must be a time such as `2026-01-31T12:00:00Z` or a date";
            self.wrong.push(Field::query(name, "datetime_parsing", message));
        })
        .ok()
    }

    /// Notes what is wrong with a parameter.
    pub(super) fn refuse(&mut self, field: Field) {
        self.wrong.push(field);
    }

    /// Refuses the call if anything was wrong.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        if self.wrong.is_empty() { Ok(()) } else { Err(ApiError::Unprocessable(self.wrong)) }
    }
}

/// Whether a path is a text without NUL once what is escaped in it is undone.
pub(super) fn is_text(path: &str) -> bool {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| *first == b'%');
        let byte = escaped.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = byte.unwrap_or((*first, after));
        plain.push(byte);
        rest = after;
    }
    !plain.contains(&0) && std::str::from_utf8(&plain).is_ok()
}

/// A body that is a JSON object.
pub(super) async fn object(body: Body) -> Result<Map<String, Value>, ApiError> {
    let bytes = match Limited::new(body, BODY_MAX).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(ApiError::TooLarge(BODY_MAX)),
        Err(_) => {
            return Err(ApiError::Unprocessable(vec![Field::body("", "body_incomplete", "did not arrive whole")]));
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(ApiError::Unprocessable(vec![Field::body("", "object_type", "must be a JSON object")])),
        Err(error) => {
            Err(ApiError::Unprocessable(vec![Field::body("", "json_invalid", format!("is not JSON: {error}"))]))
        }
    }
}
