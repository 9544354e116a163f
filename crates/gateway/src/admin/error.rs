//! The errors of the admin and record routes, as HTTP.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use luthien_record::store::StoreError;
use serde::Serialize;

use super::who::Role;

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No key came.
    #[error(
        "the admin key is missing: send it, or your own token, as `Authorization: Bearer <key>` or `x-api-key`, or log in at /login"
    )]
    Unauthorized,
    /// Another key came.
    #[error("this is neither the admin key nor the token of a person who may use it now")]
    Forbidden,
    /// Too many wrong ones came.
    #[error("too many wrong keys were tried: wait {0} seconds; keys of 32 characters and more do not have to wait")]
    TooManyGuesses(u64),
    /// A page of another site made a browser call.
    #[error(
        "with the cookie of a login, changes are taken from this gateway's own pages alone: send a key, or `Sec-Fetch-Site: same-origin`"
    )]
    CrossSite,
    /// Who calls has not proved who they are.
    #[error(
        "LOCALHOST_AUTH_BYPASS does not answer for a person and lets nobody in: send the admin key or your own token"
    )]
    NotByBypass,
    /// Who calls may do less than this asks for.
    #[error("this needs the role `{}`", .0.name())]
    RoleTooLow(Role),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The route has no such method.
    #[error("this route does not take this method")]
    MethodNotAllowed,
    /// The body is too large.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It is not to be had in this way.
    #[error("{0}")]
    BadRequest(String),
    /// Fields are wrong.
    #[error("some fields are wrong")]
    Unprocessable(Vec<Field>),
    /// It cannot be done any more, or not now.
    #[error("{0}")]
    Conflict(String),
    /// Something else is going on; it is worth trying again.
    #[error("{0}")]
    Busy(String),
    /// The record cannot be read.
    #[error("the record cannot be read now")]
    Record(#[from] StoreError),
}

/// The body of every error.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// What is wrong: a text, or the wrong fields.
    pub detail: Detail,
}

/// What is wrong.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Detail {
    /// In words.
    Text(String),
    /// Field by field, with status 422.
    Fields(Vec<Field>),
}

/// A wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Field {
    /// Where it is: `query` or `body`, then its name.
    pub loc: Vec<String>,
    /// What is wrong with it.
    pub msg: String,
    /// The sort of problem.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl Field {
    /// A field of the body, or the body itself when `name` is empty.
    pub(super) fn body(name: &str, kind: &'static str, msg: impl Into<String>) -> Self {
        Self::at("body", name, kind, msg)
    }

    /// A parameter of the query.
    pub(super) fn query(name: &str, kind: &'static str, msg: impl Into<String>) -> Self {
        Self::at("query", name, kind, msg)
    }

    /// The same in an object of this name in the body.
    pub(super) fn inside(mut self, name: &str) -> Self {
        self.loc.insert(1, name.to_owned());
        self
    }

    fn at(place: &str, name: &str, kind: &'static str, msg: impl Into<String>) -> Self {
        let loc = [place, name].into_iter().filter(|step| !step.is_empty()).map(str::to_owned).collect();
        Self { loc, msg: msg.into(), kind }
    }
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::RoleTooLow(_) | Self::CrossSite | Self::NotByBypass => StatusCode::FORBIDDEN,
            Self::TooManyGuesses(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Busy(_) | Self::Record(StoreError::Database(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Record(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Record(error) = &self {
            tracing::error!(%error, "the record could not be read");
        }
        let status = self.status();
        let wait = if let Self::TooManyGuesses(wait) = self { Some(wait) } else { None };
        let detail = match self {
            Self::Unprocessable(fields) => Detail::Fields(fields),
            other => Detail::Text(other.to_string()),
        };
        let mut response = (status, Json(ErrorBody { detail })).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if let Some(wait) = wait {
            headers.insert(header::RETRY_AFTER, wait.into());
        }
        response
    }
}
