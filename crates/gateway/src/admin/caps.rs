//! What keys, sessions and users may use, and what they have used.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use jiff::Timestamp;
use luthien_record::store::{Spender, Spent, StoredCaps, Totals};
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::error::{ApiError, Field};
use super::form::Form;
use super::params::{self, Params};
use super::who::Who;
use crate::caps::{Caps, Dollars, ScopeId, ScopeKind, day_of, next_day};
use crate::scopes::key_of;

/// Longer names are none, in bytes.
const LONGEST: usize = 256;

/// What all of a kind may use, and what particular ones may.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AllCaps {
    /// What the settings say.
    defaults: DefaultCaps,
    /// Answers under way at once in each gateway; 0: as many as come.
    max_concurrent_streams: usize,
    /// What was set for particular keys, sessions and users, by scope and id.
    caps: Vec<CapsOf>,
    /// When today ends, UTC: what is counted by the day begins anew.
    day_ends_at: Timestamp,
}

/// What all of a kind may use.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DefaultCaps {
    /// Each key.
    key: Caps,
    /// Each session.
    session: Caps,
    /// Each user.
    user: Caps,
}

/// What one key, session or user may use, and what it has used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CapsOf {
    scope: ScopeKind,
    /// A key's id in 32 hexadecimal digits (`key` of a client key), a session's or a user's name.
    id: String,
    /// What was set for it, if anything was.
    caps: Option<Caps>,
    /// What holds: the tighter of that and of what holds for all of its kind. A client key's own limits come on top.
    effective: Caps,
    /// When it was set.
    set_at: Option<Timestamp>,
    /// By whom.
    set_by: Option<String>,
    /// What was used; of a session once for each key that has one of this name.
    used: Vec<UsedBy>,
}

/// What somebody has used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsedBy {
    /// The key that a session belongs to.
    key: Option<String>,
    /// Since midnight, UTC.
    today: Amount,
    /// On all days that are remembered.
    in_all: Amount,
    /// Answers under way at this gateway now.
    concurrent_streams: u32,
}

/// How much was used. Counted only while a cap asks for it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Amount {
    tokens: u64,
    /// Exact, as text.
    #[schema(value_type = String)]
    dollars: Dollars,
    judge_calls: u64,
}

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TakenBack {
    success: bool,
    scope: ScopeKind,
    id: String,
}

/// New caps of one key, session or user.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the body is read field by field; this describes it")]
pub(super) struct NewCaps {
    /// What it may use, in place of what was set before.
    caps: Caps,
    /// Who sets it.
    set_by: Option<String>,
}

/// What all of a kind may use, what was set for particular ones, and what those have used.
#[utoipa::path(get, path = "/api/admin/caps", tag = "limits", responses((status = 200, body = AllCaps)))]
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<AllCaps>, ApiError> {
    params.finish()?;
    let now = state.policies.now();
    let stored = state.recorder.store().caps().await?;
    let mut caps = Vec::new();
    let named: Vec<(ScopeKind, String, StoredCaps)> = stored
        .into_iter()
        .filter_map(|stored| Some((ScopeKind::of_name(&stored.scope)?, stored.id.clone(), stored)))
        .collect();
    let of: Vec<Spender> = named.iter().map(|(kind, id, _)| spender(*kind, id)).collect();
    let spent: Vec<(Spender, Totals)> = state.recorder.store().spent(&of, day_of(now)).await?.into_iter().collect();
    for (kind, id, stored) in named {
        caps.push(shown(&state, kind, &id, Some(stored), &spent, now));
    }
    let defaults = state.caps.defaults();
    Ok(Json(AllCaps {
        defaults: DefaultCaps { key: defaults.key, session: defaults.session, user: defaults.user },
        max_concurrent_streams: state.settings.current().max_concurrent_streams,
        caps,
        day_ends_at: next_day(now),
    }))
}

/// What one key, session or user may use, and what it has used, whether or not something was set for it.
#[utoipa::path(get, path = "/api/admin/caps/{scope}/{id}", tag = "limits",
    params(("scope" = ScopeKind, Path, description = "What it is."), ("id" = String, Path, description = "Which one.")),
    responses((status = 200, body = CapsOf)))]
pub(super) async fn one(
    State(state): State<AdminState>,
    Path((scope, id)): Path<(String, String)>,
    params: Params,
) -> Result<Json<CapsOf>, ApiError> {
    params.finish()?;
    let (kind, id) = named(&scope, &id)?;
    Ok(Json(found(&state, kind, &id).await?))
}

/// Sets what one key, session or user may use, in place of what was set before. It holds on all gateways within a second.
#[utoipa::path(put, path = "/api/admin/caps/{scope}/{id}", tag = "limits", request_body = NewCaps,
    params(("scope" = ScopeKind, Path, description = "What it is."), ("id" = String, Path, description = "Which one.")),
    responses((status = 200, body = CapsOf)))]
