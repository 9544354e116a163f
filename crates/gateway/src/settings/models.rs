//! The file's `models` section: which models go where. Checked as a whole at the start, so that no rule is there in vain.

use serde::Deserialize;
use serde_json::Value as Json;

use super::file::suggestion;
use super::sources::Problem;
use crate::config::{ModelPattern, ModelRoute, RouteTarget, UpstreamConfig};

/// The section as the file has it.
pub(super) struct RawModels {
    pub(super) value: Json,
    /// Where it stands, for messages.
    pub(super) place: String,
}

/// An entry of the section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "match")]
    pattern: String,
    upstream: String,
    rename: Option<String>,
    #[serde(default)]
    fallbacks: Vec<Json>,
}

/// A fallback that has more than a name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fallback {
    upstream: String,
    rename: Option<String>,
}

/// Notes problems below one place.
struct Checker<'a> {
    upstreams: &'a [UpstreamConfig],
    problems: &'a mut Vec<Problem>,
    place: String,
}

/// The rules, in order. What is wrong with one is noted.
pub(super) fn build(raw: RawModels, upstreams: &[UpstreamConfig], problems: &mut Vec<Problem>) -> Vec<ModelRoute> {
    let mut checker = Checker { upstreams, problems, place: raw.place };
    let entries = match raw.value {
        Json::Null => return Vec::new(),
        Json::Array(entries) => entries,
        _ => {
            checker.note("", "must be a list of rules such as `{ match: \"local/*\", upstream: local }`");
            return Vec::new();
        }
    };
    let mut routes: Vec<(usize, ModelRoute)> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let at = format!("[{index}]");
        let Some(route) = checker.entry(&at, entry) else { continue };
        if let Some((earlier, covering)) = routes.iter().find(|(_, earlier)| earlier.pattern.covers(&route.pattern)) {
            let message = format!(
                "never reached: the rule [{earlier}] before it (`{}`) takes all of `{}`; put this one first",
                covering.pattern, route.pattern
            );
            checker.note(&format!("{at}.match"), message);
        }
        routes.push((index, route));
    }
    routes.into_iter().map(|(_, route)| route).collect()
}

impl Checker<'_> {
    fn note(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { place: format!("{}{path}", self.place), message: message.into() });
    }

    /// One rule; `None` where nothing can be made of it.
    fn entry(&mut self, at: &str, entry: Json) -> Option<ModelRoute> {
        let entry: Entry = self.read(at, entry)?;
        let pattern = match ModelPattern::parse(&entry.pattern) {
            Ok(pattern) => pattern,
            Err(message) => {
                self.note(&format!("{at}.match"), message);
                return None;
            }
        };
        let mut targets = Vec::with_capacity(1 + entry.fallbacks.len());
        let first = RouteTarget { upstream: entry.upstream, rename: entry.rename };
        self.target(at, &format!("{at}.upstream"), &pattern, &first);
        targets.push(first);
        for (index, fallback) in entry.fallbacks.into_iter().enumerate() {
            let at = format!("{at}.fallbacks[{index}]");
            let (target, named) = match fallback {
                Json::String(upstream) => (RouteTarget { upstream, rename: None }, at.clone()),
                other => {
                    let Some(Fallback { upstream, rename }) = self.read(&at, other) else { continue };
                    (RouteTarget { upstream, rename }, format!("{at}.upstream"))
                }
            };
            self.target(&at, &named, &pattern, &target);
            if targets.contains(&target) {
                self.note(&at, format!("`{}` with this model stands before it already", target.upstream));
            }
            targets.push(target);
        }
        Some(ModelRoute { pattern, targets })
    }

    fn read<T: for<'de> Deserialize<'de>>(&mut self, at: &str, value: Json) -> Option<T> {
        if !value.is_object() {
            let text =
                if at.contains("fallbacks") { "an upstream's name, or `upstream` and `rename`" } else { "a rule" };
            self.note(at, format!("expected {text}"));
            return None;
        }
        match serde_path_to_error::deserialize(value) {
            Ok(value) => Some(value),
            Err(error) => {
                let path = error.path().to_string();
                let path = if path == "." { at.to_owned() } else { format!("{at}.{path}") };
                self.note(&path, error.inner().to_string());
                None
            }
        }
    }

    /// Checks one upstream of a rule, which is named at `named`.
    fn target(&mut self, at: &str, named: &str, pattern: &ModelPattern, target: &RouteTarget) {
        let upstreams = self.upstreams;
        match upstreams.iter().find(|upstream| upstream.name == target.upstream) {
            None => {
                let known: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
                let close = suggestion(&target.upstream, &known);
                let close = if close.is_empty() { format!("; there are {}", known.join(", ")) } else { close };
                self.note(named, format!("there is no upstream `{}`{close}", target.upstream));
            }
            Some(upstream) if !upstream.has_key() && !upstream.keyless && !is_default(upstream, upstreams) => {
                let name = &upstream.name;
                let message = format!(
                    "a caller's own key never goes to `{name}`, which has none: set `upstreams.{name}.api_key`, or \
                     `upstreams.{name}.auth: none` if it asks for no key"
                );
                self.note(named, message);
            }
            Some(_) => {}
        }
        let stars = target.rename.as_deref().map_or(0, |rename| rename.matches('*').count());
        if target.rename.as_deref() == Some("") {
            self.note(&format!("{at}.rename"), "expected a model's name");
        } else if stars > 1 {
            self.note(&format!("{at}.rename"), "only one `*` can stand in a name");
        } else if stars == 1 && pattern.exact().is_some() {
            let message = format!("its `*` stands for nothing, since `match` has none; write `match: \"{pattern}*\"`");
            self.note(&format!("{at}.rename"), message);
        }
    }
}

/// Requests of some dialect go to this upstream anyway.
fn is_default(upstream: &UpstreamConfig, upstreams: &[UpstreamConfig]) -> bool {
    let first = |dialect| upstreams.iter().find(|other| other.dialects.contains(dialect));
    upstream.dialects.iter().any(|dialect| first(dialect).is_some_and(|first| first.name == upstream.name))
}
