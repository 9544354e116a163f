//! A condition of a branch: one expression about the request.

use luthien_wire::request::Request;

use super::config::On;
use super::expression::{Expression, Failure};
use super::scope::{About, Around, Known, Scope};
use crate::contract::{PolicyError, ReviewContext};
use crate::tree::Condition;

/// An expression that is true or false of a request.
#[derive(Debug)]
pub(crate) struct When(Expression);

impl When {
    /// Compiles it. The error says where in it what is wrong.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        Expression::compile(source, On::Request).map(Self).map_err(|refused| refused.to_string())
    }
}

impl Condition for When {
    fn holds(&self, request: &Request, context: &ReviewContext) -> Result<bool, PolicyError> {
        let around = Around {
            request,
            known: &Known::default(),
            session: context.session_id.as_deref(),
            user: context.user_id.as_deref(),
            earlier: &[],
        };
        match self.0.holds(&Scope::new(About::Request, around)) {
            Ok(holds) => Ok(holds),
            // As in rules: what is not there is not so.
            Err(Failure::Missing(_)) => Ok(false),
            Err(Failure::Error(why)) => Err(PolicyError(why)),
        }
    }
}
