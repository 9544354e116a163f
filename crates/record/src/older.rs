//! The databases of the older proxies (luthien-proxy, luthien_control), read for import. They are never written to.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::import::Imported;
use crate::model::{Status, TransactionId};
use call::{CallRow, EventRow};
use source::{Row, Source};

mod call;
mod settings;
mod shape;
mod source;
mod survey;
mod times;

pub use settings::{OlderCredential, OlderProvider, OlderSettings};
pub use survey::{LeftOut, OlderPolicy};

/// How many calls are looked up at a time. Their events are read call by call: each holds a whole conversation.
const PAGE: usize = 500;

/// The columns of a call that are read, those it is sorted by first.
const CALL: [&str; 8] =
    ["session_id", "created_at", "call_id", "model_name", "provider", "status", "completed_at", "user_id"];

/// Why an older database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OlderError {
    /// There is no such file.
    #[error("there is no database at `{}`: give the path of its SQLite file or its postgres:// URL", .0.display())]
    NoFile(PathBuf),
    /// It is another kind of database.
    #[error("this is no database of {0}: the table `{1}` is missing")]
    Foreign(&'static str, &'static str),
    /// It did not answer in time.
    #[error("the older database does not answer; see that it runs and try again, what was imported stays")]
    Slow,
    /// It refused.
    #[error("the older database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// A key is no text.
    #[error("the older database holds a call whose id is no text; it cannot be read in order")]
    Key,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The call it belongs to.
    pub call_id: String,
    /// The event, where it is one.
    pub event_id: Option<String>,
    /// The event's type, where it is one.
    pub event_type: Option<String>,
    /// What is wrong with it.
    pub why: String,
}

/// A call as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    id: String,
    /// What the list is sorted by.
    key: [String; 3],
    /// When it was made.
    pub created: Option<Timestamp>,
    row: CallRow,
}

impl Listed {
    /// The id of its transaction.
    pub fn id(&self) -> TransactionId {
        call::id_of(&self.id)
    }
}

/// What became of a call.
#[derive(Debug)]
pub struct Read {
    /// The transaction; none where nothing says when it was.
    pub transaction: Option<Imported>,
    /// It was streamed, and the record there has the same answer twice: what policies changed of it is not known.
    pub one_answer: bool,
    /// It has neither an answer nor an end.
    pub open: bool,
    /// What could not be read of it.
    pub unreadable: Vec<Unreadable>,
}

/// The database of a luthien-proxy.
#[derive(Debug)]
pub struct OlderRecord {
    source: Source,
}

impl OlderRecord {
    /// Opens `place`: the path of an SQLite file, or a `sqlite:` or `postgres://` URL.
    pub async fn open(place: &str) -> Result<Self, OlderError> {
        let source = Source::open(place).await?;
        for table in ["conversation_calls", "conversation_events"] {
            if !source.has(table, &["call_id"]) {
                return Err(OlderError::Foreign("luthien-proxy", table));
            }
        }
        Ok(Self { source })
    }

    /// How many calls it holds.
    pub async fn calls(&mut self) -> Result<u64, OlderError> {
        self.source.count("conversation_calls", "").await
    }

    /// How many events belong to no call.
    pub async fn orphans(&mut self) -> Result<u64, OlderError> {
        let rest = "e WHERE NOT EXISTS (SELECT 1 FROM conversation_calls c WHERE c.call_id = e.call_id)";
        self.source.count("conversation_events", rest).await
    }

    /// The next calls after `last`, session by session, each in its order; empty at the end.
    pub async fn page(&mut self, last: Option<&Listed>) -> Result<Vec<Listed>, OlderError> {
        let keys = ["session_id", "created_at", "call_id"]
            .map(|column| format!("COALESCE({}, '')", self.source.text("conversation_calls", column)))
            .join(", ");
        let after = last.map(|_| format!("WHERE ({keys}) > (?, ?, ?) ")).unwrap_or_default();
        let values: Vec<&str> = last.iter().flat_map(|last| last.key.iter().map(String::as_str)).collect();
        let rest = format!("{after}ORDER BY {keys} LIMIT {PAGE}");
        let rows = self.source.select("conversation_calls", &CALL, &rest, &values).await?;
        rows.into_iter().map(listed).collect()
    }

