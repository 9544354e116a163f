//! The policy that is evaluated: from a file or by its name, loaded, with the judges and servers that the settings have.

use std::path::Path;
use std::sync::Arc;

use luthien_gateway::policy_servers::HttpPolicyServers;
use luthien_gateway::settings::ByteSize;
use luthien_policy::catalogue::{self, PolicySpec};
use luthien_policy::evaluate::Trial;
use luthien_policy::plan::Options;
use serde_json::{Map, Value, json};
use tokio_util::task::TaskTracker;

use super::EvalArgs;
use crate::args::SettingArgs;
use crate::assembly::Loaded;
use crate::failure::Failure;

/// A policy that can be tried.
pub(super) struct Subject {
    pub(super) trial: Trial,
    servers: Arc<HttpPolicyServers>,
}

impl Subject {
    /// Loads it. Policy servers are asked what they are.
    pub(super) async fn load(args: &EvalArgs) -> Result<Self, Failure> {
        let (mut spec, settings) = spec(args)?;
        for given in &args.set {
            set(&mut spec, given)?;
        }
        let config = args.config.clone().or(settings);
        let loaded = Loaded::new(&SettingArgs { config, ..SettingArgs::default() })?;
        let wrong = |e: &dyn std::fmt::Display| Failure::new(format!("the policy cannot be used: {e}"));
        let spec: PolicySpec = serde_json::from_value(spec).map_err(|e| wrong(&e))?;
        let servers = Arc::new(loaded.policy_servers());
        let policy = catalogue::load_asking(&spec, &loaded.load_env(&servers)).await;
        let policy = match policy {
            Ok(policy) => policy,
            Err(error) => {
                servers.shutdown().await;
                return Err(wrong(&error));
            }
        };
        let settings = &loaded.settings;
        let options = Options {
            policy_timeout: settings.policy_timeout,
            person_timeout: settings.person_timeout,
            person_timeout_streamed: settings.person_timeout_streamed,
            held_limit: bytes(settings.max_held_bytes),
            event_limit: bytes(settings.max_event_bytes),
        };
        let judges = loaded.judges(&TaskTracker::new())?;
        Ok(Self { trial: Trial::new(policy.tree, judges, options), servers })
    }

    /// Lets its servers go.
    pub(super) async fn close(self) {
        self.servers.shutdown().await;
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

/// The policy as configuration, and the settings file that it stands in.
fn spec(args: &EvalArgs) -> Result<(Value, Option<std::path::PathBuf>), Failure> {
    let path = Path::new(&args.policy);
    let is_file = path.components().count() > 1 || path.extension().is_some() || path.is_file();
    if !is_file || args.policy.contains(':') && !path.is_file() {
        return Ok((json!({"class": args.policy, "config": {}}), None));
    }
    let wrong = |what: &dyn std::fmt::Display| Failure::new(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let document: Value = serde_saphyr::from_str(&text).map_err(|error| wrong(&error))?;
    if document.get("policy").is_some_and(Value::is_object) {
        return Ok((of_settings(path)?, Some(path.to_owned())));
    }
    if document.get("class").or_else(|| document.get("type")).is_some() {
        return Ok((document, None));
    }
    if document.get("rules").is_some() {
        return Ok((json!({"class": "rules", "config": document}), None));
    }
    Err(wrong(&"there is no policy in it: it has neither `policy`, `class` nor `rules`"))
}

/// The policy in a luthien.yaml, without the settings that stand beside it, else the one in the policy file that it names.
fn of_settings(file: &Path) -> Result<Value, Failure> {
    let loaded = Loaded::new(&SettingArgs { config: Some(file.to_owned()), ..SettingArgs::default() })?;
    if let Some(policy) = &loaded.settings.policy {
        return Ok(policy.clone());
    }
    let (spec, _) = loaded.policy_of_files()?.ok_or_else(|| {
        Failure::new(format!("{}: there is no policy in it: its section `policy` names none", file.display()))
    })?;
    serde_json::to_value(spec).map_err(|error| Failure::new(error.to_string()))
}

/// Sets a field of the configuration: `a.b=VALUE`.
fn set(spec: &mut Value, given: &str) -> Result<(), Failure> {
    let wrong = |what: &dyn std::fmt::Display| Failure::new(format!("--set {given}: {what}"));
    let (field, value) = given.split_once('=').ok_or_else(|| wrong(&"write FIELD=VALUE"))?;
    let value: Value = serde_saphyr::from_str(value).map_err(|error| wrong(&error))?;
    let config = spec.as_object_mut().ok_or_else(|| wrong(&"the policy is no object"))?;
    let mut at = config.entry("config").or_insert_with(|| Value::Object(Map::new()));
    for name in field.split('.') {
        let members = at.as_object_mut().ok_or_else(|| wrong(&format!("what `{name}` stands in is no object")))?;
        at = members.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    *at = value;
    Ok(())
}
