//! What this crate's tests share: recorders in temporary folders, and transactions to put in them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use luthien_wire::Dialect;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::model::{Decision, End, Evaluation, Event, Start, Status, TransactionId};
use crate::recorder::{InFlight, Recorder, RecorderConfig, SentRequest};
use crate::store::TransactionDetail;

/// A configuration whose journal is brought up to date only when a test says so.
pub(crate) fn config(folder: &Path) -> RecorderConfig {
    RecorderConfig { flush_interval: Duration::from_hours(1), ..RecorderConfig::in_dir(folder) }
}

pub(crate) async fn recorder() -> (TempDir, Recorder) {
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = Recorder::open(config(folder.path())).await.expect("a recorder");
    (folder, recorder)
}

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Db {
    Sqlite,
    Postgres,
}

/// Where a recorder keeps what it has; gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) folder: TempDir,
    server: Option<Arc<luthien_servers::Database>>,
}

impl Home {
    pub(crate) fn new(db: Db) -> Self {
        let server = match db {
            Db::Sqlite => None,
            Db::Postgres => Some(Arc::new(luthien_servers::database().expect("a database"))),
        };
        Self { folder: tempfile::tempdir().expect("a folder"), server }
    }

    /// The configuration of a recorder here, whose journal is brought up to date only when a test says so.
    pub(crate) fn config(&self) -> RecorderConfig {
        let config = config(self.folder.path());
        match &self.server {
            Some(server) => RecorderConfig { database: server.url().into(), ..config },
            None => config,
        }
    }

    /// What a process that was killed now would leave: a copy of the folder, and the same database where that is a server.
    pub(crate) fn killed(&self) -> Self {
        Self { folder: killed(self.folder.path()), server: self.server.clone() }
    }

    /// The same where the database has no rows yet: the copy has one of its own, so the first process may go on.
    pub(crate) fn killed_before_it_stored(&self) -> Self {
        let server = self.server.as_ref().map(|_| Arc::new(luthien_servers::database().expect("a database")));
        Self { folder: killed(self.folder.path()), server }
    }

    /// The server's database; the test is about one.
    pub(crate) fn server(&self) -> &luthien_servers::Database {
        self.server.as_deref().expect("a database on a server")
    }
}

/// A recorder on this database.
pub(crate) async fn recorder_on(db: Db) -> (Home, Recorder) {
    let home = Home::new(db);
    let recorder = Recorder::open(home.config()).await.expect("a recorder");
    (home, recorder)
}

/// The time so many seconds after an agreed one.
pub(crate) fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

/// Ids that sort by `number`.
pub(crate) fn id(number: u128) -> TransactionId {
    TransactionId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number))
}

pub(crate) fn start(number: u32, session: Option<&str>, request: impl Into<Bytes>) -> Start {
    Start {
        id: id(number.into()),
        at: second(number.into()),
        dialect: Dialect::Messages,
        path: "/v1/messages".into(),
        conversation: true,
        session_id: session.map(Into::into),
        user_id: None,
        credential: Some([7; 16]),
        model: "claude-x".into(),
        streamed: false,
        request: request.into(),
        policy: "no_op".into(),
    }
}

pub(crate) fn end(number: u32) -> End {
    End {
        at: second(i64::from(number) + 1),
        status: Status::Completed,
        http_status: Some(200),
        error: None,
        evaluation: Evaluation::None,
    }
}

pub(crate) fn decision(policy: &str, action: &str) -> Decision {
    Decision {
        policy: policy.into(),
        target: json!({"kind": "turn"}),
        action: action.into(),
        mode: "enforce".into(),
        failed: false,
        score: Some(0.25),
        reason: Some("because".into()),
        micros: 12,
    }
}

pub(crate) fn event(name: &str) -> Event {
    Event { event_type: name.into(), at: second(1), data: json!({"n": 1}) }
}

pub(crate) fn messages(messages: &[Value]) -> Bytes {
    json!({"model": "claude-x", "max_tokens": 1024, "messages": messages}).to_string().into()
}

/// An answer with one text.
pub(crate) fn answer(text: &str) -> Vec<u8> {
    let content = json!([{"type": "text", "text": text}]);
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}});
    answer.to_string().into_bytes()
}

/// Sends a body upstream, the client's own or one that policies made.
pub(crate) fn send(flight: &InFlight, upstream: &str, dialect: Dialect, body: &Bytes) {
    let url = "http://up";
    flight.upstream_request(&SentRequest { upstream, method: "POST", url, dialect, edited: body, body });
}

/// Begins a transaction that has been answered and not finished.
pub(crate) fn answered(recorder: &Recorder, start: Start, answer: &[u8]) -> InFlight {
    let (dialect, body) = (start.dialect, start.request.clone());
    let flight = recorder.begin(start).expect("begun");
    send(&flight, "anthropic", dialect, &body);
    flight.upstream_response(200, vec![("content-type".into(), "application/json".into())]);
    flight.upstream_bytes(answer);
    flight
}

pub(crate) async fn stored(recorder: &Recorder, number: u32) -> Option<TransactionDetail> {
    recorder.store().transaction(id(number.into())).await.expect("a query")
}

/// A copy of a recorder's folder as it is on disk now: what a process that was killed now would leave.
pub(crate) fn killed(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(folder, copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}
