//! The panic switch: what it says, and turning it.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::ApiError;
use super::form::Form;
use super::params::{self, Params};
use super::{AdminState, Who};
use crate::panic_switch::{PanicMode, PanicOrder};

/// The longest text that clients are told, in bytes.
const LONGEST: usize = 1000;

/// `GET /api/admin/panic`
pub(super) async fn show(State(state): State<AdminState>) -> Json<Value> {
    Json(shown(&state, None))
}

/// `GET /api/admin/panic/history`
pub(super) async fn history(State(state): State<AdminState>, mut params: Params) -> Result<Json<Value>, ApiError> {
    let limit = params.number("limit", 50, &(1..=1000));
    params.finish()?;
    Ok(Json(json!({"history": state.recorder.store().panics(limit).await?})))
}

/// `POST /api/admin/panic`
pub(super) async fn turn(State(state): State<AdminState>, who: Who, body: Body) -> Result<Json<Value>, ApiError> {
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
    Ok(Json(shown(&state, kept.as_ref().err().map(String::as_str))))
}

fn shown(state: &AdminState, error: Option<&str>) -> Value {
    let live = state.policies.live().load();
    let order = &live.panic.order;
    let stored = state.policies.panic_is_kept();
    let warning = (!stored).then_some(
        "the switch counts, but the database has not kept it: a restart now would forget it; it is tried again every few seconds",
    );
    json!({
        "mode": order.mode,
        "reason": order.reason,
        "message": order.message,
        "set_by": live.panic.at.is_some().then_some(&order.by),
        "set_at": live.panic.at,
        "stored": stored,
        "warning": warning,
        "error": error,
    })
}
