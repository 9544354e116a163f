//! Where the policy comes from at the start: the database, the policy file, or the settings file.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use luthien_policy::breakers::Breakers;
use luthien_policy::catalogue::{JudgeNames, LoadEnv, LoadError, PolicySpec, Servers, Variables};
use luthien_policy::contract::Mode;
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredPolicy};
use serde_json::{Value, json};

use super::BY_API;
use crate::clock::Clock;
use crate::settings::{PolicyFailMode, PolicySource, Settings, Sources, read_yaml};

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
    /// Tells the model which policies are in force.
    pub tell_model: bool,
    /// What becomes of traffic whose policy does not load.
    pub fail_mode: PolicyFailMode,
    /// What requests may choose by header.
    pub choices: Vec<String>,
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
            tell_model: settings.inject_policy_context,
            fail_mode: settings.policy_fail_mode,
            choices: settings.policy_header_choices.0.clone(),
            env: LoadEnv {
                judge_model: settings.llm_judge_model.clone(),
                judge_api_base: settings.llm_judge_api_base.as_ref().map(ToString::to_string),
                providers: Some(settings.upstreams.iter().map(|upstream| upstream.name.clone()).collect()),
                judges: JudgeNames::default(),
                without_key: without_key(settings),
                servers: Servers::default(),
                base_urls: settings.upstreams.iter().map(|upstream| upstream.base_url.clone()).collect(),
                variables: Variables::Process,
                breakers: Breakers::default(),
            },
        }
    }

    /// The policy of the policy file, else of the settings file, with the name of that file; none if neither has one. Fails where
    /// it is not written as a policy, and says why.
    pub fn in_files(&self) -> Result<Option<(PolicySpec, String)>, String> {
        let found = from_file(self).map(|(spec, origin)| Ok((spec.map_err(|why| why.to_string())?, origin)));
        found.transpose()
    }
}

/// The upstreams where a judge could not be asked with a key of the gateway's. The key for judges serves the vendors' own.
fn without_key(settings: &Settings) -> Vec<String> {
    let judges_key = |name: &str| settings.llm_judge_api_key.is_some() && matches!(name, "anthropic" | "openai");
    let closed = settings.upstreams.iter().filter(|upstream| !upstream.has_key() && !upstream.keyless);
    closed.map(|upstream| upstream.name.clone()).filter(|name| !judges_key(name)).collect()
}

/// Why the policy that the gateway was told to use is not in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
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
    #[error("the policy from {origin} does not load: {error}{way_out}")]
    Refused {
        /// Where it stands.
        origin: String,
        /// The fields and what is wrong with them.
        error: LoadError,
        /// What else to do, or nothing.
        way_out: &'static str,
    },
    /// What the database holds cannot be read.
    #[error("{0}{WITHOUT_DATABASE}")]
    Damaged(StoreError),
}

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The gateway's own policy does not load.
    #[error("the policy that protects the gateway does not load: {0}")]
    Guard(LoadError),
    /// The database cannot be asked.
    #[error("cannot read from the database which policy is set: {0}; POLICY_SOURCE=file starts without asking it")]
    Store(#[from] StoreError),
}

/// A policy that was chosen, not yet loaded.
pub(super) struct Chosen {
    pub(super) spec: Result<PolicySpec, Unusable>,
    /// The database, a file, or the default.
    pub(super) origin: String,
    /// The same for messages, with who set it.
    pub(super) place: String,
    pub(super) enabled_by: String,
    pub(super) enabled_at: Timestamp,
    pub(super) version: u64,
}

/// The policy to begin with: what the source holds, else `no_op`.
pub(super) async fn choose(options: &PolicyOptions, store: &Store, clock: &Clock) -> Result<Chosen, StartError> {
    let file = match options.source {
        PolicySource::Db => None,
        PolicySource::File | PolicySource::DbFallbackFile | PolicySource::FileFallbackDb => from_file(options),
    };
    let stored = match options.source {
        PolicySource::File => None,
        PolicySource::Db | PolicySource::DbFallbackFile | PolicySource::FileFallbackDb => stored(store).await?,
    };
    let version = stored.as_ref().map_or(0, |(version, _)| *version);
    let file_first = options.source == PolicySource::FileFallbackDb && file.is_some();
    let new = |spec, origin: String, by: &str| Chosen {
        spec,
        place: origin.clone(),
        origin,
        enabled_by: by.to_owned(),
        enabled_at: clock.now(),
        version,
    };
    Ok(match (stored, file) {
        (Some((_, stored)), _) if !file_first => from_database(stored, version, clock.now()),
        (_, Some((spec, origin))) => new(spec, origin, "file"),
        (_, None) => new(Ok(PolicySpec::new("no_op", json!({}))), "the default".to_owned(), "default"),
    })
}

