//! The upstreams: the two defaults, made of single settings, and those that the file adds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use luthien_wire::Dialect;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value as Json;

use super::Settings;
use super::sources::Problem;
use super::value::{BaseUrl, Value};
use crate::config::{ClientCertificate, UpstreamConfig, UpstreamTimeouts};

/// What an upstream speaks, as the file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speaks {
    /// Anthropic Messages.
    Messages,
    /// What OpenAI speaks.
    Openai,
    /// OpenAI Chat alone, as local servers do.
    Chat,
    /// OpenAI Responses alone.
    Responses,
}

impl Speaks {
    fn dialects(self) -> Vec<Dialect> {
        match self {
            Self::Messages => vec![Dialect::Messages],
            Self::Openai => vec![Dialect::Chat, Dialect::Responses],
            Self::Chat => vec![Dialect::Chat],
            Self::Responses => vec![Dialect::Responses],
        }
    }
}

/// An entry of the file's `upstreams` section, without what single settings took out of it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dialect: Option<Speaks>,
    base_url: Option<BaseUrl>,
    api_key: Option<SecretString>,
    api_key_file: Option<PathBuf>,
    credential: Option<String>,
    auth: Option<Auth>,
    http2: Option<bool>,
    ca_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
    #[serde(default)]
    timeouts: EntryTimeouts,
}

/// How the upstream knows who asks, where it is not by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Auth {
    /// Not at all.
    None,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryTimeouts {
    connect: Option<Time>,
    first_byte: Option<Time>,
    idle: Option<Time>,
}

/// A time in the file: text with a unit, or seconds.
#[derive(Deserialize)]
#[serde(try_from = "Json")]
struct Time(Duration);

impl TryFrom<Json> for Time {
    type Error = String;

    fn try_from(value: Json) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let time = Duration::parse(&text).map_err(|expected| format!("expected {expected}"))?;
        if time.is_zero() { Err("expected more than no time".to_owned()) } else { Ok(Self(time)) }
    }
}

/// What is wrong with an entry: where in it, and what.
struct Wrong {
    path: String,
    message: String,
}

