//! What a key, a session and a user may use: tool calls in a turn, questions to judges, tokens, money, and answers at once.
//!
//! An operator says it for all of a kind in the settings, for a key where it is made, and for one key, session or user over the API; of
//! several the tightest counts. A request is admitted once (`admit`); what it uses is charged at its end (`ledger`) and kept in the
//! database by one task (`keeper`).

mod admit;
mod dollars;
mod keeper;
mod ledger;
mod prices;
mod reached;
mod state;
mod streams;
mod tool_calls;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::scopes::{KeyId, key_of, key_text};

pub(crate) use admit::{Admitted, Asks, Charge, JudgeCalls};
pub use dollars::Dollars;
pub(crate) use ledger::{day_of, next_day};
pub use prices::{Price, PriceError, Prices};
pub(crate) use reached::Reached;
pub use state::{CapsState, Defaults, Standing};
pub(crate) use streams::Places;

/// What one key, session or user may use. What is not said has no cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Caps {
    /// Tool calls in one answer; those beyond are withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls_per_turn: Option<u32>,
    /// Questions to judges for one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_calls_per_turn: Option<u32>,
    /// Questions to judges in a day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_calls_per_day: Option<u64>,
    /// Tokens in a day (UTC), those of prompts and answers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Tokens of a whole session. For sessions only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_in_all: Option<u64>,
    /// Dollars in a day (UTC), such as `5` or `"0.25"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub dollars_per_day: Option<Dollars>,
    /// Dollars of a whole session. For sessions only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub dollars_in_all: Option<Dollars>,
    /// Answers under way at once, streamed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_streams: Option<u32>,
}

impl Caps {
    /// The tighter of both, each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            a.into_iter().chain(b).min()
        }
        Self {
            tool_calls_per_turn: least(self.tool_calls_per_turn, other.tool_calls_per_turn),
            judge_calls_per_turn: least(self.judge_calls_per_turn, other.judge_calls_per_turn),
            judge_calls_per_day: least(self.judge_calls_per_day, other.judge_calls_per_day),
            tokens_per_day: least(self.tokens_per_day, other.tokens_per_day),
            tokens_in_all: least(self.tokens_in_all, other.tokens_in_all),
            dollars_per_day: least(self.dollars_per_day, other.dollars_per_day),
            dollars_in_all: least(self.dollars_in_all, other.dollars_in_all),
            concurrent_streams: least(self.concurrent_streams, other.concurrent_streams),
        }
    }

    /// Nothing is allowed.
    fn nothing() -> Self {
        Self { tokens_per_day: Some(0), concurrent_streams: Some(0), tool_calls_per_turn: Some(0), ..Self::default() }
    }

    /// Nothing is capped.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tokens or money are capped.
    pub(crate) fn counts_usage(&self) -> bool {
        self.tokens_per_day.is_some() || self.tokens_in_all.is_some() || self.counts_money()
    }

    /// Money is capped.
    pub(crate) fn counts_money(&self) -> bool {
        self.dollars_per_day.is_some() || self.dollars_in_all.is_some()
    }

    /// What is used has to be remembered.
    pub(crate) fn remembers(&self) -> bool {
        self.counts_usage() || self.judge_calls_per_day.is_some()
    }

    /// Reads the caps of a kind of scope from JSON. The error says what is wrong.
    pub fn parse(kind: ScopeKind, text: &str) -> Result<Self, String> {
        if !text.trim_start().starts_with('{') {
            return Err("invalid: it begins with `{`".to_owned());
        }
        let caps: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        caps.checked(kind)
    }

    /// The caps, if a kind of scope can have them.
    pub fn checked(self, kind: ScopeKind) -> Result<Self, String> {
        let in_all =
            [("tokens_in_all", self.tokens_in_all.is_some()), ("dollars_in_all", self.dollars_in_all.is_some())];
        match in_all.into_iter().find(|(_, set)| *set && kind != ScopeKind::Session) {
            Some((name, _)) => Err(format!("`{name}` is for sessions: a {} has `…_per_day`", kind.name())),
            None => Ok(self),
        }
    }
}

/// What caps are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CapScope)]
pub enum ScopeKind {
    /// The credential that a client comes with.
    Key,
    /// A session of one credential.
    Session,
    /// A user, as clients or a proxy name it.
    User,
}

impl ScopeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Key, Self::Session, Self::User];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Session => "session",
            Self::User => "user",
        }
    }

    /// The kind of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Whose caps and spending: one key, one session of a key, or one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScopeId {
    /// A key.
    Key(KeyId),
    /// A session: its name is its client's choice, so it is one of its key's.
    Session(KeyId, Box<str>),
    /// A user.
    User(Box<str>),
}

impl ScopeId {
    /// What kind it is.
    pub fn kind(&self) -> ScopeKind {
        match self {
            Self::Key(_) => ScopeKind::Key,
            Self::Session(..) => ScopeKind::Session,
            Self::User(_) => ScopeKind::User,
        }
    }

    /// The name by which an operator sets its caps: a session's without its key.
    pub fn name(&self) -> String {
        match self {
            Self::Key(key) => key_text(*key),
            Self::Session(_, name) | Self::User(name) => name.to_string(),
        }
    }

    /// The key that a session belongs to, as text; empty for others.
    fn owner(&self) -> String {
        if let Self::Session(key, _) = self { key_text(*key) } else { String::new() }
    }

    /// The one of these texts, as the database keeps them.
    pub(crate) fn of_texts(scope: &str, id: &str, owner: &str) -> Option<Self> {
        Some(match ScopeKind::of_name(scope)? {
            ScopeKind::Key => Self::Key(key_of(id)?),
            ScopeKind::Session => Self::Session(key_of(owner)?, id.into()),
            ScopeKind::User => Self::User(id.into()),
        })
    }
}

#[cfg(test)]
mod tests;
