//! The routes of what policies leave to persons: what waits, and answering it.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::error::{ApiError, Field};
use super::params;
use super::{AdminState, Who};
use crate::approvals::{Approval, Reply, ReplyError};

/// The most characters of what a person says to the client.
const MESSAGE_MAX: usize = 4000;

/// `GET /api/admin/approvals`
pub(super) async fn list(State(state): State<AdminState>) -> Json<Value> {
    let (waiting, settled) = state.approvals.list();
    Json(json!({"waiting": waiting, "settled": settled}))
}

/// `GET /api/admin/approvals/{id}`
pub(super) async fn one(State(state): State<AdminState>, Path(id): Path<String>) -> Result<Json<Approval>, ApiError> {
    state.approvals.get(&id).map(Json).ok_or_else(|| ApiError::NotFound(ReplyError::Unknown.to_string()))
}

/// `POST /api/admin/approvals/{id}`
pub(super) async fn answer(
    State(state): State<AdminState>,
    who: Who,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Approval>, ApiError> {
    let reply = read(&params::object(body).await?, &who)?;
    match state.approvals.answer(&id, reply) {
        Ok(approval) => Ok(Json(approval)),
        Err(error @ ReplyError::Unknown) => Err(ApiError::NotFound(error.to_string())),
        Err(error @ ReplyError::Settled(_)) => Err(ApiError::Conflict(error.to_string())),
    }
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