    /// A call with its events, as a transaction; `now` is when it is imported.
    pub async fn call(&mut self, listed: &Listed, now: Timestamp) -> Result<Read, OlderError> {
        let order =
            if self.source.has("conversation_events", &["sequence"]) { "created_at, sequence" } else { "created_at" };
        let rest = format!("WHERE call_id = ? ORDER BY {order}, id");
        let columns = ["id", "event_type", "payload", "created_at", "session_id"];
        let rows = self.source.select("conversation_events", &columns, &rest, &[&listed.id]).await?;
        let (mut events, mut unreadable) = (Vec::new(), Vec::new());
        for row in rows {
            match event(row, &listed.id, listed.created) {
                Ok(event) => events.push(event),
                Err(why) => unreadable.push(*why),
            }
        }
        let first = events.first().map(|event: &EventRow| event.at);
        let Some(created) = listed.created.or(first).or(listed.row.completed) else {
            let why = "nothing says when it was".into();
            unreadable.push(Unreadable { call_id: listed.id.clone(), event_id: None, event_type: None, why });
            return Ok(Read { transaction: None, one_answer: false, open: false, unreadable });
        };
        let row = CallRow { created, ..listed.row.clone() };
        let made = call::transaction(&row, &events, "luthien-proxy", now);
        let open = made.transaction.end.status == Status::Interrupted;
        Ok(Read { transaction: Some(made.transaction), one_answer: made.one_answer, open, unreadable })
    }

    /// The policy that is set there.
    pub async fn policy(&mut self) -> Result<Option<OlderPolicy>, OlderError> {
        survey::policy(&mut self.source).await
    }

    /// The names of users: id and name.
    pub async fn labels(&mut self) -> Result<Vec<(String, String)>, OlderError> {
        survey::labels(&mut self.source).await
    }

    /// Its credentials, judges' providers and settings.
    pub async fn settings(&mut self) -> Result<OlderSettings, OlderError> {
        settings::read(&mut self.source).await
    }

    /// The tables with rows that are not imported, each with the reason.
    pub async fn left_out(&mut self) -> Result<Vec<LeftOut>, OlderError> {
        survey::left_out(&mut self.source).await
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.source.close().await;
    }
}

/// The database of a luthien_control.
#[derive(Debug)]
pub struct OlderControl {
    source: Source,
}

impl OlderControl {
    /// Opens `place`, as [`OlderRecord::open`] does.
    pub async fn open(place: &str) -> Result<Self, OlderError> {
        let source = Source::open(place).await?;
        if !source.has("policies", &["name", "type", "config"]) {
            return Err(OlderError::Foreign("luthien_control", "policies"));
        }
        Ok(Self { source })
    }

    /// Its policies, by name.
    pub async fn policies(&mut self) -> Result<Vec<OlderPolicy>, OlderError> {
        survey::control_policies(&mut self.source).await
    }

    /// How many client keys it has.
    pub async fn keys(&mut self) -> Result<u64, OlderError> {
        if self.source.has("client_api_keys", &[]) { self.source.count("client_api_keys", "").await } else { Ok(0) }
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.source.close().await;
    }
}

fn listed(row: Row) -> Result<Listed, OlderError> {
    let [session, created, id, model, provider, status, completed, user] = <[_; CALL.len()]>::try_from(row)
        .map_err(|_| OlderError::Key)?
        .map(|value: Option<Vec<u8>>| value.map(String::from_utf8).transpose());
    let key = |value: &Result<Option<String>, _>| match value {
        Ok(value) => Ok(value.clone().unwrap_or_default()),
        Err(_) => Err(OlderError::Key),
    };
    let key = [key(&session)?, key(&created)?, key(&id)?];
    let text = |value: Result<Option<String>, _>| value.ok().flatten();
    let time = |value: Result<Option<String>, _>| text(value).as_deref().and_then(times::time);
    let created = time(created);
    let row = CallRow {
        id: key[2].clone(),
        model: text(model),
        provider: text(provider),
        status: text(status),
        session: text(session),
        user: text(user),
        created: created.unwrap_or_default(),
        completed: time(completed),
    };
    Ok(Listed { id: key[2].clone(), key, created, row })
}

fn event(row: Row, call: &str, created: Option<Timestamp>) -> Result<EventRow, Box<Unreadable>> {
    let mut values = row.into_iter();
    let mut next = || values.next().flatten();
    let lossy = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (id, event_type) = (lossy(next()), lossy(next()).unwrap_or_default());
    let payload = next().unwrap_or_else(|| b"null".to_vec());
    let (at, session) = (lossy(next()), lossy(next()));
    let bad = |why: String| {
        let (call_id, event_type) = (call.to_owned(), Some(event_type.clone()));
        Box::new(Unreadable { call_id, event_id: id.clone(), event_type, why })
    };
    let payload = String::from_utf8(payload).map_err(|_| bad("its payload is no text".into()))?;
    let payload: Box<RawValue> =
        serde_json::from_str(&payload).map_err(|error| bad(format!("its payload is no JSON: {error}")))?;
    let at = at.as_deref().and_then(times::time).or(created).ok_or_else(|| bad("nothing says when it was".into()))?;
    Ok(EventRow { event_type, at, session, payload })
}

/// A column of JSON, which some versions kept as a text in JSON.
fn json(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::String(inner)) => serde_json::from_str(&inner).unwrap_or(Value::String(inner)),
        Ok(value) => value,
        Err(_) => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod testing;
