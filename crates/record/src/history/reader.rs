//! A session's turns one after the other, and what they add up to.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::session::{Seen, Turn, turn};
use crate::store::{Cursor, SessionRow, Store, StoreError, TransactionDetail};

/// Reads the turns of a session.
#[derive(Debug)]
pub(super) struct Reader {
    cursor: Cursor,
    seen: Seen,
    turns: Span,
    /// Of all transactions: a session may have no turn.
    all: Span,
    interventions: u64,
    models: BTreeSet<String>,
    users: BTreeSet<String>,
}

/// From when to when.
#[derive(Clone, Copy, Debug, Default)]
struct Span(Option<(Timestamp, Timestamp)>);

/// What the turns read so far add up to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) first_timestamp: Timestamp,
    pub(super) last_timestamp: Timestamp,
    pub(super) total_policy_interventions: u64,
    pub(super) models_used: Vec<String>,
    pub(super) user_ids: Vec<String>,
}

impl Reader {
    /// Of the session with this id; none if it is unknown.
    pub(super) async fn open(store: &Store, id: &str) -> Result<Option<Self>, StoreError> {
        let cursor = store.cursor(id).await?;
        Ok(cursor.map(|cursor| Self {
            cursor,
            seen: Seen::default(),
            turns: Span::default(),
            all: Span::default(),
            interventions: 0,
            models: BTreeSet::new(),
            users: BTreeSet::new(),
        }))
    }

    /// The session as the list has it.
    pub(super) fn session(&self) -> &SessionRow {
        self.cursor.session()
    }

    /// The next turn; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Turn>, StoreError> {
        while let Some(call) = self.cursor.next().await? {
            self.all.add(&call);
            if call.turn {
                return Ok(Some(self.add(&call)));
            }
        }
        Ok(None)
    }

    fn add(&mut self, call: &TransactionDetail) -> Turn {
        let turn = turn(call, &mut self.seen);
        self.turns.add(call);
        self.interventions += u64::from(turn.had_policy_intervention);
        if !turn.model.is_empty() {
            self.models.insert(turn.model.clone());
        }
        self.users.extend(turn.user_id.clone());
        turn
    }

    pub(super) fn summary(&self) -> Summary {
        let (first, last) = self.turns.0.or(self.all.0).unwrap_or_default();
        Summary {
            first_timestamp: first,
            last_timestamp: last,
            total_policy_interventions: self.interventions,
            models_used: self.models.iter().cloned().collect(),
            user_ids: self.users.iter().cloned().collect(),
        }
    }
}

impl Span {
    fn add(&mut self, call: &TransactionDetail) {
        let (first, last) = self.0.unwrap_or((call.at, call.ended));
        self.0 = Some((first.min(call.at), last.max(call.ended)));
    }
}
