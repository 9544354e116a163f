//! What was done on the admin side, and by whom.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, StoreError, unsigned};
use crate::sql;

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// By whom; none where that is not known.
    pub name: Option<String>,
    /// What they may do.
    pub role: Option<String>,
    /// How they proved who they are.
    pub proof: Option<String>,
    /// The method of the call; `CLI` for a command on the database itself.
    pub method: String,
    /// The route, with names for its parts; else the command.
    pub route: String,
    /// With what.
    pub target: String,
    /// The HTTP status that the call got; none for a command.
    pub status: Option<u16>,
    /// The gateway that it was done on.
    pub replica: String,
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// At most this many.
    pub limit: u32,
    /// After this many.
    pub offset: u32,
    /// Of this name.
    pub name: Option<String>,
    /// Of this route.
    pub route: Option<String>,
    /// At or after this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

/// A page of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// How many there are in all.
    pub total: u64,
}

impl Store {
    /// Keeps entries; those that are kept already stay as they are.
    pub async fn add_audit(&self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let mut work = self.editor.begin().await?;
        sql::audit::add(&mut work.sql(), entries).await?;
        Ok(work.commit().await?)
    }

    /// The entries that `filter` names.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<AuditPage, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut sql = connection.sql();
        let total = unsigned(sql::audit::count(&mut sql, filter).await?);
        Ok(AuditPage { entries: sql::audit::list(&mut sql, filter).await?, total })
    }

    /// Removes entries from before a time; says how many.
    pub async fn remove_audit(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut work = self.editor.begin().await?;
        let gone = sql::audit::remove(&mut work.sql(), before).await?;
        work.commit().await?;
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testing::{Db, recorder_on, second};

    fn entry(number: u8, name: Option<&str>) -> AuditEntry {
        AuditEntry {
            id: Uuid::from_u128(number.into()),
            at: second(number.into()),
            name: name.map(str::to_owned),
            role: name.map(|_| "admin".into()),
            proof: name.map(|_| "token".into()),
            method: "POST".into(),
            route: format!("/api/admin/{}", number % 2),
            target: "/api/admin/x".into(),
            status: (number != 3).then_some(200),
            replica: "one".into(),
        }
    }

    #[rstest]
    #[tokio::test]
    async fn entries_are_listed_newest_first_filtered_and_removed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        let all = [entry(1, Some("ann")), entry(2, None), entry(3, Some("bob")), entry(4, Some("ann"))];
        store.add_audit(&all).await.unwrap();
        store.add_audit(&all[..1]).await.unwrap();
        let whole = AuditFilter { limit: 100, ..AuditFilter::default() };
        let numbers = async |filter: AuditFilter| {
            let page = store.audit(&filter).await.unwrap();
            (page.entries.iter().map(|entry| entry.id.as_u128()).collect::<Vec<_>>(), page.total)
        };
        let page = store.audit(&whole).await.unwrap();
        assert_eq!((page.entries, page.total), (all.iter().rev().cloned().collect(), 4));
        assert_eq!(numbers(AuditFilter { limit: 1, offset: 1, ..whole.clone() }).await, (vec![3], 4));
        assert_eq!(numbers(AuditFilter { name: Some("ann".into()), ..whole.clone() }).await, (vec![4, 1], 2));
        assert_eq!(numbers(AuditFilter { route: Some("/api/admin/0".into()), ..whole.clone() }).await, (vec![4, 2], 2));
        let span = AuditFilter { from: Some(second(2)), to: Some(second(4)), ..whole.clone() };
        assert_eq!(numbers(span).await, (vec![3, 2], 2));
        assert_eq!(store.remove_audit(second(3)).await.unwrap(), 2);
        assert_eq!(numbers(whole).await, (vec![4, 3], 2));
    }
}
