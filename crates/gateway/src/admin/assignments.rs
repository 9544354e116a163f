//! Where policies apply: setting, listing and ending assignments, and which policies a request would run under.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody, Field};
use super::form::Form;
use super::params::{self, Params};
use super::policy::{self, Rejection, SetResult, Spec};
use super::{AdminState, Who};
use crate::live::Live;
use crate::panic_switch::PanicMode;
use crate::policy_state::{NewAssignment, scope_of};
use crate::scopes::{Asker, Assigned, How, KeyId, Place, Scope, key_of, key_text};
use crate::settings::{PolicyFailMode, PolicySource};

/// Longer names are none, in bytes.
const LONGEST: usize = 256;

mod shapes;

pub(super) use shapes::Assignment;
use shapes::{
    Asked, AssignmentList, Effective, EndedList, Global, NewScope, Part, PastAssignment, Rung, SetAssignment,
};

/// A policy for a part of the traffic.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "the form reads it field by field, so that each problem is named")]
pub(super) struct NewAssignmentBody {
    /// What it applies to.
    scope: NewScope,
    #[serde(flatten)]
    spec: Spec,
    /// How it stands to what is less specific: `replace`, or `add` behind it.
    #[schema(value_type = How, required = false)]
    how: Option<How>,
    /// From when on it no longer applies: a time.
    expires_at: Option<String>,
    /// The same as a span from now on, such as `15m`.
    #[serde(rename = "for")]
    span: Option<String>,
    /// Who sets it, where the credential does not say it.
    set_by: Option<String>,
}

/// The policies for parts of the traffic.
#[utoipa::path(get, path = "/api/admin/policy/assignments", tag = "assignments", responses((status = 200, body = AssignmentList)))]
pub(super) async fn list(State(state): State<AdminState>) -> Json<AssignmentList> {
    let (live, now) = (state.policies.live().load(), state.policies.now());
    let mut all: Vec<&Arc<Assigned>> = live.assignments.all().collect();
    all.sort_by_key(|assigned| assigned.id);
    let assignments: Vec<Assignment> = all.iter().map(|assigned| Assignment::new(assigned, now)).collect();
    let header_choices = live.assignments.choices().to_vec();
    Json(AssignmentList { total: assignments.len(), assignments, header_choices })
}

/// One of them.
#[utoipa::path(get, path = "/api/admin/policy/assignments/{id}", tag = "assignments", params(("id" = u64, Path, description = "The assignment's number.")),
    responses((status = 200, body = Assignment), (status = 404, body = ErrorBody, description = "There is no such assignment.")))]
pub(super) async fn one(
    State(state): State<AdminState>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Json<Assignment>, ApiError> {
    let Path(id) = id.map_err(|_| unknown())?;
    let live = state.policies.live().load();
    let found = live.assignments.all().find(|assigned| assigned.id == id && id != 0).ok_or_else(unknown)?;
    Ok(Json(Assignment::new(found, state.policies.now())))
}

/// Those that were ended or replaced, or whose time is over, latest first.
#[utoipa::path(get, path = "/api/admin/policy/assignments/ended", tag = "assignments", params(("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many at most; 50 where nothing is said."), ("offset" = Option<u32>, Query, minimum = 0, description = "How many to pass over.")), responses((status = 200, body = EndedList)))]
pub(super) async fn ended(State(state): State<AdminState>, mut params: Params) -> Result<Json<EndedList>, ApiError> {
    let (limit, offset) = (params.number("limit", 50, &(1..=1000)), params.number("offset", 0, &(0..=u32::MAX)));
    params.finish()?;
    let ended = state.recorder.store().ended_assignments(limit, offset).await?;
    let assignments = ended
        .into_iter()
        .map(|ended| {
            let scope = scope_of(&ended).map(|scope| scope.as_json());
            let (ended_at, ended_by) = ended.ended.unzip();
            PastAssignment {
                id: ended.id,
                scope,
                policy_class_ref: ended.class_ref,
                config: ended.config,
                mode: ended.mode,
                how: ended.how,
                set_by: ended.set_by,
                set_at: ended.set_at,
                expires_at: ended.expires_at,
                ended_by,
                ended_at,
            }
        })
        .collect();
    Ok(Json(EndedList { assignments, offset }))
}

/// Sets a policy for a part of the traffic. 200 with `success: false` where it does not load.
#[utoipa::path(post, path = "/api/admin/policy/assignments", tag = "assignments", request_body = NewAssignmentBody, responses((status = 200, body = SetAssignment)))]
pub(super) async fn add(
    State(state): State<AdminState>,
    who: Who,
    body: Body,
) -> Result<Json<SetAssignment>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let spec = form.spec();
    let scope = scope(&state, &mut form).await?;
    let default = if matches!(scope, Some(Scope::Header(_))) { How::Add } else { How::Replace };
    let how = match form.text("how").as_deref() {
        None => default,
        Some("replace") => How::Replace,
        Some("add") => How::Add,
        Some(_) => {
            form.refuse("how", "enum", "must be `replace` or `add`");
            default
        }
    };
    let (expires_at, by) = (form.end(state.policies.now()), form.by("set_by", &who));
    if scope == Some(Scope::Global) && form.get("expires_at").or_else(|| form.get("for")).is_none() {
        let msg = "a global assignment needs an end, `expires_at` or `for`; POST /api/admin/policy/set sets what stays";
        form.refuse("expires_at", "missing", msg);
    }
    form.only(&["scope", "policy_class_ref", "config", "mode", "how", "expires_at", "for", "set_by"]);
    form.finish()?;
    who.may_use(&spec)?;
    let Some(scope) = scope else { return Err(ApiError::Unprocessable(Vec::new())) };
    let began = Instant::now();
    let set = state.policies.assign(NewAssignment { scope, spec, how, expires_at, by }).await;
    let assignment = set.as_ref().ok().map(|assigned| Assignment::new(assigned, state.policies.now()));
    let done =
        set.map(|set| (format!("the policy `{}` is assigned as {}", set.name(), set.id), set.spec.class.clone()));
    let Json(result) = policy::result(began, done)?;
    Ok(Json(SetAssignment { result, assignment }))
}

