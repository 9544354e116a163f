//! The panic switch: what it says, and turning it.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use jiff::Timestamp;
use luthien_record::store::StoredPanic;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::ApiError;
use super::form::Form;
use super::params::{self, Params};
use super::{AdminState, Who};
use crate::panic_switch::{PanicMode, PanicOrder};

/// The longest text that clients are told, in bytes.
const LONGEST: usize = 1000;

/// What the panic switch says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Panic {
    /// What is stopped.
    mode: PanicMode,
    /// Why, for the operators.
    reason: Option<String>,
    /// What clients are told.
    message: Option<String>,
    /// Who turned it; null where it was never used.
    set_by: Option<String>,
    /// When; null where it was never used.
    set_at: Option<Timestamp>,
    /// The database has kept it.
    stored: bool,
    /// What follows where it has not.
    warning: Option<&'static str>,
    /// Why it has not.
    error: Option<String>,
}

/// How the panic switch was turned, latest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PanicHistory {
    history: Vec<StoredPanic>,
}

/// What the panic switch is to say.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "the form reads it field by field, so that each problem is named")]
pub(super) struct NewPanic {
    mode: PanicMode,
    /// Why, for the operators; at most 1000 bytes.
    reason: Option<String>,
    /// What clients are told; at most 1000 bytes.
    message: Option<String>,
    /// Who turns it, where the credential does not say it.
    set_by: Option<String>,
}

/// What the panic switch says.
#[utoipa::path(get, path = "/api/admin/panic", tag = "panic", responses((status = 200, body = Panic)))]
pub(super) async fn show(State(state): State<AdminState>) -> Json<Panic> {
    Json(shown(&state, None))
}

/// Who turned the panic switch, when and why, latest first.
#[utoipa::path(get, path = "/api/admin/panic/history", tag = "panic", params(("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many at most; 50 where nothing is said.")), responses((status = 200, body = PanicHistory)))]
pub(super) async fn history(
    State(state): State<AdminState>,
    mut params: Params,
) -> Result<Json<PanicHistory>, ApiError> {
    let limit = params.number("limit", 50, &(1..=1000));
    params.finish()?;
    Ok(Json(PanicHistory { history: state.recorder.store().panics(limit).await? }))
}

/// Turns the panic switch. It counts at once, also where the database is away.
#[utoipa::path(post, path = "/api/admin/panic", tag = "panic", request_body = NewPanic, responses((status = 200, body = Panic)))]
pub(super) async fn turn(State(state): State<AdminState>, who: Who, body: Body) -> Result<Json<Panic>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let mode = form.get("mode").and_then(Value::as_str).and_then(PanicMode::from_name);
    if mode.is_none() {
        form.refuse("mode", "enum", "must be `off`, `tool_calls` or `traffic`");
    }
    let (reason, message, by) = (form.text("reason"), form.text("message"), form.by("set_by", &who));
    for (name, text) in [("reason", &reason), ("message", &message)] {
        if text.as_ref().is_some_and(|text| text.len() > LONGEST) {
            form.refuse(name, "too_long", format!("must have at most {LONGEST} bytes"));
        }
    }
    form.finish()?;
    let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let order = PanicOrder { mode: mode.unwrap_or_default(), reason: some(reason), message: some(message), by };
    let data = json!({"mode": order.mode, "reason": order.reason, "set_by": order.by});
    let kept = state.policies.halt(order).await;
    state.activity.tell("", "operator.panic", state.policies.now(), data);
    Ok(Json(shown(&state, kept.err())))
}

fn shown(state: &AdminState, error: Option<String>) -> Panic {
    let live = state.policies.live().load();
    let order = &live.panic.order;
    let stored = state.policies.panic_is_kept();
    let warning = (!stored).then_some(
        "the switch counts, but the database has not kept it: a restart now would forget it; it is tried again every few seconds",
    );
    Panic {
        mode: order.mode,
        reason: order.reason.clone(),
        message: order.message.clone(),
        set_by: live.panic.at.is_some().then(|| order.by.clone()),
        set_at: live.panic.at,
        stored,
        warning,
        error,
    }
}
