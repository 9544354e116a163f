//! Where values come from, which one wins, and what is said when one is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::Value as Json;

use super::definition::{Definition, Kind};
use super::file::{self, Contents};
use super::origins::{Origins, Source};
use super::value::{S3Encryption, Value};
use super::{DEFINITIONS, Settings, models, upstreams};

/// What was given to the program, before anything is checked.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Flags, by the setting's name (`max_request_bytes`), for secrets also by that and `_file`.
    pub flags: BTreeMap<String, String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The file named by `--config`.
    pub config: Option<PathBuf>,
    /// The working folder.
    pub folder: PathBuf,
}

impl Sources {
    /// The process's environment and working folder, with these flags.
    pub fn of_process(flags: BTreeMap<String, String>, config: Option<PathBuf>) -> Self {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self { flags, environment, config, folder: std::env::current_dir().unwrap_or_default() }
    }

    /// Where a user's own `luthien.yaml` is looked for; none without a home folder.
    pub fn user_file(&self) -> Option<PathBuf> {
        user_config_file(&self.environment)
    }

    /// A variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a flag, a variable, or a file and a path in it.
    pub place: String,
    /// What is wrong and what would be right. Holds no secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file that was named cannot be read.
    #[error("cannot read the settings file {}: {message}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system or the YAML reader says.
        message: String,
    },
    /// Some values are wrong.
    #[error("the settings have {} problem(s):{}", .0.len(), lines(.0))]
    Invalid(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |text, problem| format!("{text}\n  {problem}"))
}

/// One value as text, and where it stood.
struct Given {
    text: String,
    place: String,
}

impl Given {
    /// A path of the file, which is relative to the file.
    fn below(self, folder: &Path) -> Self {
        if self.text.starts_with('~') {
            return self;
        }
        Self { text: folder.join(&self.text).to_string_lossy().into_owned(), ..self }
    }
}

/// What all sources together hold, by setting, and what was wrong so far.
pub(super) struct Found {
    values: BTreeMap<&'static str, Given>,
    origins: Origins,
    policy: Option<Json>,
    file: Option<PathBuf>,
    problems: Vec<Problem>,
}

/// What a file holds beside single settings.
pub(super) struct Rest {
    pub(super) policy: Option<Json>,
    pub(super) file: Option<PathBuf>,
    pub(super) origins: Origins,
}

impl Found {
    /// Reads one setting: what was given for it, else its default. None when it is wrong, which is noted.
    pub(super) fn read<T: Value>(&mut self, name: &str) -> Option<T> {
        let definition = DEFINITIONS.iter().find(|definition| definition.name == name)?;
        let given = self.values.get(name);
        let text = given.map_or(definition.default, |given| given.text.as_str());
        match T::parse(text).and_then(|value| within(definition, value)) {
            Ok(value) => Some(value),
            Err(expected) => {
                // A URL may hold a password before its `@`.
                let hidden = definition.secret() || text.contains('@');
                let shown = if hidden { "its value".to_owned() } else { format!("`{text}`") };
                let expected = match (definition.kind, definition.range) {
                    (Kind::Number, Some((low, high))) => format!("a whole number from {low} to {high}"),
                    _ => expected,
                };
                let place = given.map_or_else(|| definition.path.to_owned(), |given| given.place.clone());
                self.problems.push(Problem { place, message: format!("{shown} is not {expected}") });
                None
            }
        }
    }

    /// Takes what the file holds beside single settings.
    pub(super) fn rest(&mut self) -> Rest {
        Rest { policy: self.policy.take(), file: self.file.take(), origins: std::mem::take(&mut self.origins) }
    }

    fn problem(&mut self, place: String, message: impl Into<String>) {
        self.problems.push(Problem { place, message: message.into() });
    }
}

/// One value from its text. The error says what was expected.
pub(super) fn read_one<T: Value>(definition: &Definition, text: &str) -> Result<T, String> {
    T::parse(text).and_then(|value| within(definition, value)).map_err(|expected| {
        let expected = match (definition.kind, definition.range) {
            (Kind::Number, Some((low, high))) => format!("a whole number from {low} to {high}"),
            _ => expected,
        };
        format!("`{text}` is not {expected}")
    })
}