/// Ends one of them.
#[utoipa::path(delete, path = "/api/admin/policy/assignments/{id}", tag = "assignments", params(("id" = u64, Path, description = "The assignment's number."),
    ("ended_by" = Option<String>, Query, description = "Who ends it, where the credential does not say it.")),
    responses((status = 200, body = SetResult), (status = 404, body = ErrorBody, description = "There is no such assignment.")))]
pub(super) async fn end(
    State(state): State<AdminState>,
    who: Who,
    id: Result<Path<u64>, PathRejection>,
    params: Params,
) -> Result<Json<SetResult>, ApiError> {
    let Path(id) = id.map_err(|_| unknown())?;
    let by = who.signs(params.text("ended_by"));
    let began = Instant::now();
    let done = match state.policies.end_assignment(id, &by).await {
        Ok(None) => return Err(unknown()),
        Ok(Some(ended)) => Ok((format!("the assignment {id} is ended"), ended.spec.class.clone())),
        Err(error) => Err(error),
    };
    policy::result(began, done)
}

fn unknown() -> ApiError {
    ApiError::NotFound("there is no such assignment".to_owned())
}

/// The scope that a body names; none where something is wrong with it.
async fn scope(state: &AdminState, form: &mut Form<'_>) -> Result<Option<Scope>, ApiError> {
    let Some(Value::Object(given)) = form.get("scope") else {
        form.refuse("scope", "missing", "is required: an object with `kind`");
        return Ok(None);
    };
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let named =
        |name: &str| text(name).filter(|text| !text.is_empty() && text.len() <= LONGEST && !text.contains('\0'));
    let wrong = |form: &mut Form<'_>, name: &str, msg: &str| {
        form.refuse(&format!("scope.{name}"), "value_error", msg);
        Ok(None)
    };
    let key = match given.get("key").filter(|key| !key.is_null()) {
        None => None,
        Some(key) => match key.as_str().and_then(key_of) {
            Some(key) => Some(key),
            None => return wrong(form, "key", KEY_FORM),
        },
    };
    match text("kind") {
        Some("global") => Ok(Some(Scope::Global)),
        Some("key") => match key {
            Some(key) => Ok(Some(Scope::Key(key))),
            None => wrong(form, "key", KEY_FORM),
        },
        Some("session") => {
            let Some(session) = named("session") else {
                return wrong(form, "session", "is required: the session's id");
            };
            match session_of(state, session, key).await? {
                Some((key, session)) => Ok(Some(Scope::Session(key, session))),
                None => wrong(form, "session", NO_SESSION),
            }
        }
        Some("header") => match named("name") {
            Some(name) if state.policies.live().load().assignments.choices().iter().any(|choice| choice == name) => {
                Ok(Some(Scope::Header(name.to_owned())))
            }
            Some(_) => wrong(form, "name", "requests may not choose this name: POLICY_HEADER_CHOICES does not list it"),
            None => wrong(form, "name", "is required: what requests ask for"),
        },
        _ => wrong(form, "kind", "must be `global`, `key`, `session` or `header`"),
    }
}

const KEY_FORM: &str = "must be a key's id: 32 hexadecimal digits, as GET /api/history/sessions has them";
const NO_SESSION: &str =
    "the record knows no such session; with `key` beside it, the session may be one that is still to come";

/// The session by its client's name and key: as given, else as the record names it.
async fn session_of(
    state: &AdminState,
    session: &str,
    key: Option<KeyId>,
) -> Result<Option<(KeyId, String)>, ApiError> {
    if let Some(key) = key {
        return Ok(Some((key, session.to_owned())));
    }
    let found = state.recorder.store().session_key(session).await?;
    Ok(found.map(|(session, key)| (key, session)))
}

