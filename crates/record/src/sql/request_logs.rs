//! The heads of raw HTTP, written with their transactions and listed beside them.

use jiff::Timestamp;
use uuid::Uuid;

use super::insert::Insert;
use super::texts::{Found, Wanted, push_found};
use super::{Kind, Query, Row, Sql};
use crate::store::RequestLogFilter;

/// One side of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct LogRow {
    pub(crate) transaction: Uuid,
    pub(crate) direction: &'static str,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) endpoint: String,
    pub(crate) request_headers: String,
    pub(crate) response_status: Option<u16>,
    pub(crate) response_headers: String,
    pub(crate) started_at: Timestamp,
    pub(crate) completed_at: Option<Timestamp>,
}

/// The same with what its transaction says.
#[derive(Clone, Debug)]
pub(crate) struct ListedLog {
    pub(crate) transaction: Uuid,
    pub(crate) direction: String,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) endpoint: String,
    pub(crate) request_headers: String,
    pub(crate) response_status: Option<i64>,
    pub(crate) response_headers: String,
    pub(crate) started_at: Timestamp,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) session: String,
    pub(crate) credential: Vec<u8>,
    pub(crate) user_id: Option<String>,
    pub(crate) model: String,
    pub(crate) streamed: bool,
    pub(crate) error: Option<String>,
}

/// Writes them.
#[derive(Debug)]
pub(crate) struct LogInserts(Insert);

impl LogInserts {
    pub(crate) fn new() -> Self {
        let columns = [
            "transaction_id",
            "direction",
            "http_method",
            "url",
            "endpoint",
            "request_headers",
            "response_status",
            "response_headers",
            "started_at",
            "completed_at",
        ];
        Self(Insert::new("request_logs", &columns))
    }

    /// Stores the rows of transactions that are stored.
    pub(crate) async fn run(&self, sql: &mut Sql<'_>, rows: Vec<LogRow>) -> Result<(), sqlx::Error> {
        let stored = self.0.run(sql, rows, |row, values| {
            values.extend([
                row.transaction.into(),
                row.direction.into(),
                row.method.into(),
                row.url.into(),
                row.endpoint.into(),
                row.request_headers.into(),
                row.response_status.into(),
                row.response_headers.into(),
                row.started_at.into(),
                row.completed_at.into(),
            ]);
        });
        stored.await.map(drop)
    }
}

const COLUMNS: &str = "SELECT r.transaction_id, r.direction, r.http_method, r.url, r.endpoint, r.request_headers,
    r.response_status, r.response_headers, r.started_at, r.completed_at,
    t.session, t.credential, t.user_id, t.model, t.streamed, t.error";

const TABLES: &str = " FROM request_logs r JOIN transactions t ON t.id = r.transaction_id";

/// The logs that a filter names, latest first. `session` is the key of the session that it names, `found` what its search has found.
pub(crate) async fn list(
    sql: &mut Sql<'_>,
    filter: &RequestLogFilter,
    session: Option<Uuid>,
    found: Option<&Found>,
) -> Result<Vec<ListedLog>, sqlx::Error> {
    let mut query = Query::new(COLUMNS);
    push_filter(&mut query, sql.kind(), filter, session, found);
    query.push(" ORDER BY r.started_at DESC, r.transaction_id DESC, r.direction LIMIT ").push_value(filter.limit);
    query.push(" OFFSET ").push_value(filter.offset);
    sql.all(query).await?.iter().map(read).collect()
}

/// How many there are.
pub(crate) async fn count(
    sql: &mut Sql<'_>,
    filter: &RequestLogFilter,
    session: Option<Uuid>,
    found: Option<&Found>,
) -> Result<i64, sqlx::Error> {
    let mut query = Query::new("SELECT COUNT(*)");
    push_filter(&mut query, sql.kind(), filter, session, found);
    sql.number(query).await
}

/// Those of one transaction.
pub(crate) async fn of_transaction(sql: &mut Sql<'_>, id: Uuid) -> Result<Vec<ListedLog>, sqlx::Error> {
    let query = Query::new(format!("{COLUMNS}{TABLES} WHERE r.transaction_id = ?")).bind(id);
    sql.all(query).await?.iter().map(read).collect()
}

fn push_filter(query: &mut Query, kind: Kind, filter: &RequestLogFilter, session: Option<Uuid>, found: Option<&Found>) {
    query.push(TABLES).push(" WHERE 1 = 1");
    let texts = [
        (" AND r.direction = ", &filter.direction),
        (" AND r.endpoint = ", &filter.endpoint),
        (" AND t.user_id = ", &filter.user_id),
        (" AND t.model = ", &filter.model),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            query.push(condition).push_value(value.clone());
        }
    }
    if let Some(session) = session {
        query.push(" AND t.session_key = ").push_value(session);
    }
    if let Some(status) = filter.status {
        query.push(" AND r.response_status = ").push_value(status);
    }
    if let Some(after) = filter.after {
        query.push(" AND r.started_at >= ").push_value(after);
    }
    if let Some(before) = filter.before {
        query.push(" AND r.started_at < ").push_value(before);
    }
    if let Some(search) = &filter.search {
        push_search(query, kind, search, found);
    }
}

/// The text stands in what is listed, or its words were said.
fn push_search(query: &mut Query, kind: Kind, search: &str, found: Option<&Found>) {
    let escaped: String = search.to_lowercase().chars().fold(String::new(), |mut out, c| {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
        out
    });
    query.push(" AND (");
    for column in ["r.url", "t.model", "t.error", "t.user_id", "t.session"] {
        query.push("lower(COALESCE(").push(column).push(", '')) LIKE ");
        query.push_value(format!("%{escaped}%")).push(" ESCAPE '\\' OR ");
    }
    match found {
        Some(found) => push_found(query, kind, "t.id", found, Wanted::Transactions),
        None => {
            query.push("1 = 0");
        }
    }
    query.push(")");
}

fn read(row: &Row) -> Result<ListedLog, sqlx::Error> {
    Ok(ListedLog {
        transaction: row.get("transaction_id")?,
        direction: row.get("direction")?,
        method: row.get("http_method")?,
        url: row.get("url")?,
        endpoint: row.get("endpoint")?,
        request_headers: row.get("request_headers")?,
        response_status: row.get("response_status")?,
        response_headers: row.get("response_headers")?,
        started_at: row.get("started_at")?,
        completed_at: row.get("completed_at")?,
        session: row.get("session")?,
        credential: row.get("credential")?,
        user_id: row.get("user_id")?,
        model: row.get("model")?,
        streamed: row.get("streamed")?,
        error: row.get("error")?,
    })
}
