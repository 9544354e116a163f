//! Which upstream judges, as a policy's configuration says it.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::JudgeRoute;
use crate::catalogue::{LoadError, Loading};

/// Whose credential a judge is asked with, and so which upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InferenceProvider {
    /// The caller's, at the caller's upstream.
    #[default]
    UserCredentials,
    /// A configured upstream with its own credential, by name.
    #[serde(alias = "server_key")]
    Provider(String),
    /// The caller's, and where that is refused a configured upstream's.
    #[serde(alias = "user_then_server")]
    UserThenProvider(Fallback),
}

/// The upstream to ask where the caller's credential is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Fallback {
    /// The upstream's name.
    name: String,
    /// Whether it is asked at all, and whether that is logged.
    #[serde(default)]
    on_fallback: OnFallback,
}

/// What a refusal of the caller's credential leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFallback {
    /// The other upstream is asked.
    #[default]
    Fallback,
    /// The other upstream is asked, with a warning in the log.
    Warn,
    /// The judge has failed.
    Fail,
}

/// Older files give the name alone.
impl<'de> Deserialize<'de> for Fallback {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            name: String,
            #[serde(default)]
            on_fallback: OnFallback,
        }
        struct NameOrFull;
        impl<'de> Visitor<'de> for NameOrFull {
            type Value = Fallback;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an upstream's name, or an object with `name` and `on_fallback`")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Fallback, E> {
                Ok(Fallback { name: name.to_owned(), on_fallback: OnFallback::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fallback, A::Error> {
                let Full { name, on_fallback } = Full::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Fallback { name, on_fallback })
            }
        }
        reader.deserialize_any(NameOrFull)
    }
}

/// Where a judge is asked, and where next if it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Asked first.
    pub(super) first: JudgeRoute,
    /// Asked when the first refuses.
    pub(super) second: Option<Second>,
    /// The policy names no model.
    pub(super) usual_model: bool,
}

/// The upstream asked second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Second {
    pub(super) provider: String,
    pub(super) warn: bool,
}

impl Route {
    /// From a policy's fields. The operator's base URL for judges goes before them. Fails, naming the field, where the
    /// fields contradict each other, the URL is none, or no upstream has the name.
    pub(crate) fn new(
        loading: &Loading<'_>,
        api_base: Option<&str>,
        provider: &InferenceProvider,
    ) -> Result<Self, LoadError> {
        if let Some(url) = api_base {
            if !(url.starts_with("http://") || url.starts_with("https://")) {
                return Err(loading.refuse(&["api_base"], "must begin with http:// or https://"));
            }
            if *provider != InferenceProvider::UserCredentials {
                return Err(loading.refuse(
                    &["api_base"],
                    "cannot go with a provider, which has a base URL of its own: give one of the two",
                ));
            }
        }
        check_name(loading, provider)?;
        let named = loading.has("model") || loading.has("judge_model") || loading.env.judge_model.is_some();
        let usual_model = !named;
        if let Some(url) = loading.env.judge_api_base.as_deref().or(api_base) {
            return Ok(Self { first: JudgeRoute::ApiBase(url.to_owned()), second: None, usual_model });
        }
        Ok(match provider {
            InferenceProvider::UserCredentials => {
                Self { first: JudgeRoute::UserCredentials, second: None, usual_model }
            }
            InferenceProvider::Provider(name) => {
                Self { first: JudgeRoute::Provider(name.clone()), second: None, usual_model }
            }
            InferenceProvider::UserThenProvider(then) => Self {
                first: JudgeRoute::UserCredentials,
                second: (then.on_fallback != OnFallback::Fail)
                    .then(|| Second { provider: then.name.clone(), warn: then.on_fallback == OnFallback::Warn }),
                usual_model,
            },
        })
    }
}

fn check_name(loading: &Loading<'_>, provider: &InferenceProvider) -> Result<(), LoadError> {
    let (InferenceProvider::Provider(name) | InferenceProvider::UserThenProvider(Fallback { name, .. })) = provider
    else {
        return Ok(());
    };
    let judges = &loading.env.judges;
    if judges.know(name) {
        return Ok(());
    }
    if loading.env.without_key.contains(name) {
        return Err(loading.refuse(
            &["inference_provider"],
            format!("the upstream {name:?} has no key of its own: set `upstreams.{name}.api_key`, or `auth: none` if it asks for none"),
        ));
    }
    match &loading.env.providers {
        Some(known) if !known.contains(name) => {
            let names: Vec<String> = judges.names().into_iter().chain(known.iter().cloned()).collect();
            let msg =
                format!("no inference provider and no upstream is called {name:?}; there are {}", names.join(", "));
            if judges.checked {
                return Err(loading.refuse(&["inference_provider"], msg));
            }
            // It may have been removed, or come later: what asks there fails meanwhile, and its `on_error` decides.
            tracing::warn!(provider = %name, "{msg}");
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
