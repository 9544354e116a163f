//! How clients get in: the mode, what vendors are asked of callers' own credentials, and what they have said.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::AdminState;
use super::error::ApiError;
use super::form::Form;
use super::params;
use super::who::Who;
use crate::access::verdicts::{Hash, Remembered};
use crate::access::{AccessRules, CredentialType, Validity};
use crate::config::AuthMode;

/// The fields, which are settings of the same names.
const FIELDS: [&str; 4] = ["auth_mode", "validate_credentials", "valid_cache_ttl_seconds", "invalid_cache_ttl_seconds"];

/// How clients get in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuthConfig {
    auth_mode: AuthMode,
    /// Vendors are asked whether callers' own credentials are valid.
    validate_credentials: bool,
    /// For how long a credential counts as valid after that.
    valid_cache_ttl_seconds: u32,
    /// For how long one counts as invalid.
    invalid_cache_ttl_seconds: u32,
    /// When one of these was changed last while running.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    /// By whom.
    updated_by: Option<String>,
    /// What to know: such as that nobody can call now.
    message: Option<String>,
}

/// What is to be changed; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[expect(dead_code, reason = "the document is made of it; the fields are read one by one, each problem with its place")]
pub(super) struct AuthChange {
    /// `client_key`, `passthrough` or `both`.
    auth_mode: Option<String>,
    /// Ask vendors whether callers' own credentials are valid.
    validate_credentials: Option<bool>,
    /// From 0 to 604800.
    valid_cache_ttl_seconds: Option<u32>,
    /// From 0 to 604800.
    invalid_cache_ttl_seconds: Option<u32>,
    /// Who makes the change, where the call comes with the admin key.
    updated_by: Option<String>,
}

/// A caller's own credential, of which its vendor has said whether it is valid.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientCredential {
    /// By which it is known here: a keyed hash. The credential itself is not kept.
    key_hash: String,
    credential_type: CredentialType,
    /// The upstream that was asked.
    upstream: String,
    valid: bool,
    #[schema(value_type = String, format = DateTime)]
    validated_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    /// When the vendor will be asked anew.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// What vendors have said and this gateway remembers, the last used first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ValidatedList {
    credentials: Vec<ClientCredential>,
    count: usize,
}

/// What was forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Forgotten {
    success: bool,
    /// How many credentials.
    count: usize,
}

/// With what callers come, and so who pays.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BillingStatus {
    auth_mode: AuthMode,
    /// With what the last caller of this gateway came that was let in: `api_key` and `oauth` are paid for by the caller, `gateway_key` and
    /// `client_key` by the gateway's own vendor key. Null where nobody came since the start.
    last_credential_type: Option<CredentialType>,
    /// When that was.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_credential_at: Option<Timestamp>,
}

/// How clients get in.
#[utoipa::path(get, path = "/api/admin/auth/config", tag = "access", responses((status = 200, body = AuthConfig)))]
pub(super) async fn show(State(state): State<AdminState>) -> Result<Json<AuthConfig>, ApiError> {
    let settings = state.settings.current();
    let stored = state.recorder.store().settings().await?;
    let last = stored.into_iter().filter(|set| FIELDS.contains(&set.name.as_str())).max_by_key(|set| set.set_at);
    let (updated_at, updated_by) = last.map(|set| (set.set_at, set.set_by)).unzip();
    let nobody = settings.auth_mode == AuthMode::ClientKey && !state.has_client_key && !state.client_keys.any_holds();
    let message = nobody.then(|| {
        "nobody can call now: only gateway keys get in, and there is none; make one with POST /api/admin/client-keys, or set \
         CLIENT_API_KEY and start the gateway again"
            .to_owned()
    });
    Ok(Json(AuthConfig {
        auth_mode: settings.auth_mode,
        validate_credentials: settings.validate_credentials,
        valid_cache_ttl_seconds: settings.valid_cache_ttl_seconds,
        invalid_cache_ttl_seconds: settings.invalid_cache_ttl_seconds,
        updated_at,
        updated_by,
        message,
    }))
}

