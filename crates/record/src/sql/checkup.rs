//! What a database says of its own state.

use super::{Kind, Query, Sql};

/// Answers as soon as the database does.
pub(crate) async fn ping(sql: &mut Sql<'_>) -> Result<(), sqlx::Error> {
    sql.number(Query::new("SELECT CAST(1 AS BIGINT)")).await.map(|_| ())
}

/// The server's clock, in microseconds since 1970; none where there is no server.
pub(crate) async fn clock(sql: &mut Sql<'_>) -> Result<Option<i64>, sqlx::Error> {
    match sql.kind() {
        Kind::Sqlite => Ok(None),
        Kind::Postgres => {
            let query = Query::new("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)");
            sql.number(query).await.map(Some)
        }
    }
}

/// Fails where the record cannot be written: a file or server for reading only, or a user without the right. Changes nothing.
pub(crate) async fn write_nothing(sql: &mut Sql<'_>) -> Result<(), sqlx::Error> {
    sql.run(Query::new("UPDATE record_state SET epoch = epoch WHERE epoch < 0")).await.map(|_| ())
}

/// What is damaged in a file, at most a few things; none where it is whole, or where there is no file.
pub(crate) async fn damages(sql: &mut Sql<'_>) -> Result<Vec<String>, sqlx::Error> {
    if sql.kind() == Kind::Postgres {
        return Ok(Vec::new());
    }
    let rows = sql.all(Query::new("PRAGMA quick_check(3)")).await?;
    let said: Vec<String> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}

/// How a file keeps its changes; none where there is no file.
pub(crate) async fn journal_mode(sql: &mut Sql<'_>) -> Result<Option<String>, sqlx::Error> {
    if sql.kind() == Kind::Postgres {
        return Ok(None);
    }
    let row = sql.one(Query::new("PRAGMA journal_mode")).await?;
    row.map(|row| row.get(0)).transpose()
}
