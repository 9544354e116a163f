//! Rules: conditions in CEL with what happens where they hold. Compiled and tried on their own examples when they are loaded.
//!
//! ```
//! use luthien_policy::rules::RuleSet;
//!
//! let set = RuleSet::from_yaml(
//!     r#"
//!     rules:
//!       - name: keep-keys
//!         when: tool.effects.reads("~/.ssh")
//!         action: block
//!         match: ["cat ~/.ssh/id_rsa"]
//!         no_match: ["ls ~/project"]
//!     "#,
//! );
//! assert_eq!(set.unwrap().names().collect::<Vec<_>>(), ["keep-keys"]);
//! ```

mod allowed;
mod compile;
mod config;
mod decide;
mod effects;
mod examples;
mod expression;
mod functions;
mod pattern;
mod policy;
mod rewrite;
mod rule;
mod scope;
mod values;
mod when;

use serde_json::Value;

use crate::catalogue::{LoadEnv, LoadError, Loading, ProblemKind};

pub(crate) use allowed::Allowed;
pub(crate) use config::Config;
pub use config::On;
pub use examples::{Explained, Outcome, Said};
pub(crate) use policy::RulesPolicy;
pub(crate) use when::When;

/// Rules, compiled.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<rule::Rule>,
    default_action: config::DefaultAction,
    on_error: Option<crate::contract::OnError>,
    /// What the rules do not see.
    allowed: Option<allowed::Allowed>,
}

impl RuleSet {
    /// From a configuration like the policy's: an object with `rules`. Everything that is wrong is in the error, each with the
    /// path of its field. The examples are not tried.
    pub fn compile(config: &Value, env: &LoadEnv) -> Result<Self, LoadError> {
        let loading = Loading::new(config, env, Vec::new(), false);
        Self::load(&loading, &loading.read()?)
    }

    /// The same from YAML, with the examples tried. For rules that the gateway brings itself.
    pub fn from_yaml(text: &str) -> Result<Self, LoadError> {
        let config: Value = serde_saphyr::from_str(text)
            .map_err(|error| LoadError::one(Vec::new(), ProblemKind::BadValue, error.to_string()))?;
        let set = Self::compile(&config, &LoadEnv::default())?;
        set.tried(&[])?;
        Ok(set)
    }

    /// The sets in a document: the document itself where it holds `rules`, else those of each policy `rules` in it, with the
    /// place where it stands. Errors are about that place.
    pub fn find(document: &Value, env: &LoadEnv) -> Result<Vec<(String, Self)>, LoadError> {
        let mut found = Vec::new();
        if document.get("rules").is_some() && document.get("class").is_none() {
            found.push((String::new(), Self::compile(document, env)?));
            return Ok(found);
        }
        find(document, env, &mut Vec::new(), &mut found)?;
        Ok(found)
    }

    /// What a configuration says, wherever it stands.
    pub(crate) fn load(loading: &Loading<'_>, config: &Config) -> Result<Self, LoadError> {
        compile::compile(loading, config)
    }

    /// Whether a text is a pattern of paths; the error says why it is none.
    pub(crate) fn is_path_pattern(text: &str) -> Result<(), String> {
        pattern::Globs::paths(&[text.to_owned()]).map(|_| ())
    }

    /// The names of the rules, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// With what the rules do not see.
    pub(crate) fn allowing(mut self, allowed: Allowed) -> Self {
        self.allowed = Some(allowed);
        self
    }

    /// Without the rules of these names. The error is a name that no rule has.
    pub fn without(mut self, names: &[String]) -> Result<Self, String> {
        if let Some(unknown) = names.iter().find(|name| !self.names().any(|known| known == **name)) {
            return Err(unknown.clone());
        }
        self.rules.retain(|rule| !names.contains(&rule.name));
        Ok(self)
    }
}

/// How deep policies may stand within each other.
const DEPTH: usize = 64;

fn find(
    value: &Value,
    env: &LoadEnv,
    path: &mut Vec<String>,
    found: &mut Vec<(String, RuleSet)>,
) -> Result<(), LoadError> {
    if value.get("class").and_then(Value::as_str) == Some("rules") {
        let at = [path.as_slice(), &["config".to_owned()]].concat();
        let config = value.get("config").cloned().unwrap_or_default();
        let loading = Loading::new(&config, env, at, false);
        found.push((path.join("."), RuleSet::load(&loading, &loading.read()?)?));
        return Ok(());
    }
    let members: Vec<(String, &Value)> = match value {
        _ if path.len() == DEPTH => Vec::new(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in members {
        path.push(key);
        find(value, env, path, found)?;
        path.pop();
    }
    Ok(())
}