/// Changes how clients get in, on all gateways that share the database. All that is given is changed, or nothing.
#[utoipa::path(post, path = "/api/admin/auth/config", tag = "access", request_body = AuthChange, responses(
    (status = 200, body = AuthConfig),
    (status = 409, description = "A flag, the environment or the file says what it is.", body = super::error::ErrorBody),
))]
pub(super) async fn change(
    State(state): State<AdminState>,
    who: Who,
    body: Body,
) -> Result<Json<AuthConfig>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let mut values: Vec<(&str, String)> = Vec::new();
    for name in FIELDS {
        let value = match (name, form.get(name)) {
            (_, None) => continue,
            ("auth_mode", Some(Value::String(mode))) => mode.clone(),
            ("validate_credentials", Some(Value::Bool(on))) => on.to_string(),
            ("valid_cache_ttl_seconds" | "invalid_cache_ttl_seconds", Some(Value::Number(seconds))) => {
                seconds.to_string()
            }
            ("auth_mode", _) => {
                form.refuse(name, "string_type", "must be a text");
                continue;
            }
            ("validate_credentials", _) => {
                form.refuse(name, "bool_type", "must be `true` or `false`");
                continue;
            }
            _ => {
                form.refuse(name, "int_type", "must be a whole number");
                continue;
            }
        };
        if let Err(expected) = state.settings.check(name, &value) {
            form.refuse(name, "value_error", expected);
        }
        values.push((name, value));
    }
    let by = form.text("updated_by");
    form.only(&[&FIELDS[..], &["updated_by"]].concat());
    form.finish()?;
    if !values.is_empty() {
        state.settings.set_all(&values, &who.signs(by)).await?;
        state.changed();
    }
    show(State(state)).await
}

/// The credentials of callers of which this gateway remembers what their vendors said. Empty where validation is off.
#[utoipa::path(get, path = "/api/admin/auth/credentials", tag = "access", responses((status = 200, body = ValidatedList)))]
pub(super) async fn credentials(State(state): State<AdminState>) -> Json<ValidatedList> {
    let validity = AccessRules::from(&*state.settings.current()).validation;
    let all = state.access.verdicts.all(validity, state.policies.now());
    let credentials: Vec<ClientCredential> =
        validity.map_or_else(Vec::new, |validity| all.into_iter().map(|one| shown(one, validity)).collect());
    Json(ValidatedList { count: credentials.len(), credentials })
}

/// Forgets what vendors have said of all credentials: they are asked anew.
#[utoipa::path(delete, path = "/api/admin/auth/credentials", tag = "access", responses((status = 200, body = Forgotten)))]
pub(super) async fn clear(State(state): State<AdminState>) -> Json<Forgotten> {
    Json(Forgotten { success: true, count: state.access.verdicts.clear() })
}

/// Forgets what a vendor has said of one credential.
#[utoipa::path(delete, path = "/api/admin/auth/credentials/{key_hash}", tag = "access",
    params(("key_hash" = String, Path, description = "As the list has it.")),
    responses(
        (status = 200, body = Forgotten),
        (status = 404, description = "Nothing is remembered of it.", body = super::error::ErrorBody),
    ))]
pub(super) async fn forget(
    State(state): State<AdminState>,
    Path(key_hash): Path<String>,
) -> Result<Json<Forgotten>, ApiError> {
    let known = hash(&key_hash).is_some_and(|hash| state.access.verdicts.forget(hash));
    let unknown =
        || ApiError::NotFound("of no credential with this hash a vendor's word is remembered here".to_owned());
    known.then_some(Json(Forgotten { success: true, count: 1 })).ok_or_else(unknown)
}

/// With what callers come, and so who pays. Of this gateway alone.
#[utoipa::path(get, path = "/api/admin/billing-status", tag = "access", responses((status = 200, body = BillingStatus)))]
pub(super) async fn billing(State(state): State<AdminState>) -> Json<BillingStatus> {
    let (last_credential_type, last_credential_at) = state.access.last().unzip();
    Json(BillingStatus { auth_mode: state.settings.current().auth_mode, last_credential_type, last_credential_at })
}

fn shown(one: Remembered, validity: Validity) -> ClientCredential {
    ClientCredential {
        expires_at: one.expires_at(validity),
        key_hash: uuid::Uuid::from_bytes(one.hash).simple().to_string(),
        credential_type: one.kind,
        upstream: one.upstream,
        valid: one.valid,
        validated_at: one.validated_at,
        last_used_at: one.last_used_at,
    }
}

/// A hash as it is shown.
fn hash(text: &str) -> Option<Hash> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| uuid::Uuid::parse_str(text).ok()).flatten().map(uuid::Uuid::into_bytes)
}
