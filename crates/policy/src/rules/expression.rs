//! One CEL expression: compiled once, with its names checked and its patterns built, and evaluated within bounds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::{Context, ExecutionError, Value};

use super::functions::{self, PatternValue};
use super::scope::{Resolver, Scope};

mod check;
mod names;

pub(crate) use check::Subject;

/// The longest expression, in bytes.
const LONGEST: usize = 8 << 10;

/// A compiled expression.
pub(crate) struct Expression {
    ast: IdedExpr,
    patterns: Vec<PatternValue>,
}

/// Why an expression was refused, and where: line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It asks for something that is not there, a member of the arguments say.
    Missing(String),
    /// Anything else: values of a wrong type, too much work, arguments that cannot be read.
    Error(String),
}

impl Expression {
    /// Compiles `source`, an expression about `subject`.
    pub(crate) fn compile(source: &str, subject: Subject) -> Result<Self, Refused> {
        let whole = |message: String| Refused { line: 1, column: 1, message };
        if source.trim().is_empty() {
            return Err(whole("the expression is empty".to_owned()));
        }
        if source.len() > LONGEST {
            return Err(whole(format!("the expression has {} bytes, more than {LONGEST}", source.len())));
        }
        // The parser is another's code and reads what an operator sends: a panic there refuses the expression.
        let parsed =
            catch_unwind(AssertUnwindSafe(|| functions::environment().parser().parse_with_source_info(source)));
        let (mut ast, info) = match parsed {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(errors)) => {
                return Err(errors.errors.first().map_or_else(|| whole("cannot be read".into()), refused));
            }
            Err(_panic) => return Err(whole("cannot be read".to_owned())),
        };
        let patterns = check::check(&mut ast, &info, subject)?;
        Ok(Self { ast, patterns })
    }

    /// Whether it is true of what `scope` shows.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        self.value(scope, |value| match value.downcast_ref::<CelBool>() {
            Some(truth) => Ok(*truth.inner()),
            None => Err(Failure::Error(format!("its value is no bool but {}", value.get_type().name()))),
        })
    }

    /// Its value as JSON, which has to be an object.
    pub(crate) fn object(&self, scope: &Scope<'_>) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
        self.value(scope, |value| match super::values::to_json(value) {
            Some(serde_json::Value::Object(map)) => Ok(map),
            _ => Err(Failure::Error(format!("its value is no map of texts but {}", value.get_type().name()))),
        })
    }

    fn value<T>(
        &self,
        scope: &Scope<'_>,
        read: impl FnOnce(&dyn cel::common::value::Val) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let resolver = Resolver::new(scope, &self.patterns);
        let mut context = Context::with_env(Arc::clone(functions::environment()));
        context.set_variable_resolver(&resolver);
        let value = Value::resolve_val(&self.ast, &context);
        let result = match value {
            Ok(value) => read(value.as_ref()),
            Err(error) => Err(failure(&error)),
        };
        // An expression may turn an error into a value (`||`, `has`), these two never.
        if resolver.exhausted() {
            return Err(Failure::Error("it goes through too many elements".to_owned()));
        }
        match (scope.unreadable(), &result) {
            (Some(why), Ok(_) | Err(Failure::Missing(_))) => Err(Failure::Error(format!("the arguments are {why}"))),
            _ => result,
        }
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expression").field("patterns", &self.patterns.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line > 1 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "column {}: {}", self.column, self.message)
    }
}

fn refused(error: &cel::ParseError) -> Refused {
    let place = |n: isize| usize::try_from(n).unwrap_or_default();
    Refused { line: place(error.pos.0).max(1), column: place(error.pos.1).max(1), message: error.msg.clone() }
}

fn failure(error: &ExecutionError) -> Failure {
    match error {
        // All names were checked at load: what is not declared now is a value that this subject does not have.
        ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) | ExecutionError::UndeclaredReference(_) => {
            Failure::Missing(error.to_string())
        }
        _ => Failure::Error(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
