//! Why a configuration was refused, field by field.

use std::fmt;

use serde::Serialize;

/// A configuration was refused. Holds at least one problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines())]
pub struct LoadError {
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PolicyProblem)]
pub struct Problem {
    /// The way to the field: keys, and indices as decimal numbers.
    pub loc: Vec<String>,
    /// What is wrong with it and what would be right.
    pub msg: String,
    /// The sort of problem.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
}

/// The sorts of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// No policy has this class.
    UnknownClass,
    /// The policy has no such field.
    UnknownField,
    /// A required field is not there.
    Missing,
    /// A value of the wrong type.
    WrongType,
    /// A value of the right type that may not be.
    BadValue,
}

impl LoadError {
    /// One problem.
    pub fn one(loc: Vec<String>, kind: ProblemKind, msg: impl Into<String>) -> Self {
        Self { problems: vec![Problem { loc, msg: msg.into(), kind }] }
    }

    fn lines(&self) -> String {
        self.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.loc.iter().enumerate() {
            if step.bytes().all(|b| b.is_ascii_digit()) && !step.is_empty() {
                write!(f, "[{step}]")?;
            } else if i == 0 {
                f.write_str(step)?;
            } else {
                write!(f, ".{step}")?;
            }
        }
        if !self.loc.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.msg)
    }
}
