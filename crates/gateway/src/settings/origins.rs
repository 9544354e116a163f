//! Where each setting's value comes from.

use std::collections::BTreeMap;

use serde::Serialize;

use super::definition::Definition;

/// A place that values come from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SettingSource)]
pub enum Source {
    /// A flag.
    Cli,
    /// An environment variable.
    Env,
    /// The settings file.
    File,
    /// Set while running.
    Db,
    /// Nobody said anything.
    Default,
}

/// Where one value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The place that counts.
    pub source: Source,
    /// Weaker places that say something too.
    pub overrides: Vec<Source>,
    /// The value as text; none for a secret.
    pub text: Option<String>,
}

/// Where all values come from, by the setting's name.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    /// Of one setting.
    pub fn of(&self, name: &str) -> Option<&Origin> {
        self.0.get(name)
    }

    /// Notes that a setting was set while running; says whether that counts.
    pub(super) fn set_live(&mut self, definition: &Definition, text: &str) -> bool {
        let Some(origin) = self.0.get_mut(definition.name) else { return false };
        if definition.is_pinned_by(origin.source) {
            origin.overrides.push(Source::Db);
            return false;
        }
        let weaker = std::iter::once(origin.source).chain(origin.overrides.iter().copied());
        let overrides = weaker.filter(|source| !matches!(source, Source::Db | Source::Default)).collect();
        *origin = Origin { source: Source::Db, overrides, text: Some(text.to_owned()) };
        true
    }

    /// Notes the places that say something about a setting, the strongest first.
    pub(super) fn add(
        &mut self,
        definition: &Definition,
        places: impl IntoIterator<Item = Source>,
        text: Option<String>,
    ) {
        let mut places = places.into_iter();
        let source = places.next().unwrap_or(Source::Default);
        self.0.insert(definition.name, Origin { source, overrides: places.collect(), text });
    }
}