/// A version, and the policy that it is, if that can be read.
pub(super) type Stored = (u64, Result<StoredPolicy, StoreError>);

/// The database's policy; one that cannot be read is still one.
pub(super) async fn stored(store: &Store) -> Result<Option<Stored>, StoreError> {
    match store.current_policy().await {
        Ok(stored) => Ok(stored.map(|(version, policy)| (version, Ok(policy)))),
        Err(error @ StoreError::Damaged { .. }) => Ok(Some((store.policy_count().await?, Err(error)))),
        Err(error) => Err(error),
    }
}

/// What helps when the database's policy is the one that does not load.
pub(super) const WITHOUT_DATABASE: &str = "; POLICY_SOURCE=file starts without it";

/// The database's policy, chosen because it is the one that was set last.
pub(super) fn from_database(stored: Result<StoredPolicy, StoreError>, version: u64, now: Timestamp) -> Chosen {
    match stored {
        Ok(stored) => from_stored(stored, version),
        Err(error) => Chosen {
            spec: Err(Unusable::Damaged(error)),
            origin: BY_API.to_owned(),
            place: BY_API.to_owned(),
            enabled_by: "unknown".to_owned(),
            enabled_at: now,
            version,
        },
    }
}

fn from_stored(stored: StoredPolicy, version: u64) -> Chosen {
    let (origin, place) = (BY_API.to_owned(), format!("{BY_API} (set by {})", stored.enabled_by));
    let (enabled_by, enabled_at) = (stored.enabled_by.clone(), stored.enabled_at);
    Chosen { spec: spec_of(stored, &place), origin, place, enabled_by, enabled_at, version }
}

/// The policy that a row of the database holds.
pub(super) fn spec_of(stored: StoredPolicy, origin: &str) -> Result<PolicySpec, Unusable> {
    let mode = stored.mode.as_deref().map_or(Some(Mode::Enforce), mode_of);
    let mode = mode.ok_or_else(|| Unusable::NotAPolicy {
        origin: origin.to_owned(),
        why: "mode: not off, shadow or enforce".to_owned(),
        way_out: WITHOUT_DATABASE,
    })?;
    Ok(PolicySpec { class: stored.class_ref, config: stored.config, mode })
}

/// The policy of the policy file, else of the settings file; none if neither has one.
fn from_file(options: &PolicyOptions) -> Option<(Result<PolicySpec, Unusable>, String)> {
    if let Some(path) = &options.file {
        let origin = path.display().to_string();
        return Some((read(path).and_then(|value| spec(value, &origin)), origin));
    }
    let (value, origin) = options.inline.as_ref()?;
    Some((spec(value.clone(), origin), origin.clone()))
}

/// The policy in a file: under `policy`, or the file is it.
fn read(path: &Path) -> Result<Value, Unusable> {
    let unreadable = |why: String| Unusable::Unreadable { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    // JSON is YAML, but for some characters and forms of numbers; what the API takes, a file may hold.
    let value = serde_json::from_str(&text).or_else(|_| read_yaml(&text)).map_err(unreadable)?;
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

fn spec(value: Value, origin: &str) -> Result<PolicySpec, Unusable> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { "policy".to_owned() } else { format!("policy.{path}") };
        Unusable::NotAPolicy { origin: origin.to_owned(), why: format!("{place}: {}", error.inner()), way_out: "" }
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

pub(super) fn mode_of(word: &str) -> Option<Mode> {
    [Mode::Off, Mode::Shadow, Mode::Enforce].into_iter().find(|mode| mode_word(*mode) == word)
}
