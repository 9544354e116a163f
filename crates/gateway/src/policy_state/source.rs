//! Where the policy comes from at the start: the database, the policy file, or the settings file.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use luthien_policy::catalogue::{LoadEnv, LoadError, PolicySpec, Servers, Variables};
use luthien_policy::contract::Mode;
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredPolicy};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::settings::{PolicySource, Settings, Sources, read_yaml};

/// What decides which policy is active at the start.
#[derive(Clone, Debug)]
pub struct PolicyOptions {
    /// Database, file, or both in which order.
    pub source: PolicySource,
    /// The policy file.
    pub file: Option<PathBuf>,
    /// The settings file's own policy, and that file's name; it counts where there is no policy file.
    pub inline: Option<(Value, String)>,
    /// Puts the policy that protects the gateway first.
    pub dogfood: bool,
    /// What the settings say about judges.
    pub env: LoadEnv,
}

impl PolicyOptions {
    /// What the settings say.
    pub fn new(settings: &Settings, sources: &Sources) -> Self {
        let name =
            settings.file.as_deref().map_or_else(|| "the settings".to_owned(), |path| path.display().to_string());
        Self {
            source: settings.policy_source,
            file: settings.policy_config.as_deref().map(|path| sources.folder.join(path)),
            inline: settings.policy.clone().map(|policy| (policy, name)),
            dogfood: settings.dogfood_mode,
            env: LoadEnv {
                judge_model: settings.llm_judge_model.clone(),
                judge_api_base: settings.llm_judge_api_base.as_ref().map(ToString::to_string),
                providers: Some(settings.upstreams.iter().map(|upstream| upstream.name.clone()).collect()),
                servers: Servers::default(),
                base_urls: settings.upstreams.iter().map(|upstream| upstream.base_url.to_string()).collect(),
                variables: Variables::Process,
            },
        }
    }
}

/// The gateway cannot start with the policy that it was told to use.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policy file cannot be read.
    #[error("cannot read the policy file {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system or the YAML reader says.
        why: String,
    },
    /// It is not written as a policy.
    #[error("{origin}: {why}{way_out}")]
    NotAPolicy {
        /// Where it stands.
        origin: String,
        /// The field and what is wrong with it.
        why: String,
        /// What else to do, or nothing.
        way_out: &'static str,
    },
    /// It does not load.
    #[error("the policy from {origin} does not load, so the gateway does not start: {error}{way_out}")]
    Refused {
        /// Where it stands.
        origin: String,
        /// The fields and what is wrong with them.
        error: LoadError,
        /// What else to do, or nothing.
        way_out: &'static str,
    },
    /// The database cannot be asked.
    #[error("cannot read from the database which policy is set: {0}; POLICY_SOURCE=file starts without asking it")]
    Store(#[from] StoreError),
}

/// A policy that was chosen, not yet loaded.
pub(super) struct Chosen {
    pub(super) spec: PolicySpec,
    pub(super) origin: String,
    pub(super) way_out: &'static str,
    pub(super) enabled_by: String,
    pub(super) enabled_at: Timestamp,
    pub(super) version: u64,
}

/// The policy to begin with: what the source holds, else `no_op`.
pub(super) async fn choose(options: &PolicyOptions, store: &Store, clock: &Clock) -> Result<Chosen, StartError> {
    let file = match options.source {
        PolicySource::Db => None,
        PolicySource::File | PolicySource::DbFallbackFile | PolicySource::FileFallbackDb => from_file(options)?,
    };
    let stored = match options.source {
        PolicySource::File => None,
        PolicySource::Db | PolicySource::DbFallbackFile | PolicySource::FileFallbackDb => {
            store.current_policy().await?
        }
    };
    let version = stored.as_ref().map_or(0, |(version, _)| *version);
    let file_first = options.source == PolicySource::FileFallbackDb && file.is_some();
    match (stored, file) {
        (Some((_, stored)), _) if !file_first => from_stored(stored, version),
        (_, Some((spec, origin))) => {
            Ok(Chosen { spec, origin, way_out: "", enabled_by: "file".to_owned(), enabled_at: clock.now(), version })
        }
        (_, None) => Ok(Chosen {
            spec: PolicySpec::new("no_op", json!({})),
            origin: "the default".to_owned(),
            way_out: "",
            enabled_by: "default".to_owned(),
            enabled_at: clock.now(),
            version,
        }),
    }
}

/// What helps when the database's policy is the one that does not load.
const WITHOUT_DATABASE: &str = "; POLICY_SOURCE=file starts without it";

fn from_stored(stored: StoredPolicy, version: u64) -> Result<Chosen, StartError> {
    let origin = format!("the database (set by {})", stored.enabled_by);
    let mode = stored.mode.as_deref().map_or(Some(Mode::Enforce), mode_of);
    let Some(mode) = mode else {
        return Err(StartError::NotAPolicy {
            origin,
            why: "mode: not off, shadow or enforce".to_owned(),
            way_out: WITHOUT_DATABASE,
        });
    };
    let spec = PolicySpec { class: stored.class_ref, config: stored.config, mode };
    Ok(Chosen {
        spec,
        origin,
        way_out: WITHOUT_DATABASE,
        enabled_by: stored.enabled_by,
        enabled_at: stored.enabled_at,
        version,
    })
}

/// The policy of the policy file, else of the settings file; none if neither has one.
fn from_file(options: &PolicyOptions) -> Result<Option<(PolicySpec, String)>, StartError> {
    if let Some(path) = &options.file {
        let origin = path.display().to_string();
        let value = read(path)?;
        return Ok(Some((spec(value, &origin)?, origin)));
    }
    let Some((value, origin)) = &options.inline else { return Ok(None) };
    Ok(Some((spec(value.clone(), origin)?, origin.clone())))
}

/// The policy in a file: under `policy`, or the file is it.
fn read(path: &Path) -> Result<Value, StartError> {
    let unreadable = |why: String| StartError::Unreadable { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let value = read_yaml(&text).map_err(unreadable)?;
    match value {
        Value::Object(mut root) if root.contains_key("policy") => {
            let policy = root.shift_remove("policy").unwrap_or_default();
            match root.keys().next() {
                None => Ok(policy),
                Some(other) => {
                    Err(unreadable(format!("`{other}` stands beside `policy`, where nothing else is known")))
                }
            }
        }
        value => Ok(value),
    }
}

fn spec(value: Value, origin: &str) -> Result<PolicySpec, StartError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { "policy".to_owned() } else { format!("policy.{path}") };
        StartError::NotAPolicy { origin: origin.to_owned(), why: format!("{place}: {}", error.inner()), way_out: "" }
    })
}

/// The word that the database keeps for a mode.
pub(super) fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Shadow => "shadow",
        Mode::Enforce => "enforce",
    }
}

fn mode_of(word: &str) -> Option<Mode> {
    [Mode::Off, Mode::Shadow, Mode::Enforce].into_iter().find(|mode| mode_word(*mode) == word)
}
