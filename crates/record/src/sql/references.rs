//! Which contents and chain heads the transactions of a session refer to. What nothing refers to may be deleted.

use uuid::Uuid;

use super::Sql;
use super::insert::Insert;
use crate::body::Hash;

/// A reference from a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reference {
    pub(crate) session: Uuid,
    pub(crate) hash: Hash,
}

/// The statements that store references.
#[derive(Debug)]
pub(crate) struct ReferenceInserts(Insert);

impl ReferenceInserts {
    pub(crate) fn new() -> Self {
        Self(Insert::new("refs", &["session", "hash"]))
    }

    /// Stores those that are not there yet.
    pub(crate) async fn run(&self, sql: &mut Sql<'_>, mut rows: Vec<Reference>) -> Result<(), sqlx::Error> {
        rows.sort_unstable();
        self.0.run(sql, rows, |row, values| values.extend([row.session.into(), row.hash.into()])).await?;
        Ok(())
    }
}
