//! A real llama.cpp server with a tiny model that always says the same.

use std::time::Duration;

use tempfile::TempDir;

use crate::places;
use crate::process::{Server, clean, finish};

/// A running model server, killed when dropped.
pub struct Llama {
    server: Server,
    base: String,
}

impl Llama {
    /// Makes the model and serves it on a free port.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let python = places::peer("llama/bin/python");
        let model = folder.path().join("tiny.gguf");
        let mut make = clean(&python, folder.path());
        make.arg(places::script("llama/tiny_gguf.py")).arg(&model).arg(places::script("llama/tiny_gguf.jinja"));
        let made = finish(make, b"", Duration::from_mins(1)).await;
        assert_eq!(made.code, Some(0), "the model was not made: {}", made.stderr);

        let mut serve = clean(&python, folder.path());
        serve.arg(places::script("llama/llama_server.py")).arg("0").arg(&model);
        let mut server = Server::start(serve, folder);
        let address = |log: &str| log.lines().find(|line| line.starts_with("http://")).map(str::to_owned);
        let base = server.until(Duration::from_mins(1), async |log| address(log)).await;
        Self { server, base }
    }

    /// Its base URL, without `/v1`.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// What it has printed, for a failed assertion.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
