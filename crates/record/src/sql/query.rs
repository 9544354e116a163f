//! A statement with its values.

use std::fmt::Write as _;

use super::Value;

/// A statement: its text, with `?` for each value, and the values in their order.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    /// This text. It has no `?` but those that stand for values.
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    /// This text with all its values.
    pub(super) fn with_values(sql: String, values: Vec<Value>) -> Self {
        Self { sql, values }
    }

    /// The value of the next `?`.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// More text.
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// A `?` with its value.
    pub(crate) fn push_value(&mut self, value: impl Into<Value>) -> &mut Self {
        self.sql.push('?');
        self.values.push(value.into());
        self
    }

    /// A list of values in parentheses, with a `?` for each.
    pub(crate) fn push_list(&mut self, values: impl IntoIterator<Item = impl Into<Value>>) -> &mut Self {
        self.sql.push('(');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.sql.push_str(", ");
            }
            self.push_value(value);
        }
        self.sql.push(')');
        self
    }

    pub(super) fn into_parts(self) -> (String, Vec<Value>) {
        (self.sql, self.values)
    }
}

/// The text as PostgreSQL takes it: `$1`, `$2` and so on in place of each `?`.
pub(super) fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 64);
    for (index, text) in sql.split('?').enumerate() {
        if index > 0 {
            let _ = write!(out, "${index}");
        }
        out.push_str(text);
    }
    out
}
