//! The audit log as it is read.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use luthien_record::store::{AuditEntry, AuditFilter};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::AdminState;
use super::error::ApiError;
use super::params::Params;

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditLog {
    /// Newest first.
    entries: Vec<AuditLine>,
    /// How many there are in all.
    total: u64,
    limit: u32,
    offset: u32,
}

/// Something that was done on the admin side.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditLine {
    id: Uuid,
    at: Timestamp,
    /// Who did it; null where that is not known.
    name: Option<String>,
    /// What they may do: `viewer`, `approver` or `admin`.
    role: Option<String>,
    /// How they proved who they are: `admin_key`, `token`, `session`, `link`, `bypass` (they did not), or `os_user` for a command.
    proof: Option<String>,
    /// The method of the call; `CLI` for a command on the database itself.
    method: String,
    /// The route, with names for its parts; else the command.
    route: String,
    /// The path that was called; with a refusal, from where.
    target: String,
    /// The HTTP status of the answer; null for a command.
    status: Option<u16>,
    /// The gateway that it was done on.
    replica: String,
}

/// What was done on the admin side, and by whom: every call that is not GET or HEAD, logins and logouts, and who was refused.
#[utoipa::path(
    get, path = "/api/admin/audit", tag = "access",
    params(
        ("limit" = Option<u32>, Query, description = "How many, 1 to 1000; 50 if it is not said."),
        ("offset" = Option<u32>, Query, description = "After so many of the newest."),
        ("name" = Option<String>, Query, description = "Only what somebody of this name did."),
        ("route" = Option<String>, Query, description = "Only what was done on this route."),
        ("from" = Option<String>, Query, description = "Only at or after this time."),
        ("to" = Option<String>, Query, description = "Only before this time."),
    ),
    responses((status = 200, body = AuditLog)),
)]
pub(super) async fn list(State(state): State<AdminState>, mut params: Params) -> Result<Json<AuditLog>, ApiError> {
    let filter = AuditFilter {
        limit: params.number("limit", 50, &(1..=1000)),
        offset: params.number("offset", 0, &(0..=u32::MAX)),
        name: params.text("name"),
        route: params.text("route"),
        from: params.time("from"),
        to: params.time("to"),
    };
    params.finish()?;
    let page = state.recorder.store().audit(&filter).await?;
    let entries = page.entries.into_iter().map(line).collect();
    Ok(Json(AuditLog { entries, total: page.total, limit: filter.limit, offset: filter.offset }))
}

fn line(entry: AuditEntry) -> AuditLine {
    let AuditEntry { id, at, name, role, proof, method, route, target, status, replica } = entry;
    AuditLine { id, at, name, role, proof, method, route, target, status, replica }
}