pub(super) async fn set(
    State(state): State<AdminState>,
    who: Who,
    Path((scope, id)): Path<(String, String)>,
    body: Body,
) -> Result<Json<CapsOf>, ApiError> {
    let (kind, id) = named(&scope, &id)?;
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let read = form.get("caps").cloned().map(serde_json::from_value::<Caps>);
    let read = read.map(|read| read.map_err(|error| error.to_string()).and_then(|caps| caps.checked(kind)));
    let caps = match read {
        Some(Ok(caps)) if caps.is_empty() => {
            form.refuse("caps", "value_error", "must say at least one cap; DELETE takes back what was set");
            caps
        }
        Some(Ok(caps)) => caps,
        Some(Err(error)) => {
            form.refuse("caps", "value_error", error);
            Caps::default()
        }
        None => {
            form.refuse("caps", "missing", "is required: an object such as {\"tokens_per_day\": 1000000}");
            Caps::default()
        }
    };
    let set_by = form.by("set_by", &who);
    form.only(&["caps", "set_by"]);
    form.finish()?;
    let stored = StoredCaps {
        scope: kind.name().to_owned(),
        id: id.clone(),
        caps: serde_json::to_value(caps).unwrap_or_default(),
        set_at: state.policies.now(),
        set_by: set_by.clone(),
    };
    state.recorder.store().set_caps(&stored).await?;
    state.changed_caps().await?;
    tracing::info!(scope = kind.name(), %id, by = %set_by, "caps were set");
    Ok(Json(found(&state, kind, &id).await?))
}

/// Takes back what was set for one key, session or user: what holds for all of its kind counts again.
#[utoipa::path(delete, path = "/api/admin/caps/{scope}/{id}", tag = "limits",
    params(("scope" = ScopeKind, Path, description = "What it is."), ("id" = String, Path, description = "Which one."),
        ("set_by" = Option<String>, Query, description = "Who takes it back.")),
    responses((status = 200, body = TakenBack), (status = 404, description = "Nothing was set for it.")))]
pub(super) async fn forget(
    State(state): State<AdminState>,
    who: Who,
    Path((scope, id)): Path<(String, String)>,
    params: Params,
) -> Result<Json<TakenBack>, ApiError> {
    let by = who.signs(params.text("set_by"));
    params.finish()?;
    let (kind, id) = named(&scope, &id)?;
    if !state.recorder.store().forget_caps(kind.name(), &id).await? {
        return Err(ApiError::NotFound(format!("no caps were set for this {}", kind.name())));
    }
    state.changed_caps().await?;
    tracing::info!(scope = kind.name(), %id, %by, "caps were taken back");
    Ok(Json(TakenBack { success: true, scope: kind, id }))
}

/// The scope and id of a path, checked.
fn named(scope: &str, id: &str) -> Result<(ScopeKind, String), ApiError> {
    let wrong = |name: &str, msg: &str| {
        let loc = vec!["path".to_owned(), name.to_owned()];
        Err(ApiError::Unprocessable(vec![Field { loc, msg: msg.to_owned(), kind: "value_error" }]))
    };
    let Some(kind) = ScopeKind::of_name(scope) else { return wrong("scope", "must be `key`, `session` or `user`") };
    if id.is_empty() || id.len() > LONGEST {
        return wrong("id", "must have 1 to 256 bytes");
    }
    if kind == ScopeKind::Key && key_of(id).is_none() {
        return wrong("id", "must be a key's id: 32 hexadecimal digits, `key` in GET /api/admin/client-keys");
    }
    let id = if kind == ScopeKind::Key { id.to_ascii_lowercase() } else { id.to_owned() };
    Ok((kind, id))
}

fn spender(kind: ScopeKind, id: &str) -> Spender {
    Spender { scope: kind.name().to_owned(), id: id.to_owned(), owner: String::new() }
}

async fn found(state: &AdminState, kind: ScopeKind, id: &str) -> Result<CapsOf, ApiError> {
    let (now, store) = (state.policies.now(), state.recorder.store());
    let stored = store.caps().await?.into_iter().find(|stored| stored.scope == kind.name() && stored.id == id);
    let spent: Vec<(Spender, Totals)> = store.spent(&[spender(kind, id)], day_of(now)).await?.into_iter().collect();
    Ok(shown(state, kind, id, stored, &spent, now))
}

fn shown(
    state: &AdminState,
    kind: ScopeKind,
    id: &str,
    stored: Option<StoredCaps>,
    spent: &[(Spender, Totals)],
    now: Timestamp,
) -> CapsOf {
    let theirs = spent.iter().filter(|(who, _)| who.scope == kind.name() && who.id == id);
    let used = theirs.map(|(who, totals)| {
        let scope = ScopeId::of_texts(&who.scope, &who.id, &who.owner);
        UsedBy {
            key: (!who.owner.is_empty()).then(|| who.owner.clone()),
            today: amount(totals.today),
            in_all: amount(totals.in_all),
            concurrent_streams: scope.map_or(0, |scope| state.caps.standing(&scope, now).streams),
        }
    });
    let used = used.collect();
    let (set_at, set_by) = stored.as_ref().map(|stored| (stored.set_at, stored.set_by.clone())).unzip();
    let caps: Option<Caps> = stored.and_then(|stored| serde_json::from_value(stored.caps).ok());
    let defaults = state.caps.defaults().of(kind);
    let effective = caps.map_or(defaults, |caps| caps.and(defaults));
    CapsOf { scope: kind, id: id.to_owned(), caps, effective, set_at, set_by, used }
}

fn amount(spent: Spent) -> Amount {
    let Spent { tokens, nanodollars, judge_calls } = spent;
    Amount { tokens, dollars: Dollars::of_nanos(nanodollars), judge_calls }
}
