//! The routes of what policies leave to persons: what waits, and answering it.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody, Field};
use super::params;
use super::{AdminState, Who};
use crate::approvals::{Approval, Reply, ReplyError};

/// The most characters of what a person says to the client.
const MESSAGE_MAX: usize = 4000;

type Id = Result<Path<String>, PathRejection>;

/// What policies leave to persons.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approvals)]
pub(super) struct Questions {
    /// What waits, oldest first.
    waiting: Vec<Approval>,
    /// What was settled, latest first.
    settled: Vec<Approval>,
}

/// A person's answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalAnswer)]
#[expect(dead_code, reason = "the body is read field by field, so that each problem is named")]
pub(super) struct Answer {
    /// Yes or no.
    decision: Decision,
    /// What the client is told with a no.
    #[schema(max_length = 4000)]
    message: Option<String>,
    /// Who answers, where the credential does not say it.
    #[schema(max_length = 200)]
    by: Option<String>,
}

/// Yes or no.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalDecision)]
enum Decision {
    /// It goes on.
    Allow,
    /// It does not.
    Deny,
}

/// What policies leave to persons: what waits, and what was settled last.
#[utoipa::path(get, path = "/api/admin/approvals", tag = "approvals", responses((status = 200, body = Questions)))]
pub(super) async fn list(State(state): State<AdminState>) -> Json<Questions> {
    let (waiting, settled) = state.approvals.list();
    Json(Questions { waiting, settled })
}

/// One question.
#[utoipa::path(get, path = "/api/admin/approvals/{id}", tag = "approvals", params(("id" = String, Path, description = "The question's id.")),
    responses((status = 200, body = Approval), (status = 404, body = ErrorBody, description = "There is no such question.")))]
pub(super) async fn one(State(state): State<AdminState>, id: Id) -> Result<Json<Approval>, ApiError> {
    let id = known(id)?;
    state.approvals.get(&id).map(Json).ok_or_else(|| ApiError::NotFound(ReplyError::Unknown.to_string()))
}

/// Answers a question. The first answer counts.
#[utoipa::path(post, path = "/api/admin/approvals/{id}", tag = "approvals", request_body = Answer,
    params(("id" = String, Path, description = "The question's id.")),
    responses((status = 200, body = Approval), (status = 404, body = ErrorBody, description = "There is no such question."),
        (status = 409, body = ErrorBody, description = "It is settled already.")))]
pub(super) async fn answer(
    State(state): State<AdminState>,
    who: Who,
    id: Id,
    body: Body,
) -> Result<Json<Approval>, ApiError> {
    let id = known(id)?;
    let reply = read(&params::object(body).await?, &who)?;
    match state.approvals.answer(&id, reply) {
        Ok(approval) => Ok(Json(approval)),
        Err(error @ ReplyError::Unknown) => Err(ApiError::NotFound(error.to_string())),
        Err(error @ ReplyError::Settled(_)) => Err(ApiError::Conflict(error.to_string())),
    }
}

/// An id that a question can have.
fn known(id: Id) -> Result<String, ApiError> {
    id.map(|Path(id)| id).map_err(|_| ApiError::NotFound(ReplyError::Unknown.to_string()))
}

fn read(members: &Map<String, Value>, who: &Who) -> Result<Reply, ApiError> {
    let mut wrong = Vec::new();
    let allow = match members.get("decision") {
        Some(Value::String(word)) if word == "allow" => true,
        Some(Value::String(word)) if word == "deny" => false,
        Some(_) => {
            wrong.push(Field::body("decision", "enum", "must be `allow` or `deny`"));
            false
        }
        None => {
            wrong.push(Field::body("decision", "missing", "is required: `allow` or `deny`"));
            false
        }
    };
    let mut text = |name: &str, most: usize| match members.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.chars().count() <= most => Some(text.clone()),
        Some(Value::String(_)) => {
            wrong.push(Field::body(name, "too_long", format!("must have at most {most} characters")));
            None
        }
        Some(_) => {
            wrong.push(Field::body(name, "string_type", "must be a text"));
            None
        }
    };
    let message = text("message", MESSAGE_MAX).filter(|message| !message.is_empty());
    let by = text("by", 200).filter(|by| !by.is_empty()).unwrap_or_else(|| who.name().to_owned());
    let by = who.signs(Some(by));
    for name in members.keys().filter(|name| !matches!(name.as_str(), "decision" | "message" | "by")) {
        wrong.push(Field::body(name, "extra_forbidden", "is not known here"));
    }
    if wrong.is_empty() { Ok(Reply { allow, message, by }) } else { Err(ApiError::Unprocessable(wrong)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admin::{Proof, Role};

    #[test]
    fn who_answers_is_who_calls_where_that_is_known() {
        let by = |said: Value, who: &Who| {
            let mut members = Map::from_iter([("decision".to_owned(), json!("allow"))]);
            members.insert("by".to_owned(), said);
            read(&members, who).unwrap().by
        };
        let (ann, admin) = (Who::named("Ann", Role::Approver), Who::with_admin_key(Proof::AdminKey));
        assert_eq!([by(json!("Bob"), &ann), by(json!(null), &ann)], ["Ann", "Ann"]);
        assert_eq!([by(json!("Bob"), &admin), by(json!(null), &admin)], ["Bob", "admin"]);
    }
}
