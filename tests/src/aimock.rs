//! aimock, a scripted model server of others, which speaks all dialects and keeps a journal of what it was asked.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::http as web;
use crate::places;
use crate::process::{Server, clean};

/// A running aimock, killed when dropped.
pub struct Aimock {
    server: Server,
    base: String,
}

impl Aimock {
    /// Serves these fixtures on a free port: `{"fixtures": [{"match": …, "response": …}]}`, the first that matches.
    pub async fn start(fixtures: &Value) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("fixtures.json");
        std::fs::write(&file, fixtures.to_string()).expect("the fixtures");
        let mut command = clean("node".as_ref(), folder.path());
        command.arg(places::peer("node/node_modules/@copilotkit/aimock/dist/cli.js"));
        command.args(["-p", "0", "-h", "127.0.0.1", "--validate-on-load", "-f"]).arg(file);
        let mut server = Server::start(command, folder);
        let address = |log: &str| {
            log.split_once("listening on ").and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_owned))
        };
        let base = server.until(Duration::from_mins(1), async |log| address(log)).await;
        Self { server, base }
    }

    /// Its base URL, without `/v1`.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// What it has been asked with this model, in order: path, headers, body and response of each request.
    pub async fn asked(&self, model: &str) -> Vec<Value> {
        let journal = web::get(&format!("{}/__aimock/journal", self.base)).await.expect("the journal");
        let all: Vec<Value> = serde_json::from_slice(&journal.body).expect("a list");
        all.into_iter().filter(|one| one["body"]["model"] == model).collect()
    }

    /// What it has printed, for a failed assertion.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
