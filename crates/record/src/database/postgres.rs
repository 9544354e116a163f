//! PostgreSQL: a server that several gateways may share.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool};
use tokio::time::timeout;

use super::{DatabaseOptions, migrations};
use crate::recorder::OpenError;

/// How long changes of the schema may take, on a large record.
const MIGRATING: Duration = Duration::from_hours(1);

/// A database on a server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// The URL without its password.
    shown: String,
    connect: PgConnectOptions,
    options: DatabaseOptions,
}

impl Server {
    /// Reads a `postgres://` URL. Its query takes what libpq's does, `sslmode` and `host` (a socket's folder) among it.
    pub(super) fn parse(url: &str, options: DatabaseOptions) -> Result<Self, OpenError> {
        let shown = without_password(url);
        let connect = PgConnectOptions::from_str(url)
            .map_err(|source| OpenError::Database { url: shown.clone(), source })?
            .application_name("luthien")
            // Statements of a hundred rows are no use in a log.
            .disable_statement_logging();
        Ok(Self { shown, connect, options })
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A connection, whatever the schema.
    pub(super) async fn open(&self) -> Result<PgConnection, OpenError> {
        let connecting = timeout(self.options.connect_timeout, async {
            let mut connection = PgConnection::connect_with(&self.connect).await?;
            look_in_own_schema(&mut connection).await?;
            Ok(connection)
        });
        connecting.await.map_err(|_| self.failed(sqlx::Error::PoolTimedOut))?.map_err(|error| self.failed(error))
    }

    pub(super) async fn connect(&self, migrate: bool) -> Result<PgConnection, OpenError> {
        let late = |_| self.failed(sqlx::Error::PoolTimedOut);
        let mut connection = self.open().await?;
        if migrate {
            let made = timeout(self.options.query_timeout, apart(&mut connection)).await.map_err(late)?;
            made.map_err(|error| self.failed(error))?;
        }
        timeout(MIGRATING, migrations::of_postgres(&mut connection, &self.shown, migrate)).await.map_err(late)??;
        // What nobody waits for any more would go on waiting for locks, once more with every attempt.
        let limit = format!("SET statement_timeout = {}", self.limit());
        let limited = timeout(self.options.connect_timeout, connection.execute(AssertSqlSafe(limit)));
        limited.await.map_err(late)?.map_err(|error| self.failed(error))?;
        Ok(connection)
    }

    pub(super) fn readers(&self) -> PgPool {
        self.pool(self.options.pool_size)
    }

    pub(super) fn follower(&self) -> PgPool {
        self.pool(1)
    }

    pub(super) fn editor(&self) -> PgPool {
        self.pool(1)
    }

    fn pool(&self, size: u32) -> PgPool {
        let pool = PgPoolOptions::new().max_connections(size).acquire_timeout(self.options.connect_timeout);
        let pool = pool.after_connect(|connection, _| Box::pin(look_in_own_schema(connection)));
        // The server ends what nobody waits for any more.
        pool.connect_lazy_with(self.connect.clone().options([("statement_timeout", self.limit().to_string())]))
    }

    fn failed(&self, source: sqlx::Error) -> OpenError {
        OpenError::Database { url: self.shown.clone(), source }
    }

    /// How long the server may work on a statement, in milliseconds.
    fn limit(&self) -> u128 {
        self.options.query_timeout.as_millis()
    }
}

/// Where the record is when an older proxy's tables are in the database too.
const OWN: &str = "luthien";

/// Has a connection look for tables in the record's own schema first; where there is none, nothing changes.
async fn look_in_own_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let path = "SELECT set_config('search_path', $1 || ', ' || current_setting('search_path'), false)";
    sqlx::query(path).bind(OWN).execute(connection).await.map(|_| ())
}

/// Makes the record's own schema where an older proxy's tables are in the way: some have the names of ours.
pub(crate) async fn apart(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let tables = "SELECT COUNT(*) FILTER (WHERE tablename = ANY ($1)) > 0 AND COUNT(*) FILTER (WHERE tablename = '_sqlx_migrations') = 0
        FROM pg_tables WHERE schemaname = current_schema()";
    let theirs: bool = sqlx::query_scalar(tables).bind(super::OLDER.to_vec()).fetch_one(&mut *connection).await?;
    if theirs {
        tracing::info!(
            "an older proxy's tables are in the database; the record is kept beside them, in the schema {OWN}"
        );
        sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {OWN}"))).execute(connection).await?;
    }
    Ok(())
}

/// A URL as it may be shown: its password, and one in its query, is left out.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let rest = match rest.rsplit_once('@') {
        Some((user, place)) => format!("{}@{place}", user.split(':').next().unwrap_or_default()),
        None => rest.to_owned(),
    };
    let query = query.map(|query| query.split('&').filter(|pair| !pair.starts_with("password=")).collect::<Vec<_>>());
    match query {
        Some(query) if !query.is_empty() => format!("{scheme}://{rest}?{}", query.join("&")),
        _ => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("postgres://user:se:cr@t@host:5432/db", "postgres://user@host:5432/db"),
            ("postgres://user@host/db?password=secret&host=/run", "postgres://user@host/db?host=/run"),
            ("postgresql://host/db?password=secret", "postgresql://host/db"),
            ("postgres://:secret@host/db", "postgres://@host/db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