/// The value, if it lies in its setting's range.
fn within<T: Value>(definition: &Definition, value: T) -> Result<T, String> {
    let (Some((low, high)), Some(size)) = (definition.range, value.magnitude()) else { return Ok(value) };
    let bound = |text: &str| T::parse(text).ok().and_then(|bound| bound.magnitude());
    let fits = bound(low).is_none_or(|low| low <= size) && bound(high).is_none_or(|high| size <= high);
    if fits { Ok(value) } else { Err(format!("between {low} and {high}")) }
}

/// Gathers, checks and assembles.
pub(super) fn load(sources: &Sources) -> Result<Settings, SettingsError> {
    let path = find_file(sources)?;
    let mut contents = match &path {
        Some(path) => Contents::read(path, sources)?,
        None => Contents::default(),
    };
    let mut found =
        Found { values: BTreeMap::new(), origins: Origins::default(), policy: None, file: path, problems: Vec::new() };
    for definition in DEFINITIONS {
        gather(definition, sources, &mut contents, &mut found);
    }
    let entries = contents.take_upstreams();
    let rules = contents.take_models();
    found.policy = contents.take_policy();
    contents.refuse_the_rest();
    found.problems.append(&mut contents.problems);
    let settings = Settings::assemble(&mut found);
    match settings {
        Some(mut settings) => {
            together(&settings, &mut found);
            let folder = settings.file.as_deref().and_then(Path::parent).unwrap_or(&sources.folder);
            settings.upstreams = upstreams::build(&settings, entries, folder, &mut found.problems);
            settings.models = models::build(rules, &settings.upstreams, &mut found.problems);
            if found.problems.is_empty() { Ok(settings) } else { Err(SettingsError::Invalid(found.problems)) }
        }
        None => Err(SettingsError::Invalid(found.problems)),
    }
}

/// Gateway keys are looked for in everything that goes upstream, and taken out; a shorter one would be found by chance.
const SHORTEST_KEY: usize = 8;

fn is_database(url: &str) -> bool {
    ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
}

/// Checks what single settings cannot say.
fn together(settings: &Settings, found: &mut Found) {
    if settings.client_certificate.is_some() != settings.client_certificate_key.is_some() {
        found.problem("network.client_certificate".to_owned(), "`client_certificate` and `client_key` belong together");
    }
    if settings.database_url.as_ref().is_some_and(|url| !is_database(url.expose_secret())) {
        // The URL may hold a password.
        found.problem(
            "recording.database_url".to_owned(),
            "must be `sqlite://` and a path, or `postgres://` and a server; no other database is known",
        );
    }
    archive(settings, found);
    let keys = [
        ("auth.client_api_key", &settings.client_api_key),
        ("auth.admin_api_key", &settings.admin_api_key),
        ("replicas.identity_key", &settings.identity_key),
    ];
    for (path, key) in keys {
        if key.as_ref().is_some_and(|key| key.expose_secret().len() < SHORTEST_KEY) {
            found.problem(path.to_owned(), format!("must have at least {SHORTEST_KEY} characters"));
        }
    }
}