/// What a request would run under, and the whole ladder.
#[utoipa::path(get, path = "/api/admin/policy/effective", tag = "assignments", responses((status = 200, body = Effective)), params(
    ("key" = Option<String>, Query, description = "The id of the key that it comes with."),
    ("session" = Option<String>, Query, description = "Its session, as the list of sessions has it, or with `key` as its client names it."),
    ("header" = Option<String>, Query, description = "The policy that it asks for.")))]
pub(super) async fn effective(State(state): State<AdminState>, params: Params) -> Result<Json<Effective>, ApiError> {
    let wrong = |name: &str, msg: &str| Err(ApiError::Unprocessable(vec![Field::query(name, "value_error", msg)]));
    let mut key = match params.text("key").map(|key| key_of(&key)) {
        None => None,
        Some(Some(key)) => Some(key),
        Some(None) => return wrong("key", KEY_FORM),
    };
    let mut session = params.text("session");
    let wish = params.text("header");
    params.finish()?;
    if let Some(name) = &session {
        match session_of(&state, name, key).await? {
            Some((of, name)) => (key, session) = (Some(of), Some(name)),
            None => return wrong("session", NO_SESSION),
        }
    }
    let (live, now) = (state.policies.live().load(), state.policies.now());
    let asker = Asker { key, session: session.as_deref(), wish: wish.as_deref() };
    Ok(Json(explained(&live, &asker, now, state.policies.source())))
}

/// The whole ladder, what is first at the top.
fn explained(live: &Live, asker: &Asker<'_>, now: Timestamp, source: PolicySource) -> Effective {
    let (order, guard) = (&live.panic.order, &live.rules.guard);
    let mut ladder = vec![
        Rung::Panic {
            rung: "panic",
            mode: order.mode,
            applies: order.mode != PanicMode::Off,
            set_by: order.by.clone(),
            set_at: live.panic.at,
            why: "nothing outranks the panic switch",
        },
        Rung::Dogfood {
            rung: "dogfood",
            policy: guard.names(),
            applies: guard.names() != "no_op",
            why: "DOGFOOD_MODE puts the policy that protects the gateway first in every chain",
        },
    ];
    let rungs = live.assignments.ladder(asker, now);
    let wish_error = rungs.as_ref().err().map(ToString::to_string);
    let mut replaced = false;
    for (assigned, place) in rungs.into_iter().flatten() {
        replaced |= place == Place::Applies && assigned.how == How::Replace;
        ladder.push(Rung::Assigned(Part {
            assignment: Assignment::new(assigned, now),
            rung: assigned.scope.kind(),
            place,
            applies: place == Place::Applies,
            why: why(assigned.how, place, live.fail_mode()),
        }));
    }
    let standing = &live.standing;
    let rejected = standing.rejected();
    let active = standing.active.clone();
    ladder.push(Rung::Global(Global {
        rung: "global",
        place: match (replaced, rejected) {
            (true, _) => Place::Outranked,
            (false, Some(_)) => Place::Rejected,
            (false, None) => Place::Applies,
        },
        applies: !replaced && rejected.is_none(),
        policy: active.policy,
        policy_class_ref: active.class_ref,
        config: active.config,
        mode: active.mode,
        source: standing.origin.clone(),
        set_by: active.enabled_by,
        set_at: active.enabled_at,
        expires_at: None,
        rejected: rejected.map(Rejection::from),
        why: format!("the policy for everything; at the start {}", first(source)),
    }));
    let chosen = live.choose(asker, now);
    Effective {
        policy: chosen.as_ref().ok().map(|chosen| chosen.plan.names()),
        label: chosen.as_ref().ok().map(|chosen| chosen.label().to_owned()),
        refused: wish_error.or_else(|| chosen.as_ref().err().map(ToString::to_string)),
        unchecked: chosen.as_ref().is_ok_and(|chosen| !chosen.missing.is_empty()),
        fail_mode: live.fail_mode().as_str(),
        asked: Asked {
            key: asker.key.map(key_text),
            session: asker.session.map(str::to_owned),
            header: asker.wish.map(str::to_owned),
        },
        ladder,
    }
}

fn why(how: How, place: Place, fail_mode: PolicyFailMode) -> &'static str {
    match (place, how, fail_mode) {
        (Place::Applies, How::Replace, _) => "the most specific and newest that stands in place of what is below",
        (Place::Applies, How::Add, _) => "stands behind what is below",
        (Place::Outranked, ..) => "something above stands in its place",
        (Place::Expired, ..) => "its time is over",
        (Place::Rejected, _, PolicyFailMode::Closed) => "it did not load, so that this traffic is refused",
        (Place::Rejected, _, PolicyFailMode::Open) => "it did not load; this traffic passes without it, as failed open",
    }
}

fn first(source: PolicySource) -> &'static str {
    match source {
        PolicySource::Db => "it comes from the database (POLICY_SOURCE=db)",
        PolicySource::File => "it comes from the file (POLICY_SOURCE=file)",
        PolicySource::DbFallbackFile => "the database goes before the file (POLICY_SOURCE=db-fallback-file)",
        PolicySource::FileFallbackDb => "the file goes before the database (POLICY_SOURCE=file-fallback-db)",
    }
}
