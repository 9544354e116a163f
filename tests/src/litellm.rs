//! A real LiteLLM proxy, which translates between the dialects by itself.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::places;
use crate::process::{Server, clean};

/// A running proxy, killed when dropped.
pub struct LiteLlm {
    server: Server,
    base: String,
}

impl LiteLlm {
    /// Serves these models on a free port: each a name and LiteLLM's own parameters, such as `model` and `api_base`.
    pub async fn start(models: &[(&str, Value)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("config.yaml");
        let list: Vec<_> =
            models.iter().map(|(name, params)| json!({"model_name": name, "litellm_params": params})).collect();
        // JSON is YAML.
        std::fs::write(&file, json!({"model_list": list}).to_string()).expect("the proxy's settings");
        let mut command = clean(&places::peer("litellm/bin/litellm"), folder.path());
        command.args(["--host", "127.0.0.1", "--port", "0", "--telemetry", "False", "--config"]).arg(file);
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("DISABLE_ADMIN_UI", "True");
        // Callers on this machine need no key.
        command.env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true");
        let mut server = Server::start(command, folder);
        let address = |log: &str| {
            let (_, rest) = log.split_once("Uvicorn running on ")?;
            rest.split_whitespace().next().map(str::to_owned)
        };
        let base = server.until(Duration::from_mins(2), async |log| address(log)).await;
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
