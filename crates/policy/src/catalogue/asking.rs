//! Loading policies that have to ask a server first what they are.
//!
//! Policies are built without waiting. One that has to ask leaves its question and fails; once the questions have been
//! answered all is built again, with the answers at hand. So policies that hold others know nothing of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::timeout;

use super::{LoadEnv, LoadError, Loaded, Loading, PolicySpec, load};
use crate::remote::caller::body;
use crate::remote::protocol::{CHECK, Check, Checked, DESCRIBE, Description, Problem, VERSION};
use crate::remote::translate::read;
use crate::remote::{Message, Place, PolicyServer, PolicyServers, Program, Unusable};

/// For one server to answer all questions.
const WITHIN: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 4 << 20;

/// The way to policy servers, and what those of one policy have said of themselves.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    transport: Option<Arc<dyn PolicyServers>>,
    asked: Option<Arc<Mutex<Asked>>>,
}

#[derive(Debug, Default)]
struct Asked {
    said: BTreeMap<String, Result<Said, String>>,
    wanted: BTreeMap<String, (Arc<dyn PolicyServer>, Value)>,
}

/// What a server has said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// What it is.
    pub(crate) description: Description,
    /// What it finds wrong with the configuration.
    pub(crate) problems: Vec<Problem>,
    /// The way to it.
    pub(crate) server: Arc<dyn PolicyServer>,
}

impl Said {
    /// Refuses a configuration with which the server finds something wrong; it stands in the field `config`.
    pub(crate) fn check(&self, loading: &Loading<'_>) -> Result<(), LoadError> {
        let problem = |problem: &Problem| {
            let path: Vec<&str> = std::iter::once("config").chain(problem.path.iter().map(String::as_str)).collect();
            loading.refuse(&path, problem.message.clone())
        };
        let problems: Vec<_> = self.problems.iter().flat_map(|found| problem(found).problems).collect();
        if problems.is_empty() { Ok(()) } else { Err(LoadError { problems }) }
    }
}

impl Servers {
    /// Over this transport.
    pub fn new(transport: Arc<dyn PolicyServers>) -> Self {
        Self { transport: Some(transport), asked: None }
    }

    /// The way to the server at `place`; none where policies are only looked at.
    pub(crate) fn at(&self, place: &Place) -> Result<Option<Arc<dyn PolicyServer>>, Unusable> {
        self.transport.as_ref().map(|transport| transport.at(place)).transpose()
    }

    /// Starts this program; not where policies are only looked at.
    pub(crate) fn run(&self, program: &Program) -> Result<Option<Arc<dyn PolicyServer>>, Unusable> {
        self.transport.as_ref().map(|transport| transport.run(program)).transpose()
    }

    /// What the server said that is called `key` here; if it has not been asked yet, it is, with its policy's configuration.
    pub(crate) fn said(
        &self,
        key: &str,
        config: &Value,
        server: impl FnOnce() -> Result<Option<Arc<dyn PolicyServer>>, LoadError>,
    ) -> Result<Result<Said, String>, LoadError> {
        let not_here = || Ok(Err("policy servers are not asked here".to_owned()));
        let Some(asked) = &self.asked else { return not_here() };
        if let Some(said) = lock(asked).said.get(key) {
            return Ok(said.clone());
        }
        let Some(server) = server()? else { return not_here() };
        lock(asked).wanted.insert(key.to_owned(), (server, config.clone()));
        Ok(Err("it has not been asked yet".to_owned()))
    }
}

fn lock(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The policies that `spec` describes, like [`load`]. Policy servers that have to be asked are asked.
pub async fn load_asking(spec: &PolicySpec, env: &LoadEnv) -> Result<Loaded, LoadError> {
    let asked = Arc::new(Mutex::new(Asked::default()));
    let servers = Servers { transport: env.servers.transport.clone(), asked: Some(Arc::clone(&asked)) };
    let env = LoadEnv { servers, ..env.clone() };
    let loaded = load(spec, &env);
    let wanted = std::mem::take(&mut lock(&asked).wanted);
    if wanted.is_empty() {
        return loaded;
    }
    let said = join_all(wanted.into_iter().map(|(key, (server, config))| async move {
        let said = timeout(WITHIN, ask(server, &config)).await;
        (key, said.unwrap_or_else(|_| Err(format!("it gave no answer within {} s", WITHIN.as_secs()))))
    }));
    let said = said.await;
    lock(&asked).said.extend(said);
    load(spec, &env)
}

async fn ask(server: Arc<dyn PolicyServer>, config: &Value) -> Result<Said, String> {
    let send = |message| sent(&*server, message);
    let described = send(Message { path: DESCRIBE, body: None, largest: LARGEST }).await?;
    let description = description(&described)?;
    let mut problems = Vec::new();
    if description.checks_config {
        let check = serde_json::to_vec(&Check { protocol: VERSION, config }).map_err(|error| error.to_string())?;
        let answer = send(Message { path: CHECK, body: Some(Bytes::from(check)), largest: LARGEST }).await?;
        problems =
            read::<Checked>(&answer).map_err(|why| format!("its answer to {CHECK} cannot be used: {why}"))?.problems;
    }
    Ok(Said { description, problems, server })
}

fn sent(server: &dyn PolicyServer, message: Message) -> impl Future<Output = Result<Bytes, String>> + Send {
    let sending = server.send(message);
    async move { body(sending.await.map_err(|error| error.to_string())?).map_err(|failure| failure.to_string()) }
}

/// Reads a description. One of another version is told apart from one that is wrong.
fn description(body: &[u8]) -> Result<Description, String> {
    let version = serde_json::from_slice::<Value>(body).ok().and_then(|value| value.get("protocol")?.as_u64());
    match version {
        Some(version) if version != u64::from(VERSION) => {
            Err(format!("it speaks version {version} of the protocol, the gateway {VERSION}"))
        }
        _ => read(body).map_err(|why| format!("its answer to {DESCRIBE} cannot be used: {why}")),
    }
}

#[cfg(test)]
mod tests;