impl Wrong {
    fn at(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

/// One entry as the file has it.
pub(super) struct RawEntry {
    pub(super) name: String,
    pub(super) value: Json,
    /// Where it stands, for messages.
    pub(super) place: String,
}

/// All upstreams, the two defaults first unless the file switches them off. What is wrong with an entry is noted.
pub(super) fn build(
    settings: &Settings,
    entries: Vec<RawEntry>,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Vec<UpstreamConfig> {
    let mut upstreams = vec![
        general(
            settings,
            "anthropic",
            Speaks::Messages,
            &settings.anthropic_base_url,
            settings.anthropic_api_key.clone(),
        ),
        general(settings, "openai", Speaks::Openai, &settings.openai_base_url, settings.openai_api_key.clone()),
    ];
    for RawEntry { name, value, place } in entries {
        if let Err(wrong) = add(settings, &name, value, folder, &mut upstreams) {
            let place = if matches!(wrong.path.as_str(), "" | ".") { place } else { format!("{place}.{}", wrong.path) };
            problems.push(Problem { place, message: wrong.message });
        }
    }
    if upstreams.is_empty() {
        problems
            .push(Problem { place: "upstreams".to_owned(), message: "none is left to send requests to".to_owned() });
    }
    upstreams
}

/// An upstream with what the general settings say.
fn general(
    settings: &Settings,
    name: &str,
    speaks: Speaks,
    base_url: &BaseUrl,
    key: Option<SecretString>,
) -> UpstreamConfig {
    let pair = settings.client_certificate.clone().zip(settings.client_certificate_key.clone());
    UpstreamConfig {
        name: name.to_owned(),
        dialects: speaks.dialects(),
        base_url: base_url.as_str().to_owned(),
        key,
        credential: None,
        keyless: false,
        http2: settings.upstream_http2,
        ca_file: settings.extra_ca_file.clone(),
        client_certificate: pair.map(|(certificate, key)| ClientCertificate { certificate, key }),
        timeouts: UpstreamTimeouts::default(),
    }
}

/// Adds one entry, or changes or removes the default of its name.
fn add(
    settings: &Settings,
    name: &str,
    value: Json,
    folder: &Path,
    upstreams: &mut Vec<UpstreamConfig>,
) -> Result<(), Wrong> {
    let entry: Entry = match value {
        Json::Bool(false) if upstreams.iter().any(|upstream| upstream.name == name) => {
            upstreams.retain(|upstream| upstream.name != name);
            return Ok(());
        }
        Json::Null => Entry::default(),
        value => serde_path_to_error::deserialize(value)
            .map_err(|error| Wrong::at(&error.path().to_string(), error.inner().to_string()))?,
    };
    let position = if let Some(position) = upstreams.iter().position(|upstream| upstream.name == name) {
        // Of what a default speaks, its server may speak a part.
        if let (Some(speaks), Some(known)) = (entry.dialect, upstreams.get_mut(position)) {
            if !speaks.dialects().iter().all(|dialect| known.dialects.contains(dialect)) {
                let message = format!("`{name}` speaks something else; give this upstream a name of its own");
                return Err(Wrong::at("dialect", message));
            }
            known.dialects = speaks.dialects();
        }
        position
    } else {
        let speaks =
            entry.dialect.ok_or_else(|| Wrong::at("", "`dialect` is missing: messages, openai, chat or responses"))?;
        let base_url = entry.base_url.as_ref().ok_or_else(|| Wrong::at("", "`base_url` is missing"))?;
        let key = key_of(&entry, folder)?;
        upstreams.push(general(settings, name, speaks, base_url, key));
        upstreams.len() - 1
    };
    if let Some(upstream) = upstreams.get_mut(position) {
        refine(upstream, entry, folder)?;
    }
    Ok(())
}

/// The entry's key, from the file itself or one that it names.
fn key_of(entry: &Entry, folder: &Path) -> Result<Option<SecretString>, Wrong> {
    match (&entry.api_key, &entry.api_key_file) {
        (Some(_), Some(_)) => Err(Wrong::at("api_key", "`api_key_file` is set too; keep one of them")),
        (key, None) => Ok(key.clone()),
        (None, Some(path)) => std::fs::read_to_string(folder.join(path))
            .map(|text| Some(SecretString::from(text.trim())))
            .map_err(|error| Wrong::at("api_key_file", format!("cannot read {}: {error}", path.display()))),
    }
}

/// Puts what the entry says of its own in place of the general settings.
fn refine(upstream: &mut UpstreamConfig, entry: Entry, folder: &Path) -> Result<(), Wrong> {
    upstream.keyless = entry.auth == Some(Auth::None);
    if upstream.keyless && upstream.key.is_some() {
        return Err(Wrong::at("auth", "`none` is said, and an API key is set too; keep one of them"));
    }
    if let Some(name) = entry.credential {
        if upstream.key.is_some() {
            return Err(Wrong::at("credential", "an API key is set too; keep one of them"));
        } else if upstream.keyless {
            return Err(Wrong::at("credential", "`auth: none` is said too; keep one of them"));
        } else if name.trim().is_empty() {
            return Err(Wrong::at("credential", "expected the name of a stored credential"));
        }
        upstream.credential = Some(name);
    }
    upstream.http2 = entry.http2.unwrap_or(upstream.http2);
    upstream.ca_file = entry.ca_file.map(|path| folder.join(path)).or(upstream.ca_file.take());
    upstream.timeouts = UpstreamTimeouts {
        connect: entry.timeouts.connect.map(|time| time.0),
        first_byte: entry.timeouts.first_byte.map(|time| time.0),
        idle: entry.timeouts.idle.map(|time| time.0),
    };
    match (entry.client_certificate, entry.client_key) {
        (None, None) => Ok(()),
        (Some(certificate), Some(key)) => {
            let pair = ClientCertificate { certificate: folder.join(certificate), key: folder.join(key) };
            upstream.client_certificate = Some(pair);
            Ok(())
        }
        _ => Err(Wrong::at("client_certificate", "`client_certificate` and `client_key` belong together")),
    }
}
