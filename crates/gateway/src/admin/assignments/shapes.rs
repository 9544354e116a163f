//! What the routes of assignments answer.

use jiff::Timestamp;
use luthien_policy::contract::Mode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::admin::policy::{Rejection, SetResult};
use crate::panic_switch::PanicMode;
use crate::scopes::{Assigned, How, Place};

/// The policies for parts of the traffic.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assignments)]
pub(in crate::admin) struct AssignmentList {
    /// In the order in which they were set.
    pub(super) assignments: Vec<Assignment>,
    /// How many.
    pub(super) total: usize,
    /// The names that requests may ask for.
    pub(super) header_choices: Vec<String>,
}

/// A policy for a part of the traffic.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Assignment {
    /// Its number; null for one that the settings make.
    id: Option<u64>,
    /// `kind`, and the key, session or name that it is of.
    #[schema(value_type = Object)]
    scope: Value,
    /// The name that people see.
    policy: String,
    /// The class as it was named.
    policy_class_ref: String,
    /// Exactly what was set.
    config: Value,
    mode: Mode,
    how: How,
    /// `api` or `settings`.
    source: &'static str,
    set_by: String,
    set_at: Timestamp,
    /// From when on it no longer applies.
    expires_at: Option<Timestamp>,
    /// Its time is over.
    expired: bool,
    /// Why it is not in force; null where it loaded.
    rejected: Option<Rejection>,
}

impl Assignment {
    pub(in crate::admin) fn new(assigned: &Assigned, now: Timestamp) -> Self {
        Self {
            id: (assigned.id != 0).then_some(assigned.id),
            scope: assigned.scope.as_json(),
            policy: assigned.name().to_owned(),
            policy_class_ref: assigned.spec.class.clone(),
            config: assigned.spec.config.clone(),
            mode: assigned.spec.mode,
            how: assigned.how,
            source: if assigned.id == 0 { "settings" } else { "api" },
            set_by: assigned.set_by.clone(),
            set_at: assigned.set_at,
            expires_at: assigned.expires_at,
            expired: assigned.is_over(now),
            rejected: assigned.loaded.as_ref().err().map(Rejection::from),
        }
    }
}

/// How setting one went.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct SetAssignment {
    #[serde(flatten)]
    pub(super) result: SetResult,
    /// It, where it is set.
    pub(super) assignment: Option<Assignment>,
}

/// Those that were.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndedAssignments)]
pub(in crate::admin) struct EndedList {
    /// Latest first.
    pub(super) assignments: Vec<PastAssignment>,
    /// How many came before this page.
    pub(super) offset: u32,
}

/// One that was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndedAssignment)]
pub(super) struct PastAssignment {
    pub(super) id: u64,
    /// `kind`, and the key, session or name that it was of.
    #[schema(value_type = Option<Object>)]
    pub(super) scope: Option<Value>,
    pub(super) policy_class_ref: String,
    /// Exactly what was set.
    pub(super) config: Value,
    /// `off`, `shadow` or `enforce`.
    pub(super) mode: String,
    /// `replace` or `add`.
    pub(super) how: String,
    pub(super) set_by: String,
    pub(super) set_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    /// Who ended it; null where its time was over.
    pub(super) ended_by: Option<String>,
    pub(super) ended_at: Option<Timestamp>,
}

/// What an assignment is to apply to.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "the form reads it field by field, so that each problem is named")]
pub(super) struct NewScope {
    kind: ScopeKind,
    /// The key's id, as the list of sessions has it.
    #[schema(pattern = "^[0-9a-fA-F]{32}$")]
    key: Option<String>,
    /// The session, for `session`.
    session: Option<String>,
    /// What requests ask for, for `header`.
    name: Option<String>,
}

/// What sort of scope.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ScopeKind {
    Global,
    Key,
    Session,
    Header,
}

/// What a request would run under.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EffectivePolicy)]
pub(in crate::admin) struct Effective {
    /// The policies; null where it would be refused.
    pub(super) policy: Option<String>,
    /// As in the header of the answer.
    pub(super) label: Option<String>,
    /// Why it would be refused.
    pub(super) refused: Option<String>,
    /// Something that should check it did not load.
    pub(super) unchecked: bool,
    /// What happens where a policy did not load: `closed` or `open`.
    pub(super) fail_mode: &'static str,
    pub(super) asked: Asked,
    /// What is first stands at the top.
    pub(super) ladder: Vec<Rung>,
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Asked {
    pub(super) key: Option<String>,
    pub(super) session: Option<String>,
    pub(super) header: Option<String>,
}

/// A rung of the ladder.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Rung {
    /// The panic switch.
    Panic {
        /// `panic`
        rung: &'static str,
        mode: PanicMode,
        applies: bool,
        set_by: String,
        set_at: Option<Timestamp>,
        why: &'static str,
    },
    /// The policy that protects the gateway.
    Dogfood {
        /// `dogfood`
        rung: &'static str,
        policy: String,
        applies: bool,
        why: &'static str,
    },
    /// A policy for a part of the traffic.
    Assigned(Part),
    /// The policy for everything.
    Global(Global),
}

/// A policy for a part of the traffic, as a rung.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AssignmentRung)]
pub(super) struct Part {
    #[serde(flatten)]
    pub(super) assignment: Assignment,
    /// The kind of its scope.
    pub(super) rung: &'static str,
    pub(super) place: Place,
    pub(super) applies: bool,
    pub(super) why: &'static str,
}

/// The policy for everything, as a rung.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GlobalRung)]
pub(super) struct Global {
    /// `global`
    pub(super) rung: &'static str,
    pub(super) place: Place,
    pub(super) applies: bool,
    pub(super) policy: String,
    pub(super) policy_class_ref: String,
    pub(super) config: Value,
    pub(super) mode: Mode,
    pub(super) source: String,
    pub(super) set_by: String,
    pub(super) set_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) rejected: Option<Rejection>,
    pub(super) why: String,
}
