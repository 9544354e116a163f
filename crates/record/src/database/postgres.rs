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

/// How long a connection that goes back to its pool may take to answer.
const RELEASING: Duration = Duration::from_secs(5);

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
        let limits: Vec<_> = self.limits().map(|(name, value)| format!("SET {name} = {value}")).into();
        let limit = limits.join("; ");
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
        // Before it takes a connection back the pool waits for an answer, without end if the server has vanished.
        let pool = pool.after_release(|connection, _| {
            Box::pin(async {
                let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                timeout(RELEASING, connection.ping()).await.map_err(late)?.map(|()| true)
            })
        });
        // The server ends what nobody waits for any more.
        pool.connect_lazy_with(self.connect.clone().options(self.limits()))
    }

    fn failed(&self, source: sqlx::Error) -> OpenError {
        OpenError::Database { url: self.shown.clone(), source }
    }

    /// How long the server works on a statement and waits for the next one of a transaction, in milliseconds, and when it finds
    /// out that a gateway's machine has vanished, in seconds: what that one had locked is to be free again soon.
    fn limits(&self) -> [(&'static str, u128); 5] {
        let within = self.options.query_timeout.as_millis();
        [
            ("statement_timeout", within),
            ("idle_in_transaction_session_timeout", within),
            ("tcp_keepalives_idle", 30),
            ("tcp_keepalives_interval", 10),
            ("tcp_keepalives_count", 3),
        ]
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
    use crate::database::Database;
    use crate::sql::Query;
    use crate::testing::{Db, Home};

    #[tokio::test]
    async fn the_server_ends_what_nobody_waits_for() {
        let home = Home::new(Db::Postgres);
        let options = DatabaseOptions { query_timeout: Duration::from_secs(7), ..DatabaseOptions::default() };
        let database = Database::parse(&home.config().database, options).expect("a database");
        let mut writer = database.connect(true).await.expect("a connection");
        let pool = database.readers();
        let mut reader = pool.acquire().await.expect("a connection");
        for limit in ["statement_timeout", "idle_in_transaction_session_timeout"] {
            for mut sql in [writer.sql(), reader.sql()] {
                let row = sql.one(Query::new(format!("SHOW {limit}"))).await.expect("read").expect("a row");
                assert_eq!(row.get::<String>(0).expect("a text"), "7s", "{limit}");
            }
        }
    }

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
