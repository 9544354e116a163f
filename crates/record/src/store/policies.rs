//! What operators have set: the policies, where they apply, and the panic switch. Nothing is overwritten, so that all of it has a
//! history.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Store, StoreError, Topic, damaged, names, unsigned};
use crate::sql;
use crate::sql::assignments::AssignmentRow;
use crate::sql::panics::PanicRow;
use crate::sql::policies::PolicyRow;

/// Which policy is set, and by whom.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredPolicy {
    /// The class as it was given.
    pub class_ref: String,
    /// The configuration exactly as it was given.
    pub config: Value,
    /// `off`, `shadow` or `enforce`, where one was given.
    pub mode: Option<String>,
    /// When.
    pub enabled_at: Timestamp,
    /// By whom.
    pub enabled_by: String,
}

/// A policy that applies to a part of the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAssignment {
    /// Its number; given when it is stored.
    pub id: u64,
    /// `global`, `key`, `session` or `header`.
    pub scope: String,
    /// The credential's hash, for a key or a session.
    pub credential: Option<[u8; 16]>,
    /// The session as its client names it, or what a header asks for.
    pub name: Option<String>,
    /// The class as it was given.
    pub class_ref: String,
    /// The configuration exactly as it was given.
    pub config: Value,
    /// `off`, `shadow` or `enforce`.
    pub mode: String,
    /// `replace` or `add`.
    pub how: String,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
    /// From when on it no longer applies.
    pub expires_at: Option<Timestamp>,
    /// When it was ended, and by whom; none while it stands.
    pub ended: Option<(Timestamp, String)>,
}

/// A position of the panic switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PanicEntry)]
pub struct StoredPanic {
    /// `off`, `tool_calls` or `traffic`.
    pub mode: String,
    /// Why, for the operators.
    pub reason: Option<String>,
    /// What clients are told.
    pub message: Option<String>,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
}

impl Store {
    /// The policy that was set last, with its version; none if none ever was.
    pub async fn current_policy(&self) -> Result<Option<(u64, StoredPolicy)>, StoreError> {
        Ok(self.policies(1, 0).await?.pop())
    }

    /// The policies that were set, latest first, each with its version.
    pub async fn policies(&self, limit: u32, offset: u32) -> Result<Vec<(u64, StoredPolicy)>, StoreError> {
        let mut connection = self.follower.acquire().await?;
        sql::policies::latest(&mut connection.sql(), limit, offset).await?.into_iter().map(policy).collect()
    }

    /// How many policies were set.
    pub async fn policy_count(&self) -> Result<u64, StoreError> {
        let mut connection = self.readers.acquire().await?;
        Ok(unsigned(sql::policies::count(&mut connection.sql()).await?))
    }

    /// The policy of a version; none if there is none.
    pub async fn policy(&self, version: u64) -> Result<Option<StoredPolicy>, StoreError> {
        let Ok(version) = i64::try_from(version) else { return Ok(None) };
        let mut connection = self.readers.acquire().await?;
        let row = sql::policies::one(&mut connection.sql(), version).await?;
        Ok(row.map(policy).transpose()?.map(|(_, policy)| policy))
    }

    /// Sets the policy and gives its version: 1 for the first one ever set, one more for each after it. The earlier ones are kept.
    pub async fn set_policy(&self, policy: &StoredPolicy) -> Result<u64, StoreError> {
        let row = PolicyRow {
            version: 0,
            class_ref: policy.class_ref.clone(),
            config: policy.config.to_string(),
            mode: policy.mode.clone(),
            enabled_at: policy.enabled_at,
            enabled_by: policy.enabled_by.clone(),
        };
        let mut work = self.change(Topic::Policies).await?;
        let id = sql::policies::set(&mut work.sql(), row).await?;
        work.commit().await?;
        Ok(unsigned(id))
    }

    /// The assignments that nobody has ended, the oldest first.
    pub async fn assignments(&self) -> Result<Vec<StoredAssignment>, StoreError> {
        let mut connection = self.follower.acquire().await?;
        sql::assignments::standing(&mut connection.sql()).await?.into_iter().map(assignment).collect()
    }

