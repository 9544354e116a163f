//! Deletion on request: one session, or all of one user, contents that nobody else refers to included. It is not archived.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{batches, unsigned};
use crate::sql::Sql;
use crate::sql::erasures::{self, Whose};
use crate::sql::sessions::session_key;
use crate::sql::spending;
use crate::store::{Store, StoreError};

/// What was in flight at the time of a request has reached the database after this time, or never does.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 30);

/// So many transactions are deleted at a time.
const AT_ONCE: u32 = 500;

/// Whose data are to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure<'a> {
    /// A session, by the id that lists show.
    Session(&'a str),
    /// A user.
    User(&'a str),
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Transactions.
    pub transactions: u64,
    /// Sessions of which nothing is left.
    pub sessions: u64,
    /// Nothing is left to delete. Otherwise [`Store::erase_again`] goes on.
    pub complete: bool,
}

impl Store {
    /// How many transactions [`Store::erase`] would delete, in how many sessions; none if there are none.
    pub async fn would_erase(&self, erasure: Erasure<'_>) -> Result<Option<(u64, u64)>, StoreError> {
        let mut connection = self.readers().acquire().await?;
        let mut sql = connection.sql();
        let Some(whose) = whose(&mut sql, erasure).await? else { return Ok(None) };
        let (transactions, sessions) = erasures::count(&mut sql, &whose).await?;
        Ok((transactions > 0).then(|| (unsigned(transactions), unsigned(sessions))))
    }

    /// Deletes data on request, a user's name included; none if there are none. What of them is in flight `now` is deleted by [`Store::erase_again`] once
    /// it is stored. After `within`, the rest is left to that too.
    pub async fn erase(
        &self,
        erasure: Erasure<'_>,
        now: Timestamp,
        within: Duration,
    ) -> Result<Option<Erased>, StoreError> {
        let deadline = Instant::now() + within;
        let mut work = self.editor().begin().await?;
        let Some(whose) = whose(&mut work.sql(), erasure).await? else { return Ok(None) };
        let named = erasures::drop_label(&mut work.sql(), &whose).await?;
        if let Some(spender) = spender(&mut work.sql(), erasure).await? {
            spending::forget(&mut work.sql(), spender).await?;
        }
        if erasures::count(&mut work.sql(), &whose).await?.0 == 0 && !named {
            return Ok(None);
        }
        erasures::add(&mut work.sql(), &whose, now).await?;
        work.commit().await?;
        let mut erased = Erased::default();
        self.erase_all(&whose, None, deadline, &mut erased).await?;
        Ok(Some(erased))
    }

    /// Deletes what belongs to earlier requests and was stored only later, or was left for later. Requests are remembered for thirty days.
    pub async fn erase_again(&self, now: Timestamp) -> Result<Erased, StoreError> {
        let deadline = Instant::now() + Duration::from_hours(24);
        let mut erased = Erased { complete: true, ..Erased::default() };
        let requests = erasures::all(&mut self.readers().acquire().await?.sql()).await?;
        for (whose, at) in &requests {
            self.erase_all(whose, Some(*at), deadline, &mut erased).await?;
        }
        let old = now.checked_sub(REMEMBERED).unwrap_or(now);
        if requests.iter().any(|(_, at)| *at < old) {
            let mut work = self.editor().begin().await?;
            erasures::drop_before(&mut work.sql(), old).await?;
            work.commit().await?;
        }
        batches::collect(self).await?;
        Ok(erased)
    }

    async fn erase_all(
        &self,
        whose: &Whose,
        until: Option<Timestamp>,
        deadline: Instant,
        erased: &mut Erased,
    ) -> Result<(), StoreError> {
        erased.complete = false;
        loop {
            let some = {
                let mut connection = self.readers().acquire().await?;
                erasures::transactions(&mut connection.sql(), whose, until, AT_ONCE).await?
            };
            if some.is_empty() {
                break;
            }
            let deleted = batches::delete(self, &some).await?;
            erased.transactions += deleted.transactions;
            erased.sessions += deleted.sessions;
            if Instant::now() >= deadline || deleted.transactions == 0 {
                return Ok(());
            }
        }
        batches::collect(self).await?;
        erased.complete = true;
        Ok(())
    }
}

/// By what name what they have used is kept.
async fn spender(sql: &mut Sql<'_>, erasure: Erasure<'_>) -> Result<Option<spending::Whose>, sqlx::Error> {
    Ok(match erasure {
        Erasure::User(user) => Some(("user".to_owned(), user.to_owned(), String::new())),
        Erasure::Session(id) => crate::store::find(sql, id).await?.map(|(name, credential)| {
            let owner = credential.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            ("session".to_owned(), name, owner)
        }),
    })
}

/// Whom an id names; none if there is no such session.
async fn whose(sql: &mut Sql<'_>, erasure: Erasure<'_>) -> Result<Option<Whose>, sqlx::Error> {
    Ok(match erasure {
        Erasure::User(user) => Some(Whose::User(user.to_owned())),
        Erasure::Session(id) => {
            let found = crate::store::find(sql, id).await?;
            found.map(|(name, credential)| Whose::Session(session_key(&name, &credential)))
        }
    })
}
