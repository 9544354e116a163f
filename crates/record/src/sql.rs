//! SQL for both databases: statements with `?` for values, run on a connection of either kind. All statements are in the modules
//! below; where the databases differ they ask for the [`Kind`].

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction};

pub(crate) mod assignments;
pub(crate) mod audit;
pub(crate) mod blocks;
pub(crate) mod bodies;
pub(crate) mod calls;
pub(crate) mod caps;
pub(crate) mod checkup;
pub(crate) mod client_keys;
pub(crate) mod credentials;
pub(crate) mod deletion;
pub(crate) mod erasures;
pub(crate) mod garbage;
pub(crate) mod insert;
pub(crate) mod labels;
pub(crate) mod logins;
pub(crate) mod panics;
pub(crate) mod people;
pub(crate) mod policies;
mod query;
pub(crate) mod references;
pub(crate) mod request_logs;
pub(crate) mod retention;
pub(crate) mod revisions;
mod row;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod spending;
pub(crate) mod state;
pub(crate) mod texts;
pub(crate) mod transactions;
mod value;

pub(crate) use query::Query;
pub(crate) use row::Row;
pub(crate) use value::Value;

/// Which database it is, where their languages differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A borrowed connection.
#[derive(Debug)]
pub(crate) enum Sql<'c> {
    Sqlite(&'c mut SqliteConnection),
    /// With the time that a statement may take: a server that has stopped does not say so.
    Postgres(&'c mut PgConnection, Duration),
}

impl Sql<'_> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Sqlite(_) => Kind::Sqlite,
            Self::Postgres(..) => Kind::Postgres,
        }
    }

    /// All rows that a statement gives.
    pub(crate) async fn all(&mut self, query: Query) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let rows = query.sqlite()?.fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(connection, within) => {
                let rows = in_time(*within, query.postgres()?.fetch_all(&mut **connection)).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row that a statement gives, if any.
    pub(crate) async fn one(&mut self, query: Query) -> Result<Option<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => Ok(query.sqlite()?.fetch_optional(&mut **connection).await?.map(Row::Sqlite)),
            Self::Postgres(connection, within) => {
                let row = in_time(*within, query.postgres()?.fetch_optional(&mut **connection)).await?;
                Ok(row.map(Row::Postgres))
            }
        }
    }

    /// The number that a statement gives in its one row, such as a count.
    pub(crate) async fn number(&mut self, query: Query) -> Result<i64, sqlx::Error> {
        self.one(query).await?.ok_or(sqlx::Error::RowNotFound)?.get(0)
    }

    /// Runs a statement; gives how many rows it wrote.
    pub(crate) async fn run(&mut self, query: Query) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => Ok(query.sqlite()?.execute(&mut **connection).await?.rows_affected()),
            Self::Postgres(connection, within) => {
                Ok(in_time(*within, query.postgres()?.execute(&mut **connection)).await?.rows_affected())
            }
        }
    }
}

/// What the server says, if it does in time.
async fn in_time<T>(within: Duration, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = || {
        let why = format!("the database did not answer within {} seconds", within.as_secs_f64());
        sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, why))
    };
    tokio::time::timeout(within, asked).await.unwrap_or_else(|_| Err(late()))
}

/// Connections to share.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool, Duration),
}

impl Pool {
    /// A connection of one's own for a while.
    pub(crate) async fn acquire(&self) -> Result<Pooled, sqlx::Error> {
        // Boxed, since the drivers' futures would make those of all callers large.
        Box::pin(async move {
            Ok(match self {
                Self::Sqlite(pool) => Pooled::Sqlite(pool.acquire().await?),
                Self::Postgres(pool, within) => Pooled::Postgres(pool.acquire().await?, *within),
            })
        })
        .await
    }

    /// Begins to write: all of it is kept at [`Work::commit`], or nothing.
    pub(crate) async fn begin(&self) -> Result<Work, sqlx::Error> {
        Box::pin(async move {
            Ok(match self {
                Self::Sqlite(pool) => Work::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
                Self::Postgres(pool, within) => Work::Postgres(in_time(*within, pool.begin()).await?, *within),
            })
        })
        .await
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool, _) => pool.close().await,
        }
    }
}

/// A connection out of a pool.
#[derive(Debug)]
pub(crate) enum Pooled {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>, Duration),
}

impl Pooled {
    pub(crate) fn sql(&mut self) -> Sql<'_> {
        match self {
            Self::Sqlite(connection) => Sql::Sqlite(connection),
            Self::Postgres(connection, within) => Sql::Postgres(connection, *within),
        }
    }
}

/// Writing that is kept as a whole or not at all. Dropped, it is not.
#[derive(Debug)]
pub(crate) enum Work {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>, Duration),
}

impl Work {
    pub(crate) fn sql(&mut self) -> Sql<'_> {
        match self {
            Self::Sqlite(work) => Sql::Sqlite(work),
            Self::Postgres(work, within) => Sql::Postgres(work, *within),
        }
    }

    /// Keeps what was written.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(work) => work.commit().await,
            Self::Postgres(work, within) => in_time(within, work.commit()).await,
        }
    }
}

/// A connection of the writer's own.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection, Duration),
}

impl Connection {
    pub(crate) fn sql(&mut self) -> Sql<'_> {
        match self {
            Self::Sqlite(connection) => Sql::Sqlite(connection),
            Self::Postgres(connection, within) => Sql::Postgres(connection, *within),
        }
    }

    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => sqlx::Connection::close(connection).await,
            Self::Postgres(connection, within) => in_time(within, sqlx::Connection::close(connection)).await,
        }
    }
}

impl Query {
    fn sqlite(self) -> Result<sqlx::query::Query<'static, Sqlite, SqliteArguments>, sqlx::Error> {
        let mut arguments = SqliteArguments::default();
        let (sql, values) = self.into_parts();
        for value in values {
            value.add_to_sqlite(&mut arguments).map_err(sqlx::Error::Encode)?;
        }
        Ok(sqlx::query_with(AssertSqlSafe(sql), arguments))
    }

    fn postgres(self) -> Result<sqlx::query::Query<'static, Postgres, PgArguments>, sqlx::Error> {
        let mut arguments = PgArguments::default();
        let (sql, values) = self.into_parts();
        for value in values {
            value.add_to_postgres(&mut arguments).map_err(sqlx::Error::Encode)?;
        }
        Ok(sqlx::query_with(AssertSqlSafe(query::numbered(&sql)), arguments))
    }
}
