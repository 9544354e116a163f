//! `luthien.yaml`: read, its `${NAME}`s filled in, taken apart by section; what nobody knows is an error.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::DEFINITIONS;
use super::definition::{Definition, Kind};
use super::models::RawModels;
use super::sources::{Problem, SettingsError, Sources};
use super::upstreams::RawEntry;

/// The file's name, wherever it is looked for.
pub(super) const NAME: &str = "luthien.yaml";

/// Sections that hold more than single settings.
const OPEN: [&str; 3] = ["upstreams", "models", "policy"];

/// What a file holds and nobody has taken yet.
#[derive(Default)]
pub(super) struct Contents {
    name: String,
    root: Map<String, Json>,
    pub(super) problems: Vec<Problem>,
}

/// What a file says about one setting, each with its place.
#[derive(Default)]
pub(super) struct InFile {
    pub(super) value: Option<(String, String)>,
    pub(super) path: Option<(String, String)>,
}

/// Reads YAML (or JSON) into a value. The error names line and column.
pub(crate) fn read_yaml(text: &str) -> Result<Json, String> {
    if text.trim().is_empty() {
        return Ok(Json::Null);
    }
    // Errors without the lines around the place, which may hold secrets; `off`, `yes` and `no` are words, as in YAML 1.2.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

impl Contents {
    /// Reads a file and fills in the variables that it names.
    pub(super) fn read(path: &Path, sources: &Sources) -> Result<Self, SettingsError> {
        let unreadable = |message: String| SettingsError::Unreadable { path: path.to_owned(), message };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let mut contents = Self { name: path.display().to_string(), ..Self::default() };
        contents.root = match read_yaml(&text).map_err(unreadable)? {
            Json::Null => Map::new(),
            Json::Object(root) => root,
            _ => return Err(unreadable("it must hold sections such as `server:`".to_owned())),
        };
        let mut root = std::mem::take(&mut contents.root);
        for (section, value) in &mut root {
            // A policy's configuration is kept exactly as it was written, and is shown: no place for secrets.
            if section != "policy" {
                contents.expand(section, value, sources);
            }
        }
        contents.root = root;
        Ok(contents)
    }

    /// Replaces `${NAME}` in every string by the environment; `$${` stays `${`.
    fn expand(&mut self, path: &str, value: &mut Json, sources: &Sources) {
        match value {
            Json::String(text) => match expand_text(text, sources) {
                Ok(expanded) => *text = expanded,
                Err(message) => self.problem(path, message),
            },
            Json::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.expand(&format!("{path}[{index}]"), item, sources);
                }
            }
            Json::Object(members) => {
                for (key, member) in members {
                    self.expand(&format!("{path}.{key}"), member, sources);
                }
            }
            _ => {}
        }
    }

    /// Takes what the file says about a setting.
    pub(super) fn take(&mut self, definition: &Definition) -> InFile {
        let mut taken = InFile { value: self.take_text(definition.path, definition.kind), path: None };
        if definition.secret() {
            taken.path = self.take_text(&format!("{}_file", definition.path), Kind::Path);
        }
        taken
    }

    fn take_text(&mut self, path: &str, kind: Kind) -> Option<(String, String)> {
        let value = remove(&mut self.root, path)?;
        match as_text(&value, kind) {
            Ok(text) => text.map(|text| (text, self.place(path))),
            Err(message) => {
                self.problem(path, message);
                None
            }
        }
    }

    /// What is left of the upstreams: those of the operator's own, and the fields that are no settings.
    pub(super) fn take_upstreams(&mut self) -> Vec<RawEntry> {
        let entries = match self.root.shift_remove("upstreams") {
            Some(Json::Object(entries)) => entries,
            None | Some(Json::Null) => return Vec::new(),
            Some(_) => {
                self.problem("upstreams", "must hold upstreams by name");
                return Vec::new();
            }
        };
        let entry = |(name, value)| RawEntry { place: self.place(&format!("upstreams.{name}")), name, value };
        entries.into_iter().map(entry).collect()
    }

    /// The rules for models.
    pub(super) fn take_models(&mut self) -> RawModels {
        RawModels { value: self.root.shift_remove("models").unwrap_or_default(), place: self.place("models") }
    }

    /// What is left of the policy section: the policy itself.
    pub(super) fn take_policy(&mut self) -> Option<Json> {
        let policy = self.root.shift_remove("policy")?;
        let empty = policy.is_null() || policy.as_object().is_some_and(Map::is_empty);
        if empty { None } else { Some(policy) }
    }

    /// Notes every key that is still there.
    pub(super) fn refuse_the_rest(&mut self) {
        for (section, value) in std::mem::take(&mut self.root) {
            let known = known_keys(&section);
            if known.is_empty() {
                let sections = DEFINITIONS.iter().map(Definition::section).chain(OPEN).collect::<Vec<_>>();
                self.problem(&section, format!("there is no such section{}", suggestion(&section, &sections)));
                continue;
            }
            match value {
                Json::Null => {}
                Json::Object(members) => {
                    for key in members.keys() {
                        self.problem(
                            &format!("{section}.{key}"),
                            format!("there is no such setting{}", suggestion(key, &known)),
                        );
                    }
                }
                _ => self.problem(&section, "must hold settings, `name: value` each"),
            }
        }
    }

    fn place(&self, path: &str) -> String {
        format!("{}: {path}", self.name)
    }

    fn problem(&mut self, path: &str, message: impl Into<String>) {
        let place = self.place(path);
        self.problems.push(Problem { place, message: message.into() });
    }
}

