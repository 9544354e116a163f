//! Raw HTTP as it was logged, with the bodies of the record.

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, StoreError, damaged, names, search, unsigned};
use crate::model::{Headers, TransactionId};
use crate::sql::request_logs::ListedLog;
use crate::sql::texts::Wanted;
use crate::sql::{self, Sql};
use crate::words::Search;

/// Which logs to list.
#[derive(Clone, Debug, Default)]
pub struct RequestLogFilter {
    /// At most this many.
    pub limit: u32,
    /// After this many.
    pub offset: u32,
    /// `inbound` or `outbound`.
    pub direction: Option<String>,
    /// The path, without its query.
    pub endpoint: Option<String>,
    /// The session's id, as lists show it.
    pub session_id: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// The model that the client asked for.
    pub model: Option<String>,
    /// Begun at or after this time.
    pub after: Option<Timestamp>,
    /// Begun before this time.
    pub before: Option<Timestamp>,
    /// A part of the URL, model, error, user or session; or words that were said in the turn.
    pub search: Option<String>,
}

/// One side of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestLog {
    /// The transaction.
    pub transaction: TransactionId,
    /// The session's id, as lists show it.
    pub session_id: String,
    /// The user.
    pub user_id: Option<String>,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// The request's method.
    pub method: String,
    /// Where it went, without credentials.
    pub url: String,
    /// The path, without its query.
    pub endpoint: String,
    /// The request's headers, credentials masked.
    pub request_headers: Headers,
    /// The answer's status.
    pub response_status: Option<u16>,
    /// The answer's headers, credentials masked.
    pub response_headers: Headers,
    /// When it began.
    pub started: Timestamp,
    /// When it was over.
    pub completed: Option<Timestamp>,
    /// The model that the client asked for.
    pub model: String,
    /// The client asked for a stream.
    pub streamed: bool,
    /// What went wrong.
    pub error: Option<String>,
}

/// A page of logs.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestLogPage {
    /// Latest first.
    pub logs: Vec<RequestLog>,
    /// How many there are in all.
    pub total: u64,
}

/// The bodies of one side of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestLogDetail {
    /// The rest.
    pub log: RequestLog,
    /// The request's body, decoded.
    pub request: Bytes,
    /// The answer's body, decoded.
    pub response: Bytes,
}

impl Store {
    /// The logs that `filter` names, latest first.
    pub async fn request_logs(&self, filter: &RequestLogFilter) -> Result<RequestLogPage, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut sql = connection.sql();
        let session = match &filter.session_id {
            None => None,
            Some(name) => match names::find(&mut sql, name).await? {
                Some((session, credential)) => Some(sql::sessions::session_key(&session, &credential)),
                None => return Ok(RequestLogPage { logs: Vec::new(), total: 0 }),
            },
        };
        let search = filter.search.as_deref().and_then(|search| Search::parse(search).ok());
        let found = match search {
            Some(search) => Some(search::found(&mut sql, &search, Wanted::Transactions).await?),
            None => None,
        };
        let found = found.as_ref();
        let total = unsigned(sql::request_logs::count(&mut sql, filter, session, found).await?);
        let mut logs = Vec::new();
        for row in sql::request_logs::list(&mut sql, filter, session, found).await? {
            logs.push(log(&mut sql, row).await?);
        }
        Ok(RequestLogPage { logs, total })
    }

    /// Both sides of a transaction, as far as there are any; none if nothing was logged of it.
    pub async fn request_log(&self, id: TransactionId) -> Result<Vec<RequestLogDetail>, StoreError> {
        let mut logs = Vec::new();
        {
            let mut connection = self.readers.acquire().await?;
            let mut sql = connection.sql();
            for row in sql::request_logs::of_transaction(&mut sql, id.0).await? {
                logs.push(log(&mut sql, row).await?);
            }
        }
        if logs.is_empty() {
            return Ok(Vec::new());
        }
        let Some(transaction) = self.transaction(id).await? else { return Ok(Vec::new()) };
        let bodies = |log: RequestLog| {
            let (request, response) = if log.direction == "outbound" {
                let sent = transaction.upstream_request.as_ref().map(|sent| sent.body.clone());
                (sent.unwrap_or_default(), transaction.upstream_response.clone())
            } else {
                (transaction.request.clone(), transaction.client_response().clone())
            };
            RequestLogDetail { log, request, response }
        };
        Ok(logs.into_iter().map(bodies).collect())
    }
}

async fn log(sql: &mut Sql<'_>, row: ListedLog) -> Result<RequestLog, StoreError> {
    let id = row.transaction;
    Ok(RequestLog {
        transaction: TransactionId(id),
        session_id: names::public(sql, &row.session, &row.credential).await?,
        user_id: row.user_id,
        direction: row.direction,
        method: row.method,
        url: row.url,
        endpoint: row.endpoint,
        request_headers: headers(id, &row.request_headers)?,
        response_status: row.response_status.and_then(|status| u16::try_from(status).ok()),
        response_headers: headers(id, &row.response_headers)?,
        started: row.started_at,
        completed: row.completed_at,
        model: row.model,
        streamed: row.streamed,
        error: row.error,
    })
}

fn headers(id: Uuid, json: &str) -> Result<Headers, StoreError> {
    serde_json::from_str(json).map_err(|error| damaged(&id.to_string(), error))
}

#[cfg(test)]
mod tests;
