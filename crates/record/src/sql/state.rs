//! What the database says of itself: the epoch, which changes whenever stored contents are deleted, and by which key callers are known.

use super::{Kind, Query, Sql};

/// The number of the lock that keeps writers' batches and deletions apart on PostgreSQL.
const LOCK: i64 = 0x6c75_7468_6965_6e01;

/// The epoch, for a batch: until its end nothing is deleted. SQLite has one writer at a time anyway.
pub(crate) async fn epoch_for_batch(sql: &mut Sql<'_>) -> Result<i64, sqlx::Error> {
    if sql.kind() == Kind::Postgres {
        sql.all(Query::new("SELECT pg_advisory_xact_lock_shared(?)").bind(LOCK)).await?;
    }
    sql.number(Query::new("SELECT epoch FROM record_state")).await
}

/// Begins a deletion within the current database transaction: waits for the batches under way, keeps others out, and makes every
/// writer forget what it believes to be stored.
pub(crate) async fn begin_deletion(sql: &mut Sql<'_>) -> Result<(), sqlx::Error> {
    if sql.kind() == Kind::Postgres {
        sql.all(Query::new("SELECT pg_advisory_xact_lock(?)").bind(LOCK)).await?;
    }
    // What such rows refer to is not known.
    if sql.one(Query::new("SELECT 1 FROM transactions WHERE session_key IS NULL LIMIT 1")).await?.is_some() {
        let why = "rows of the record have not been completed; start the gateway once, then try again";
        return Err(sqlx::Error::Protocol(why.into()));
    }
    sql.run(Query::new("UPDATE record_state SET epoch = epoch + 1")).await?;
    Ok(())
}

/// The fingerprint of the key by which callers are known, as the gateway that started last has noted it.
pub(crate) async fn identity(sql: &mut Sql<'_>) -> Result<Option<String>, sqlx::Error> {
    sql.one(Query::new("SELECT identity FROM record_state")).await?.map_or(Ok(None), |row| row.get(0))
}

/// Notes that fingerprint.
pub(crate) async fn set_identity(sql: &mut Sql<'_>, fingerprint: &str) -> Result<(), sqlx::Error> {
    sql.run(Query::new("UPDATE record_state SET identity = ?").bind(fingerprint)).await?;
    Ok(())
}
