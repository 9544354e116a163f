//! Who makes a call to the admin routes, and what they may do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// What a person may do: what the roles before it may, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything, changes nothing.
    Viewer,
    /// Answers what policies leave to persons.
    Approver,
    /// Changes everything.
    Admin,
}

impl Role {
    /// Its word, as in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The admin key, which has no person's name.
    AdminKey,
}

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    name: Arc<str>,
    role: Role,
    proof: Proof,
}

impl Who {
    /// Somebody with the admin key.
    pub fn with_admin_key() -> Self {
        Self { name: "admin".into(), role: Role::Admin, proof: Proof::AdminKey }
    }

    /// What they may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How they proved who they are.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// The name under which a change is kept: a person's own, whatever the call says. With the admin key, which several may have, what
    /// the call says, else `api`.
    pub fn signs(&self, said: Option<String>) -> String {
        match self.proof {
            Proof::AdminKey => said.unwrap_or_else(|| "api".to_owned()),
        }
    }

    /// The name by which the log and the audit log have them.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // Only behind the layer that asks for a credential; a route that stands elsewhere by mistake lets nobody in.
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::Unauthorized)
    }
}

/// Lets through who has at least this role.
pub(super) async fn at_least(State(least): State<Role>, who: Who, request: Request, next: Next) -> Response {
    if who.role() >= least { next.run(request).await } else { ApiError::RoleTooLow(least).into_response() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_ones_before_it_may() {
        assert!(Role::Viewer < Role::Approver && Role::Approver < Role::Admin);
    }
}
