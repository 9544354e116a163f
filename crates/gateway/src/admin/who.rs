//! Who makes a call to the admin routes, and what they may do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use luthien_policy::catalogue::PolicySpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::error::ApiError;
use crate::admin_access::{Holder, Person};

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
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Approver, Self::Admin];

    /// Its word, as in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// The role of this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The admin key, which has no person's name.
    AdminKey,
    /// A person's token.
    Token,
    /// A browser's session, which one of the two began.
    Session,
    /// A link that begins a session.
    Link,
    /// Nothing: the call came from this machine, and `LOCALHOST_AUTH_BYPASS` is on.
    Bypass,
}

impl Proof {
    /// Its word, as in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::AdminKey => "admin_key",
            Self::Token => "token",
            Self::Session => "session",
            Self::Link => "link",
            Self::Bypass => "bypass",
        }
    }

    /// What a credential itself proves.
    pub(crate) fn of_credential(holder: &Holder) -> Self {
        match holder {
            Holder::AdminKey => Self::AdminKey,
            Holder::Person(_) => Self::Token,
        }
    }
}

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    name: Arc<str>,
    role: Role,
    proof: Proof,
    /// Which person, and their token's hash; none where nobody's own name is known.
    person: Option<(Uuid, [u8; 32])>,
    session: Option<[u8; 32]>,
}

impl Who {
    /// Somebody with the admin key.
    pub fn with_admin_key(proof: Proof) -> Self {
        Self { name: "admin".into(), role: Role::Admin, proof, person: None, session: None }
    }

    /// A person.
    pub(crate) fn person(person: &Person, proof: Proof) -> Self {
        Self {
            name: Arc::clone(&person.name),
            role: person.role,
            proof,
            person: Some((person.id, person.hash)),
            session: None,
        }
    }

    /// Somebody on this machine who proved nothing.
    pub(crate) fn by_bypass() -> Self {
        Self { name: "localhost".into(), ..Self::with_admin_key(Proof::Bypass) }
    }

    /// A person of this name.
    #[cfg(test)]
    pub(crate) fn named(name: &str, role: Role) -> Self {
        Self { name: name.into(), role, proof: Proof::Token, person: Some((Uuid::nil(), [0; 32])), session: None }
    }

    /// The same in a session.
    pub(crate) fn in_session(self, session: [u8; 32]) -> Self {
        Self { session: Some(session), ..self }
    }

    /// What they may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How they proved who they are.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// The person's id, and the hash of the token that let them in.
    pub(crate) fn id(&self) -> Option<(Uuid, [u8; 32])> {
        self.person
    }

    /// The browser's session, by its hash.
    pub(crate) fn session(&self) -> Option<[u8; 32]> {
        self.session
    }

    /// The name under which a change is kept: a person's own, whatever the call says, and that of the bypass, behind which anybody may be. With the admin key, which several may have, what
    /// the call says, else `api`.
    pub fn signs(&self, said: Option<String>) -> String {
        match said {
            Some(said) if self.person.is_none() && self.proof != Proof::Bypass => said,
            None if self.person.is_none() && self.proof != Proof::Bypass => "api".to_owned(),
            _ => self.name.to_string(),
        }
    }

    /// Whether they may put this policy in force, or try it. Behind the bypass anybody may be who is on this machine, the agent too:
    /// nothing that runs programs, asks servers or reads the environment as the gateway's user.
    pub(super) fn may_use(&self, spec: &PolicySpec) -> Result<(), ApiError> {
        let outside = || names_program(&spec.class) || reaches_out(&spec.config);
        if self.proof == Proof::Bypass && outside() { Err(ApiError::NotByBypass) } else { Ok(()) }
    }

    /// The name by which the log and the audit log have them.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn names_program(class: &str) -> bool {
    let class = class.to_ascii_lowercase();
    ["python", "webhook"].iter().any(|name| class.contains(name))
}

/// Whether anything in a configuration leads out of the gateway. Rather too much is taken for that than too little.
fn reaches_out(config: &Value) -> bool {
    const MEMBERS: [&str; 9] =
        ["env", "secret", "url", "base_url", "api_base", "api_key", "socket", "python", "webhook"];
    match config {
        Value::Object(members) => {
            members.iter().any(|(name, value)| MEMBERS.contains(&name.as_str()) || reaches_out(value))
        }
        Value::Array(values) => values.iter().any(reaches_out),
        Value::String(text) => names_program(text) || text.contains("${"),
        _ => false,
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

/// Lets through who has proved who they are: what stands for a person, or makes somebody one, is not done for whoever happens to be
/// on this machine.
pub(super) async fn proven(who: Who, request: Request, next: Next) -> Response {
    if who.proof() == Proof::Bypass { ApiError::NotByBypass.into_response() } else { next.run(request).await }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn by_the_bypass_no_policy_leads_out_of_the_gateway() {
        let spec = |class: &str, config| PolicySpec::new(class, config);
        let judge = json!({"policies": [{"class": "tool_call_judge", "config": {"api_base": "http://127.0.0.1:9"}}]});
        for refused in [
            spec("python", json!({"file": "/x.py"})),
            spec("Webhook", json!({})),
            spec("serial", json!({"policies": [{"class": "webhook", "config": {}}]})),
            spec("serial", judge),
            spec("header_injection", json!({"headers": {"x": "${env.ADMIN_API_KEY}"}})),
            spec("any", json!({"a": [{"env": "ADMIN_API_KEY"}]})),
        ] {
            assert!(matches!(Who::by_bypass().may_use(&refused), Err(ApiError::NotByBypass)), "{refused:?}");
            assert!(Who::with_admin_key(Proof::AdminKey).may_use(&refused).is_ok());
        }
        assert!(Who::by_bypass().may_use(&spec("string_replacement", json!({"replacements": [["a", "b"]]}))).is_ok());
    }

    #[test]
    fn a_persons_own_name_counts_and_else_what_is_said() {
        let said = || Some("somebody".to_owned());
        assert_eq!(Who::named("Ann", Role::Admin).signs(said()), "Ann");
        assert_eq!(Who::by_bypass().signs(said()), Who::by_bypass().name());
        for who in [Who::with_admin_key(Proof::AdminKey), Who::with_admin_key(Proof::Session)] {
            assert_eq!((who.signs(said()), who.signs(None)), ("somebody".to_owned(), "api".to_owned()));
        }
    }

    #[test]
    fn each_role_may_what_the_ones_before_it_may() {
        assert!(Role::Viewer < Role::Approver && Role::Approver < Role::Admin);
        assert!(Role::ALL.is_sorted() && Role::ALL.iter().all(|role| Role::from_name(role.name()) == Some(*role)));
    }
}