/// The keys that a section may have.
fn known_keys(section: &str) -> Vec<&'static str> {
    DEFINITIONS.iter().filter_map(|definition| definition.path.strip_prefix(section)?.strip_prefix('.')).collect()
}

/// `; did you mean …?` when something known is close.
pub(super) fn suggestion(word: &str, known: &[&str]) -> String {
    let close = similar::get_close_matches(word, known, 1, 0.6);
    close.first().map_or_else(String::new, |close| format!("; did you mean `{close}`?"))
}

/// Takes the value at a dotted path out of nested maps.
fn remove(root: &mut Map<String, Json>, path: &str) -> Option<Json> {
    match path.split_once('.') {
        None => root.shift_remove(path),
        Some((head, tail)) => remove(root.get_mut(head)?.as_object_mut()?, tail),
    }
}

/// A file's value as text, if its type suits the setting; none for null.
fn as_text(value: &Json, kind: Kind) -> Result<Option<String>, String> {
    let text = match (value, kind) {
        (Json::Null, _) => return Ok(None),
        (Json::String(text), _) => text.clone(),
        (Json::Number(number), Kind::Number | Kind::Duration | Kind::Size) => number.to_string(),
        (Json::Bool(on), Kind::Switch) => on.to_string(),
        (Json::Array(items), Kind::List) if items.iter().all(Json::is_string) => {
            items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(",")
        }
        (Json::Array(items), Kind::Lines) if items.iter().all(Json::is_string) => {
            items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join("\n")
        }
        (Json::Object(_), Kind::Object) => value.to_string(),
        _ => return Err(format!("must be {}", form(kind))),
    };
    Ok(Some(text))
}

fn form(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "a whole number",
        Kind::Switch => "`true` or `false`",
        Kind::Duration => "a time such as `10s`",
        Kind::Size => "a size such as `32MiB`",
        Kind::List | Kind::Lines => "a list of texts",
        Kind::Object => "a map of names and values",
        Kind::Text | Kind::Path | Kind::Url | Kind::Secret | Kind::Choice(_) => {
            "a text; put it in quotes if it looks like something else"
        }
    }
}

/// One string with its `${NAME}`s filled in.
fn expand_text(text: &str, sources: &Sources) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        let end = from.find('}').ok_or("`${` has no `}`; write `$${` for a plain `${`")?;
        let name = &from[2..end];
        let value =
            sources.environment.get(name).ok_or_else(|| format!("the environment variable `{name}` is not set"))?;
        out.push_str(before);
        out.push_str(value);
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}
