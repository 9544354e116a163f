//! `python`: a policy in a Python file, which the gateway starts as a policy server of its own.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::webhook::{default_at_once, default_timeout};
use crate::catalogue::{LoadError, Loading, range};
use crate::contract::OnError;
use crate::remote::caller::Bounds;
use crate::remote::outside::{Outside, Wishes};
use crate::remote::protocol::Watches;
use crate::remote::{Program, translate};
use crate::tree::Tree;

/// Tries after the first: one, since the question may be what the policy died of.
const RETRIES: u32 = 1;
/// When a server that is away is left alone, and for how long.
const FAILURES: u32 = 5;
const OPEN: Duration = Duration::from_secs(5);

/// The configuration of `python`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The Python file with the policy.
    #[serde(deserialize_with = "range::some_text")]
    file: String,
    /// Which policy, where the file has several: the name of its class or variable.
    #[serde(default)]
    class: Option<String>,
    /// The interpreter, in whose environment the SDK `luthien-policy` is installed.
    #[serde(default = "default_python", deserialize_with = "range::some_text")]
    python: String,
    /// The names of environment variables that the policy gets. It gets no other but `PATH`, `HOME`, those of the language,
    /// and those that begin with `PYTHON`.
    #[serde(default)]
    env: Vec<String>,
    /// Seconds for one answer: the wait for a place, all tries and their pauses.
    #[serde(default = "default_timeout", deserialize_with = "range::seconds")]
    #[schemars(range(min = 0.01, max = 600.0))]
    timeout: f64,
    /// What happens when there is no answer. Else what the policy says of itself, else `block`.
    #[serde(default)]
    on_error: Option<OnError>,
    /// The most questions at once. The others wait, within their time.
    #[serde(default = "default_at_once", deserialize_with = "range::count")]
    #[schemars(range(min = 1, max = 10_000))]
    max_concurrency: u32,
    /// What it has to see. With it the gateway starts without waiting for the policy; else the policy is asked.
    #[serde(default)]
    watches: Option<Watches>,
    /// Reviews of responses carry the client's request. Else as the policy says.
    #[serde(default)]
    send_request: Option<bool>,
    /// The policy's own configuration.
    #[serde(default, rename = "config")]
    own: Map<String, Value>,
}

fn default_python() -> String {
    "python3".to_owned()
}

/// Starts the server; asks it what it watches where the configuration does not say it.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let program = Program {
        python: config.python,
        file: config.file,
        class: config.class,
        env: config.env,
        at_once: config.max_concurrency,
    };
    let run = || loading.env.servers.run(&program).map_err(|unusable| loading.refuse(unusable.field, unusable.why));
    let mut wishes = Wishes {
        place: program.file.clone(),
        bounds: Bounds {
            timeout: Duration::from_secs_f64(config.timeout),
            at_once: config.max_concurrency as usize,
            retries: RETRIES,
            failures: FAILURES,
            open: OPEN,
        },
        watch: config.watches.map(translate::watch).unwrap_or_default(),
        on_error: config.on_error.unwrap_or_default(),
        send_request: config.send_request.unwrap_or_default(),
        config: Value::Object(config.own),
    };
    let server = if config.watches.is_some() {
        run()?
    } else {
        let key = format!("python {program:?} {}", wishes.config);
        let said = loading.env.servers.said(&key, &wishes.config, run)?;
        let said =
            said.map_err(|why| loading.refuse(&["file"], format!("the policy does not say what it is: {why}")))?;
        said.check(loading)?;
        wishes.watch = translate::watch(said.description.watches);
        wishes.on_error = config.on_error.or(said.description.on_error).unwrap_or_default();
        wishes.send_request = config.send_request.unwrap_or(said.description.send_request);
        Some(said.server)
    };
    Ok(Tree::of(Outside::new("python", server, wishes, &loading.env.breakers)))
}
