//! Reading the record from its database, whether or not a gateway is running.

use std::path::Path;

use luthien_record::model::TransactionId;
use luthien_record::store::{SessionFilter, Store, TransactionDetail};

use crate::args::RecordArgs;
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::terminal::visible_line;

/// What an id named.
#[derive(Debug)]
pub(crate) enum Found {
    /// A session, by its whole id.
    Session(String),
    /// A transaction.
    Transaction(Box<TransactionDetail>),
}

/// Opens the record for reading; none if nothing has been recorded there yet.
pub(crate) async fn open(args: &RecordArgs) -> Result<Option<Store>, Failure> {
    open_loaded(&Loaded::for_record(args)?).await
}

/// Opens the record of these settings; none if nothing has been recorded there yet.
pub(crate) async fn open_loaded(loaded: &Loaded) -> Result<Option<Store>, Failure> {
    let url = loaded.database();
    if file_of(&url).is_some_and(|file| !file.exists()) {
        return Ok(None);
    }
    Store::open(&url, loaded.database_options()).await.map(Some).map_err(|e| Failure::new(e.to_string()))
}

/// The file of a `sqlite:` URL.
fn file_of(url: &str) -> Option<&Path> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    path.split('?').next().map(Path::new)
}

/// The session or transaction whose id is `id`, or the only one whose id begins with it.
pub(crate) async fn find(store: &Store, id: &str) -> Result<Found, Failure> {
    if let Ok(uuid) = id.parse()
        && let Some(call) = store.transaction(TransactionId(uuid)).await?
    {
        return Ok(Found::Transaction(Box::new(call)));
    }
    if store.cursor(id).await?.is_some() {
        return Ok(Found::Session(id.to_owned()));
    }
    by_start(store, id).await
}

/// The latest sessions and transactions that the start of an id is looked for in.
const LATEST: u32 = 1000;

async fn by_start(store: &Store, start: &str) -> Result<Found, Failure> {
    let filter = SessionFilter { limit: LATEST, ..SessionFilter::default() };
    let sessions = store.sessions(&filter).await?.sessions;
    let calls = store.calls(LATEST).await?.calls;
    let sessions: Vec<String> = sessions.into_iter().map(|row| row.session_id).collect();
    let fitting: Vec<String> = sessions.iter().filter(|id| id.starts_with(start)).cloned().collect();
    let calls: Vec<TransactionId> =
        calls.into_iter().map(|row| row.id).filter(|id| id.to_string().starts_with(start)).collect();
    match (fitting.as_slice(), calls.as_slice()) {
        ([one], []) => Ok(Found::Session(one.clone())),
        ([], [one]) => {
            let call = store.transaction(*one).await?;
            call.map(|call| Found::Transaction(Box::new(call))).ok_or_else(|| unknown(start, &sessions))
        }
        ([], []) => Err(unknown(start, &sessions)),
        (some, more) => {
            let all: Vec<String> = some.iter().cloned().chain(more.iter().map(ToString::to_string)).collect();
            Err(several(start, &all))
        }
    }
}

fn unknown(start: &str, sessions: &[String]) -> Failure {
    let hint = match sessions.first() {
        Some(latest) => format!("the latest session is {}, `luthien sessions` lists more", visible_line(latest)),
        None => "the record is empty".to_owned(),
    };
    Failure::new(format!("no session or transaction begins with {}; {hint}", visible_line(start)))
}

fn several(start: &str, all: &[String]) -> Failure {
    let shown: Vec<String> = all.iter().take(5).map(|id| visible_line(id)).collect();
    let more = if all.len() > shown.len() { format!(" and {} more", all.len() - shown.len()) } else { String::new() };
    Failure::new(format!(
        "{} begins more than one id: {}{more}; give more of it",
        visible_line(start),
        shown.join(", ")
    ))
}