    /// The assignments that have ended, the newest first.
    pub async fn ended_assignments(&self, limit: u32, offset: u32) -> Result<Vec<StoredAssignment>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = sql::assignments::ended(&mut connection.sql(), limit, offset).await?;
        rows.into_iter().map(assignment).collect()
    }

    /// Keeps an assignment and gives its number.
    pub async fn assign(&self, assignment: &StoredAssignment) -> Result<u64, StoreError> {
        let row = AssignmentRow {
            id: 0,
            scope: assignment.scope.clone(),
            credential: assignment.credential.map(Vec::from),
            name: assignment.name.clone(),
            class_ref: assignment.class_ref.clone(),
            config: assignment.config.to_string(),
            mode: assignment.mode.clone(),
            how: assignment.how.clone(),
            set_at: assignment.set_at,
            set_by: assignment.set_by.clone(),
            expires_at: assignment.expires_at,
            ended: None,
        };
        let mut work = self.change(Topic::Assignments).await?;
        let id = sql::assignments::add(&mut work.sql(), row).await?;
        work.commit().await?;
        Ok(unsigned(id))
    }

    /// Ends an assignment; it is kept as one that was.
    pub async fn end_assignment(&self, id: u64, at: Timestamp, by: &str) -> Result<(), StoreError> {
        let Ok(id) = i64::try_from(id) else { return Ok(()) };
        let mut work = self.change(Topic::Assignments).await?;
        sql::assignments::end(&mut work.sql(), id, at, by).await?;
        Ok(work.commit().await?)
    }

    /// What the panic switch said last; none if it was never used.
    pub async fn panic(&self) -> Result<Option<StoredPanic>, StoreError> {
        Ok(self.panics(1).await?.pop())
    }

    /// The last positions of the panic switch, the last one first.
    pub async fn panics(&self, limit: u32) -> Result<Vec<StoredPanic>, StoreError> {
        let mut connection = self.follower.acquire().await?;
        let position =
            |PanicRow { mode, reason, message, set_at, set_by }| StoredPanic { mode, reason, message, set_at, set_by };
        Ok(sql::panics::latest(&mut connection.sql(), limit).await?.into_iter().map(position).collect())
    }

    /// Keeps a position of the panic switch. The earlier ones are kept too.
    pub async fn set_panic(&self, panic: &StoredPanic) -> Result<(), StoreError> {
        let row = PanicRow {
            mode: panic.mode.clone(),
            reason: panic.reason.clone(),
            message: panic.message.clone(),
            set_at: panic.set_at,
            set_by: panic.set_by.clone(),
        };
        let mut work = self.change(Topic::Panic).await?;
        sql::panics::set(&mut work.sql(), row).await?;
        Ok(work.commit().await?)
    }

    /// The client's name and the credential's hash of the session whose id in the record this is; none if it is unknown.
    pub async fn session_key(&self, id: &str) -> Result<Option<(String, [u8; 16])>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let Some((session, credential)) = names::find(&mut connection.sql(), id).await? else { return Ok(None) };
        // A request without a credential has none to name it by.
        Ok(<[u8; 16]>::try_from(credential).ok().map(|credential| (session, credential)))
    }
}

fn policy(row: PolicyRow) -> Result<(u64, StoredPolicy), StoreError> {
    let policy = StoredPolicy {
        class_ref: row.class_ref,
        config: serde_json::from_str(&row.config).map_err(|error| damaged("a policy", error))?,
        mode: row.mode,
        enabled_at: row.enabled_at,
        enabled_by: row.enabled_by,
    };
    Ok((unsigned(row.version), policy))
}

fn assignment(row: AssignmentRow) -> Result<StoredAssignment, StoreError> {
    let broken = |why: &dyn std::fmt::Display| damaged(&format!("the policy assignment {}", row.id), why);
    let credential = row.credential.map(<[u8; 16]>::try_from).transpose();
    Ok(StoredAssignment {
        id: unsigned(row.id),
        scope: row.scope,
        credential: credential.map_err(|_| broken(&"its key is none"))?,
        name: row.name,
        class_ref: row.class_ref,
        config: serde_json::from_str(&row.config).map_err(|error| broken(&error))?,
        mode: row.mode,
        how: row.how,
        set_at: row.set_at,
        set_by: row.set_by,
        expires_at: row.expires_at,
        ended: row.ended,
    })
}

#[cfg(test)]
mod tests;
