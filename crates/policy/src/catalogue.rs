//! The catalogue: every built-in policy as data, and the way from a policy's configuration to policies that run.

mod asking;
mod entries;
mod error;
pub(crate) mod range;
mod read;
mod spec;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use luthien_wire::json::quote;
use serde::Serialize;
use serde_json::Value;

use crate::breakers::Breakers;
use crate::tree::Tree;

pub use asking::{Servers, load_asking};
pub use error::{LoadError, Problem, ProblemKind};
pub use spec::PolicySpec;

pub(crate) use read::{Loading, NoConfig};

/// What policies are loaded with beside their own configuration: what the operator's settings say, the environment, and the way
/// to policy servers.
#[derive(Clone, Debug, Default)]
pub struct LoadEnv {
    /// The model that judges (`LLM_JUDGE_MODEL`).
    pub judge_model: Option<String>,
    /// The base URL of the judges' upstream (`LLM_JUDGE_API_BASE`).
    pub judge_api_base: Option<String>,
    /// The upstreams that judges and requests may be sent to by name. `None` leaves the names unchecked.
    pub providers: Option<Vec<String>>,
    /// The inference providers, where judges may be asked too.
    pub judges: JudgeNames,
    /// Those of them that have no key of their own and ask for one: a judge could not be asked there.
    pub without_key: Vec<String>,
    /// The way to policy servers.
    pub servers: Servers,
    /// The base URL of each of them, in the same order.
    pub base_urls: Vec<String>,
    /// Environment variables.
    pub variables: Variables,
    /// Who hears of judges and policy servers that are left alone.
    pub breakers: Breakers,
}

/// The inference providers by name, as they are at the moment.
#[derive(Clone, Default)]
pub struct JudgeNames {
    names: Option<Arc<dyn Fn() -> Vec<String> + Send + Sync>>,
    /// A name that neither they nor the upstreams have is refused.
    pub(crate) checked: bool,
}

impl JudgeNames {
    /// Those that `names` gives.
    pub fn new(names: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        Self { names: Some(Arc::new(names)), checked: false }
    }

    /// The same for a policy that somebody is just setting: a name that nobody has is refused as a slip. In one that was set before
    /// it may have been removed since.
    #[must_use]
    pub fn checked(self) -> Self {
        Self { checked: true, ..self }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.names.as_ref().map(|names| names()).unwrap_or_default()
    }

    pub(crate) fn know(&self, name: &str) -> bool {
        self.names().iter().any(|known| known == name)
    }
}

impl fmt::Debug for JudgeNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JudgeNames")
    }
}

/// Where policies read environment variables.
#[derive(Clone, Default)]
pub enum Variables {
    /// The process's own.
    #[default]
    Process,
    /// These alone.
    Given(BTreeMap<String, String>),
}

impl Variables {
    /// A variable's value; `None` where it is not set, or empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Process => std::env::var(name).ok(),
            Self::Given(variables) => variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

/// A configuration that loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policies, put together. What is off is left out.
    pub tree: Tree,
    /// The name for people.
    pub name: String,
    /// The native name, whichever name was asked for.
    pub class_ref: String,
    /// What was asked for, exactly.
    pub spec: PolicySpec,
}

/// One policy as the admin API lists it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = PolicyListing)]
pub struct Listing {
    /// The native name.
    pub name: &'static str,
    /// What a configuration gives as its class: the native name.
    pub class_ref: &'static str,
    /// What it does, in full.
    pub description: &'static str,
    /// The JSON Schema of its configuration.
    pub config_schema: Value,
    /// A configuration that loads.
    pub example_config: Value,
    /// The group it is shown in.
    pub category: &'static str,
    /// The name for people.
    pub display_name: &'static str,
    /// What it does, in one line.
    pub short_description: &'static str,
    /// Short marks for its card.
    pub catalog_badges: &'static [&'static str],
}

/// One built-in policy.
struct Entry {
    name: &'static str,
    /// The identifiers that the older proxies used.
    older: &'static [&'static str],
    display_name: &'static str,
    short_description: &'static str,
    description: &'static str,
    category: &'static str,
    badges: &'static [&'static str],
    schema: fn() -> Value,
    example: fn() -> Value,
    build: fn(&Loading<'_>) -> Result<Tree, LoadError>,
}

impl Entry {
    /// It has this name, native or older.
    fn is(&self, class: &str) -> bool {
        self.name == class || self.older.contains(&class)
    }

    fn listing(&self) -> Listing {
        Listing {
            name: self.name,
            class_ref: self.name,
            description: self.description,
            config_schema: (self.schema)(),
            example_config: (self.example)(),
            category: self.category,
            display_name: self.display_name,
            short_description: self.short_description,
            catalog_badges: self.badges,
        }
    }
}

/// All built-in policies, in the order in which they are shown.
pub fn list() -> Vec<Listing> {
    entries::all().map(Entry::listing).collect()
}

/// The built-in policy of this name, native or older.
pub fn listed(class: &str) -> Option<Listing> {
    entries::all().find(|entry| entry.is(class)).map(Entry::listing)
}

/// What the policy of this native name does, in one line.
pub(crate) fn short_description(name: &str) -> Option<&'static str> {
    entries::all().find(|entry| entry.name == name).map(|entry| entry.short_description)
}

/// The policies that `spec` describes.
///
/// `spec.class` is a native name or one that the older proxies used; `spec.config` is the policy's configuration, flat or
/// wrapped once in `config`. Everything that is wrong is in the error, each with the path of its field below the config.
///
/// Asks nobody: a policy that has to ask a server what it is loads by [`load_asking`] alone.
pub fn load(spec: &PolicySpec, env: &LoadEnv) -> Result<Loaded, LoadError> {
    let entry = find(&spec.class, &[])?;
    let tree = build(entry, spec, env, Vec::new())?;
    Ok(Loaded { tree, name: entry.display_name.to_owned(), class_ref: entry.name.to_owned(), spec: spec.clone() })
}

/// The policies of one spec that stands at `path`, for chains.
pub(crate) fn load_at(spec: &PolicySpec, env: &LoadEnv, path: &[String]) -> Result<Tree, LoadError> {
    let entry = find(&spec.class, path)?;
    build(entry, spec, env, [path, &["config".to_owned()]].concat())
}

fn build(entry: &Entry, spec: &PolicySpec, env: &LoadEnv, path: Vec<String>) -> Result<Tree, LoadError> {
    let older = spec.class != entry.name;
    let mut loading = Loading::new(&spec.config, env, path, older).named(&spec.class);
    // luthien_control's type names are bare; those of luthien-proxy are a module and a class.
    if older && !spec.class.contains(':') {
        loading = loading.without_labels();
    }
    Ok((entry.build)(&loading)?.at_most(spec.mode))
}

fn find(class: &str, path: &[String]) -> Result<&'static Entry, LoadError> {
    if let Some(entry) = entries::all().find(|entry| entry.is(class)) {
        return Ok(entry);
    }
    let known: Vec<&str> = entries::all().flat_map(|entry| entry.older.iter().copied().chain([entry.name])).collect();
    let hint = match similar::get_close_matches(class, &known, 1, 0.6).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", entries::all().map(|e| e.name).collect::<Vec<_>>().join(", ")),
    };
    let loc = [path, &["class".to_owned()]].concat();
    Err(LoadError::one(loc, ProblemKind::UnknownClass, format!("unknown policy {}; {hint}", quote(class))))
}

#[cfg(test)]
mod tests;
