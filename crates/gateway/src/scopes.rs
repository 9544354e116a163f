//! Where policies apply beside the global one: to a key, a session, a request that asks for it, or for a time.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use luthien_policy::catalogue::{LoadError, Loaded, PolicySpec};
use luthien_policy::plan::Plan;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What an assignment applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything.
    Global,
    /// The requests of one key.
    Key(KeyId),
    /// The requests of one key in one session.
    Session(KeyId, String),
    /// The requests that ask for it by this name.
    Header(String),
}

/// Which key a client came with: the keyed hash of its credential, as the record has it.
pub type KeyId = [u8; 16];

impl Scope {
    /// Its kind, and the key, session or name that it is of, as the API writes it.
    pub fn as_json(&self) -> Value {
        match self {
            Self::Global => json!({"kind": "global"}),
            Self::Key(key) => json!({"kind": "key", "key": key_text(*key)}),
            Self::Session(key, session) => json!({"kind": "session", "session": session, "key": key_text(*key)}),
            Self::Header(name) => json!({"kind": "header", "name": name}),
        }
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Key(_) => "key",
            Self::Session(..) => "session",
            Self::Header(_) => "header",
        }
    }
}

/// A key's id as text.
pub fn key_text(key: KeyId) -> String {
    key.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The key's id that this text is.
pub fn key_of(text: &str) -> Option<KeyId> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// How an assignment stands to what is less specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// In its place.
    Replace,
    /// Behind it.
    Add,
}

/// Why a policy is not in force although somebody set it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    /// What is wrong, and where it stands.
    pub reason: String,
    /// The fields that are wrong, where it could be read.
    pub error: Option<LoadError>,
}

/// A policy that applies to a part of the traffic.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// Its number; 0 for one that the settings make.
    pub id: u64,
    /// What it applies to.
    pub scope: Scope,
    /// The policy, exactly as it was set.
    pub spec: PolicySpec,
    /// How it stands to what is less specific.
    pub how: How,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
    /// From when on it no longer applies.
    pub expires_at: Option<Timestamp>,
    /// The policy, ready to run, or why it is not.
    pub(crate) loaded: Result<Ready, Rejection>,
}

/// A policy that loaded.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// The name that people see.
    pub(crate) name: String,
    pub(crate) plan: Plan,
}

impl From<Loaded> for Ready {
    fn from(loaded: Loaded) -> Self {
        Self { name: loaded.name, plan: Plan::new(loaded.tree) }
    }
}

impl Assigned {
    /// Its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The name that people see, or the class where it did not load.
    pub fn name(&self) -> &str {
        self.loaded.as_ref().map_or(&self.spec.class, |ready| &ready.name)
    }
}

/// Who asks, as far as it decides which policies are in force.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The key the client came with.
    pub key: Option<KeyId>,
    /// The session as the client names it.
    pub session: Option<&'a str>,
    /// The policy that the request asks for.
    pub wish: Option<&'a str>,
}

/// Why a request does not get the policy it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// The operator lets no request choose it.
    #[error("the operator of this gateway lets no request choose this policy (POLICY_HEADER_CHOICES)")]
    NotAllowed,
    /// It may be chosen, and there is none of this name.
    #[error("there is no policy of this name now, although requests may choose it")]
    Missing,
}

/// Where an assignment stands for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// It is in force.
    Applies,
    /// A more specific or newer one stands in its place.
    Outranked,
    /// Its time is over.
    Expired,
    /// It would be in force, but did not load.
    Rejected,
}

/// All assignments, by what they apply to.
#[derive(Clone, Debug, Default)]
pub struct Assignments {
    by_scope: HashMap<Scope, Vec<Arc<Assigned>>>,
    /// What requests may ask for.
    choices: Vec<String>,
}

impl Assignments {
    /// These assignments. `choices` are the names that requests may ask for.
    pub(crate) fn new(all: impl IntoIterator<Item = Arc<Assigned>>, choices: Vec<String>) -> Self {
        let mut by_scope: HashMap<Scope, Vec<Arc<Assigned>>> = HashMap::new();
        for assigned in all {
            by_scope.entry(assigned.scope.clone()).or_default().push(assigned);
        }
        for of_scope in by_scope.values_mut() {
            of_scope.sort_by_key(|assigned| std::cmp::Reverse(assigned.id));
        }
        Self { by_scope, choices }
    }

    /// The same with one more.
    pub(crate) fn with(&self, assigned: Arc<Assigned>) -> Self {
        Self::new(self.all().cloned().chain([assigned]), self.choices.clone())
    }

    /// The same without one.
    pub(crate) fn without(&self, id: u64) -> Self {
        Self::new(self.all().filter(|assigned| assigned.id != id).cloned(), self.choices.clone())
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Assigned>> {
        self.by_scope.values().flatten()
    }

    /// What requests may ask for.
    pub fn choices(&self) -> &[String] {
        &self.choices
    }

    /// No request's policy depends on who asks.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_scope.is_empty()
    }

    /// Every assignment that concerns this request, and where each stands: header before session before key before global, and
    /// of one scope the newest first. What replaces outranks all after it; what adds does not.
    pub fn ladder(&self, asker: &Asker<'_>, now: Timestamp) -> Result<Vec<(&Arc<Assigned>, Place)>, WishError> {
        let asked_for = match asker.wish {
            Some(wish) => Some(self.asked_for(wish, now)?),
            None => None,
        };
        let session = asker.key.zip(asker.session).map(|(key, session)| Scope::Session(key, session.to_owned()));
        let scopes = [session, asker.key.map(Scope::Key), Some(Scope::Global)].into_iter().flatten();
        let rest = scopes.filter_map(|scope| self.by_scope.get(&scope)).flatten();
        let mut replaced = false;
        let mut place = |assigned: &Assigned| {
            if assigned.is_over(now) {
                return Place::Expired;
            }
            let outranked = replaced;
            replaced |= replaces(assigned);
            match (outranked, &assigned.loaded) {
                (true, _) => Place::Outranked,
                (false, Ok(_)) => Place::Applies,
                (false, Err(_)) => Place::Rejected,
            }
        };
        Ok(asked_for.into_iter().flatten().chain(rest).map(|assigned| (assigned, place(assigned))).collect())
    }

    fn asked_for(&self, wish: &str, now: Timestamp) -> Result<&Vec<Arc<Assigned>>, WishError> {
        if !self.choices.iter().any(|choice| choice == wish) {
            return Err(WishError::NotAllowed);
        }
        let found = self.by_scope.get(&Scope::Header(wish.to_owned())).ok_or(WishError::Missing)?;
        if found.iter().all(|assigned| assigned.is_over(now)) { Err(WishError::Missing) } else { Ok(found) }
    }
}

/// What did not load stands in nothing's place: where traffic passes without it, the rest of the ladder holds.
fn replaces(assigned: &Assigned) -> bool {
    assigned.how == How::Replace && assigned.loaded.is_ok()
}