/// Checks where the archive is.
fn archive(settings: &Settings, found: &mut Found) {
    let bucket = settings.archive_s3_bucket.is_some();
    if bucket && settings.archive_dir.is_some() {
        found.problem(
            "retention.archive_dir".to_owned(),
            "`archive_dir` and `s3_bucket` are both set; keep one of them",
        );
    }
    let key = (&settings.aws_access_key_id, &settings.aws_secret_access_key);
    if bucket && !matches!(key, (Some(_), Some(_))) {
        found.problem(
            "retention.s3_bucket".to_owned(),
            "needs a key that may write to it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        );
    }
    let kms = settings.retention_s3_encryption == Some(S3Encryption::Kms);
    if settings.retention_s3_kms_key_id.is_some() && !kms {
        found.problem("retention.s3_kms_key_id".to_owned(), "is for `s3_encryption: aws:kms` alone");
    }
}

/// Finds the value of one setting by precedence. The file's value is always taken out, so that what is left is unknown.
fn gather(definition: &'static Definition, sources: &Sources, contents: &mut Contents, found: &mut Found) {
    let in_file = contents.take(definition);
    let flag = pick(
        definition,
        found,
        sources.folder.as_path(),
        sources.flags.get(definition.name).map(|text| (text.as_str(), format!("--{}", definition.flag()))),
        sources
            .flags
            .get(&format!("{}_file", definition.name))
            .map(|path| (path.as_str(), format!("--{}-file", definition.flag()))),
    );
    let variables = || {
        definition.environment.iter().find_map(|name| {
            let file = format!("{name}_FILE");
            let value = sources.variable(name).map(|text| (text, (*name).to_owned()));
            let path =
                if definition.secret() { sources.variable(&file).map(|path| (path, file.clone())) } else { None };
            (value.is_some() || path.is_some()).then_some((value, path))
        })
    };
    let given = [
        (Source::Cli, flag.is_some()),
        (Source::Env, variables().is_some()),
        (Source::File, in_file.value.is_some() || in_file.path.is_some()),
    ];
    let chosen = flag
        .or_else(|| variables().and_then(|(value, path)| pick(definition, found, &sources.folder, value, path)))
        .or_else(|| {
            let base = found.file.as_deref().and_then(Path::parent).unwrap_or(&sources.folder).to_owned();
            let value = in_file.value.as_ref().map(|(text, place)| (text.as_str(), place.clone()));
            let path = in_file.path.as_ref().map(|(path, place)| (path.as_str(), place.clone()));
            let given = pick(definition, found, &base, value, path);
            given.map(|given| if definition.kind == Kind::Path { given.below(&base) } else { given })
        });
    let text = chosen.as_ref().map_or(definition.default, |given| given.text.as_str());
    let shown = (!definition.secret()).then(|| text.to_owned());
    found.origins.add(definition, given.into_iter().filter_map(|(source, there)| there.then_some(source)), shown);
    if let Some(given) = chosen {
        found.values.insert(definition.name, given);
    }
}

/// One source's value, or for a secret what the file that it names holds.
fn pick(
    definition: &Definition,
    found: &mut Found,
    folder: &Path,
    value: Option<(&str, String)>,
    path: Option<(&str, String)>,
) -> Option<Given> {
    match (value, path.filter(|_| definition.secret())) {
        (Some((_, place)), Some((_, other))) => {
            found.problem(place, format!("{other} is set too; keep one of them"));
            None
        }
        (Some((text, place)), None) => Some(Given { text: text.to_owned(), place }),
        (None, Some((path, place))) => match std::fs::read_to_string(folder.join(path)) {
            Ok(text) => Some(Given { text: text.trim().to_owned(), place }),
            Err(error) => {
                found.problem(place, format!("cannot read {path}: {error}"));
                None
            }
        },
        (None, None) => None,
    }
}

/// The file to read: the named one, which must exist, else the first that exists where it is looked for.
fn find_file(sources: &Sources) -> Result<Option<PathBuf>, SettingsError> {
    let named = sources.config.clone().or_else(|| sources.variable("LUTHIEN_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        let path = sources.folder.join(path);
        return if path.is_file() {
            Ok(Some(path))
        } else {
            Err(SettingsError::Unreadable { path, message: "there is no such file".to_owned() })
        };
    }
    let candidates = [Some(sources.folder.join(file::NAME)), user_config_file(&sources.environment)];
    Ok(candidates.into_iter().flatten().find(|path| path.is_file()))
}

/// Where a user's own `luthien.yaml` is looked for, if there is a home folder.
fn user_config_file(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let folder = set(environment, "XDG_CONFIG_HOME").or_else(|| set(environment, "APPDATA")).or_else(|| {
        let home = set(environment, "HOME")?;
        Some(if cfg!(target_os = "macos") { home.join("Library/Application Support") } else { home.join(".config") })
    })?;
    Some(folder.join("luthien").join(file::NAME))
}

/// The data folder when none is set: `luthien` in the user's data folder, or in the working folder without a home.
pub(super) fn user_data_dir(environment: &BTreeMap<String, String>) -> PathBuf {
    let folder = set(environment, "XDG_DATA_HOME").or_else(|| set(environment, "LOCALAPPDATA")).or_else(|| {
        let home = set(environment, "HOME")?;
        Some(if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else {
            home.join(".local/share")
        })
    });
    folder.unwrap_or_default().join("luthien")
}

fn set(environment: &BTreeMap<String, String>, name: &str) -> Option<PathBuf> {
    environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
