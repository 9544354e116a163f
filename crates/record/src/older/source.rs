//! A database of an older proxy, SQLite or PostgreSQL, read as text whatever columns its version has. Nothing is written to it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection};
use tokio::time::timeout;

use super::OlderError;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long one query may take: a page of calls is looked for in all of them.
const ANSWER: Duration = Duration::from_mins(5);

/// A row's values as the bytes of their text; SQLite may hold bytes that are no text.
pub(super) type Row = Vec<Option<Vec<u8>>>;

/// The database.
#[derive(Debug)]
pub(super) struct Source {
    connection: Connection,
    /// The columns of its tables.
    tables: HashMap<String, Vec<String>>,
}

#[derive(Debug)]
enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Source {
    /// Opens `place`: a `postgres://` URL, a `sqlite:` URL, or the path of a file.
    pub(super) async fn open(place: &str) -> Result<Self, OlderError> {
        let mut connection = if place.starts_with("postgres://") || place.starts_with("postgresql://") {
            Connection::Postgres(postgres(place).await?)
        } else {
            let path = place.strip_prefix("sqlite:").map_or(place, |path| path.strip_prefix("//").unwrap_or(path));
            Connection::Sqlite(sqlite(path.split('?').next().unwrap_or_default()).await?)
        };
        let columns = match &connection {
            Connection::Sqlite(_) => {
                "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
                WHERE m.type = 'table' ORDER BY m.name, c.cid"
            }
            Connection::Postgres(_) => {
                "SELECT table_name, column_name FROM information_schema.columns
                WHERE table_schema = ANY (current_schemas(false)) ORDER BY table_name, ordinal_position"
            }
        };
        let columns = connection.rows(columns, &["1", "2"], &[]).await?;
        let mut tables: HashMap<String, Vec<String>> = HashMap::new();
        for row in columns {
            if let [Some(table), Some(column)] = row.as_slice() {
                let column = String::from_utf8_lossy(column).into_owned();
                tables.entry(String::from_utf8_lossy(table).into_owned()).or_default().push(column);
            }
        }
        Ok(Self { connection, tables })
    }

    /// The tables, sorted by name.
    pub(super) fn tables(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.tables.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Whether the table is there, with these columns.
    pub(super) fn has(&self, table: &str, columns: &[&str]) -> bool {
        let known = self.tables.get(table);
        known.is_some_and(|known| columns.iter().all(|column| known.iter().any(|known| known == column)))
    }

    /// A column's text in SQL; NULL where this database's version has no such column.
    pub(super) fn text(&self, table: &str, column: &str) -> String {
        if self.has(table, &[column]) { format!("CAST({column} AS TEXT)") } else { "CAST(NULL AS TEXT)".into() }
    }

    /// The columns of rows of a table; `rest` is what stands behind its name, with `?` for `values`.
    pub(super) async fn select(
        &mut self,
        table: &str,
        columns: &[&str],
        rest: &str,
        values: &[&str],
    ) -> Result<Vec<Row>, OlderError> {
        // SQLite says of a column what it holds, not what it was declared as: as bytes everything can be fetched.
        let kind = match &self.connection {
            Connection::Sqlite(_) => "BLOB",
            Connection::Postgres(_) => "TEXT",
        };
        let wanted: Vec<_> = columns
            .iter()
            .map(
                |column| {
                    if self.has(table, &[column]) { format!("CAST({column} AS {kind})") } else { "NULL".to_owned() }
                },
            )
            .collect();
        let sql = format!("SELECT {} FROM {table} {rest}", wanted.join(", "));
        self.connection.rows(&sql, columns, values).await
    }

    /// How many rows a table has, with the condition behind its name.
    pub(super) async fn count(&mut self, table: &str, rest: &str) -> Result<u64, OlderError> {
        let rows =
            self.connection.rows(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table} {rest}"), &["n"], &[]).await?;
        let number = rows.into_iter().flatten().flatten().next().unwrap_or_default();
        Ok(String::from_utf8_lossy(&number).parse().unwrap_or_default())
    }

    /// Ends the connection.
    pub(super) async fn close(self) {
        // It was only read: there is nothing to lose.
        let _ = match self.connection {
            Connection::Sqlite(connection) => connection.close().await,
            Connection::Postgres(connection) => connection.close().await,
        };
    }
}

impl Connection {
    async fn rows(&mut self, sql: &str, columns: &[&str], values: &[&str]) -> Result<Vec<Row>, OlderError> {
        let found = async {
            let rows: Result<Vec<Row>, sqlx::Error> = match self {
                Self::Sqlite(connection) => {
                    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
                    for value in values {
                        query = query.bind((*value).to_owned());
                    }
                    let rows = query.fetch_all(connection).await?;
                    rows.iter().map(|row| (0..columns.len()).map(|at| row.try_get_unchecked(at)).collect()).collect()
                }
                Self::Postgres(connection) => {
                    let mut query = sqlx::query(AssertSqlSafe(numbered(sql)));
                    for value in values {
                        query = query.bind((*value).to_owned());
                    }
                    let rows = query.fetch_all(connection).await?;
                    let text = |row: &sqlx::postgres::PgRow, at| {
                        row.try_get_unchecked::<Option<String>, _>(at).map(|text| text.map(String::into_bytes))
                    };
                    rows.iter().map(|row| (0..columns.len()).map(|at| text(row, at)).collect()).collect()
                }
            };
            rows
        };
        timeout(ANSWER, found).await.map_err(|_| OlderError::Slow)?.map_err(OlderError::Database)
    }
}

async fn sqlite(path: &str) -> Result<SqliteConnection, OlderError> {
    if !Path::new(path).is_file() {
        return Err(OlderError::NoFile(path.into()));
    }
    let options =
        SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(CONNECT).disable_statement_logging();
    SqliteConnection::connect_with(&options).await.map_err(OlderError::Database)
}

async fn postgres(url: &str) -> Result<PgConnection, OlderError> {
    let options: PgConnectOptions = url.parse().map_err(OlderError::Database)?;
    let options = options
        .options([("TimeZone", "UTC"), ("DateStyle", "ISO"), ("default_transaction_read_only", "on")])
        .disable_statement_logging();
    let opened = timeout(CONNECT, PgConnection::connect_with(&options)).await;
    opened.map_err(|_| OlderError::Slow)?.map_err(OlderError::Database)
}

/// `$1`, `$2` and so on in place of `?`.
fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 8);
    for (number, part) in sql.split('?').enumerate() {
        if number > 0 {
            out.push('$');
            out.push_str(&number.to_string());
        }
        out.push_str(part);
    }
    out
}
