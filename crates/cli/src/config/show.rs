//! `luthien config show`: what counts for each setting and where it comes from, here and in the gateway that runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use luthien_gateway::settings::{DEFINITIONS, Definition, Kind, Source};
use serde_json::{Map, Value, json};

use super::{named, shown};
use crate::admin_client::AdminClient;
use crate::archive;
use crate::args::RecordArgs;
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::output::{print, print_json, say};
use crate::terminal::{Palette, clip, pad, visible_line, width};

/// How long a column of names or values may be.
const WIDEST: usize = 44;

/// What counts for one setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Effective {
    pub(super) value: Value,
    pub(super) source: Value,
    pub(super) overrides: Value,
}

/// Everything to show.
struct Table {
    /// The gateway that runs.
    gateway: Option<String>,
    /// What counts, by the setting's name.
    now: BTreeMap<&'static str, Effective>,
    /// What flags, environment and file say here, and will count after a restart, where it is something else.
    next: BTreeMap<&'static str, Effective>,
    /// The upstreams as the files here have them.
    upstreams: Value,
}

/// Runs the command.
pub(super) async fn run(keys: &[String], all: bool, json: bool, record: &RecordArgs) -> Result<ExitCode, Failure> {
    let wanted = keys.iter().map(|key| named(key)).collect::<Result<Vec<_>, _>>()?;
    let loaded = Loaded::for_keeping(record)?;
    let table = Table::read(&loaded).await;
    let chosen: Vec<&'static Definition> = DEFINITIONS
        .iter()
        .filter(|definition| wanted.is_empty() || wanted.iter().any(|other| other.name == definition.name))
        .filter(|definition| all || json || !wanted.is_empty() || table.is_set(definition))
        .collect();
    if json {
        print_json(&table.document(&chosen))?;
    } else {
        print(&table.text(&chosen, keys.is_empty(), &loaded, Palette::for_stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Table {
    async fn read(loaded: &Loaded) -> Self {
        let mut here: BTreeMap<&'static str, Effective> =
            DEFINITIONS.iter().map(|definition| (definition.name, Effective::of_files(definition, loaded))).collect();
        let client = match AdminClient::running(loaded).await {
            Ok(client) => client,
            Err(failure) => {
                say(&format!("luthien: a gateway runs, but what it says is not shown: {failure}"));
                None
            }
        };
        let upstreams = upstreams(loaded);
        let Some(client) = client else {
            with_stored(loaded, &mut here).await;
            return Self { gateway: None, now: here, next: BTreeMap::new(), upstreams };
        };
        let answer = match client.get("/api/admin/config").await {
            Ok(answer) => answer,
            Err(failure) => {
                say(&format!("luthien: a gateway runs, but what it says is not shown: {failure}"));
                return Self { gateway: None, now: here, next: BTreeMap::new(), upstreams };
            }
        };
        let mut now = BTreeMap::new();
        let mut next = BTreeMap::new();
        for entry in answer["config"].as_array().into_iter().flatten() {
            let Some(definition) = DEFINITIONS.iter().find(|definition| entry["name"] == definition.name) else {
                continue;
            };
            let running = Effective {
                value: hidden(definition, &entry["value"]),
                source: entry["source"].clone(),
                overrides: entry["overrides"].clone(),
            };
            let Some(file) = here.get(definition.name) else { continue };
            // What was set while running lies below what the files say, and stays where they say nothing.
            let stays = running.source == "db" && file.source == "default";
            // The gateway may have flags and an environment of its own, from whoever started it.
            let its_own = running.source == "cli" || running.source == "env" && file.source != "env";
            if !stays && !its_own && file.value != running.value {
                next.insert(definition.name, file.clone());
            }
            now.insert(definition.name, running);
        }
        Self { gateway: Some(client.base().to_owned()), now, next, upstreams }
    }

    /// Somebody said something about it.
    fn is_set(&self, definition: &Definition) -> bool {
        let said = self.now.get(definition.name).is_some_and(|now| now.source != "default");
        said || self.next.contains_key(definition.name)
    }

    fn document(&self, chosen: &[&'static Definition]) -> Value {
        let one = |definition: &&'static Definition| {
            let mut entry = Map::new();
            entry.insert("name".to_owned(), json!(definition.name));
            entry.insert("place".to_owned(), json!(definition.path));
            entry.insert("env_var".to_owned(), json!(definition.environment.first()));
            entry.insert("flag".to_owned(), json!(format!("--{}", definition.flag())));
            if let Some(now) = self.now.get(definition.name) {
                entry.insert("value".to_owned(), now.value.clone());
                entry.insert("source".to_owned(), now.source.clone());
                entry.insert("overrides".to_owned(), now.overrides.clone());
            }
            let default = if definition.secret() { Value::Null } else { typed(definition.kind, definition.default) };
            entry.insert("default".to_owned(), default);
            entry.insert("live".to_owned(), json!(definition.live));
            entry.insert("secret".to_owned(), json!(definition.secret()));
            if let Some(next) = self.next.get(definition.name) {
                entry.insert("after_restart".to_owned(), json!({"value": next.value, "source": next.source}));
            }
            Value::Object(entry)
        };
        let config: Vec<Value> = chosen.iter().map(one).collect();
        json!({"gateway": self.gateway, "config": config, "upstreams": self.upstreams})
    }

    fn text(&self, chosen: &[&'static Definition], everything: bool, loaded: &Loaded, palette: Palette) -> String {
        let mut out = String::new();
        if everything {
            let file = loaded.settings.file.as_ref();
            let file = file.map_or_else(|| "none".to_owned(), |file| visible_line(&file.to_string_lossy()));
            let _ = writeln!(out, "file     {file}");
            let gateway = self.gateway.as_deref().unwrap_or("none runs on this data folder");
            let _ = writeln!(out, "gateway  {gateway}\n");
        }
        let value = |effective: &Effective| clip(&shown(&effective.value), WIDEST);
        let names = chosen.iter().map(|definition| definition.path.len()).max().unwrap_or(0);
        let rows: Vec<_> =
            chosen.iter().filter_map(|definition| Some((definition, self.now.get(definition.name)?))).collect();
        let values = rows.iter().map(|(_, now)| value(now).chars().count()).max().unwrap_or(0);
        for (definition, now) in rows {
            let overrides = now.overrides.as_array().into_iter().flatten().map(source).collect::<Vec<_>>().join(", ");
            let overrides = if overrides.is_empty() { String::new() } else { format!(", over {overrides}") };
            let line = format!(
                "{}  {}  {}{overrides}",
                pad(definition.path, names),
                pad(&value(now), values),
                source(&now.source)
            );
            let _ = writeln!(out, "{}", line.trim_end());
            if let Some(next) = self.next.get(definition.name) {
                let note = format!("after a restart: {} ({})", value(next), source(&next.source));
                let _ = writeln!(out, "{}  {}", " ".repeat(names), palette.bold(&note));
            }
        }
        if everything {
            let left = DEFINITIONS.len() - chosen.len();
            for upstream in self.upstreams.as_array().into_iter().flatten() {
                let text = |name: &str| upstream[name].as_str().unwrap_or_default().to_owned();
                let key = if upstream["key"] == true { "with a key" } else { "without a key" };
                let line = format!("upstream {}: {} at {}, {key}", text("name"), text("dialects"), text("base_url"));
                let _ = writeln!(out, "{}", clip(&visible_line(&line), width()));
            }
            if left > 0 {
                let _ = writeln!(out, "{left} others have their defaults; `luthien config show --all` has them.");
            }
        }
        out
    }
}

impl Effective {
    /// As flags, environment and file have it.
    pub(super) fn of_files(definition: &Definition, loaded: &Loaded) -> Self {
        let origin = loaded.settings.origins.of(definition.name);
        let source = origin.map_or(Source::Default, |origin| origin.source);
        let value = match origin.and_then(|origin| origin.text.as_deref()) {
            Some(text) => hidden(definition, &typed(definition.kind, text)),
            None if definition.secret() && source != Source::Default => json!("***"),
            None => Value::Null,
        };
        let overrides = origin.map(|origin| origin.overrides.clone()).unwrap_or_default();
        Self { value, source: json!(source), overrides: json!(overrides) }
    }
}

/// Puts in what was set while running and no gateway tells of now.
async fn with_stored(loaded: &Loaded, here: &mut BTreeMap<&'static str, Effective>) {
    let stored = match archive::open_loaded(loaded).await {
        Ok(None) => return,
        Ok(Some(store)) => store.settings().await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let stored = match stored {
        Ok(stored) => stored,
        Err(failure) => return say(&format!("luthien: what was set while running is not shown: {failure}")),
    };
    for setting in stored {
        let known = |definition: &&Definition| definition.name == setting.name && definition.live;
        let Some(definition) = DEFINITIONS.iter().find(known) else { continue };
        let Some(effective) = here.get_mut(definition.name) else { continue };
        let places = [Source::Cli, Source::Env, Source::File, Source::Default];
        let said = places.into_iter().find(|place| effective.source == json!(place)).unwrap_or(Source::Default);
        if !definition.is_pinned_by(said) {
            if let (false, Some(overrides)) = (said == Source::Default, effective.overrides.as_array_mut()) {
                overrides.insert(0, json!(said));
            }
            effective.value = typed(definition.kind, &setting.value);
            effective.source = json!(Source::Db);
        } else if let Some(overrides) = effective.overrides.as_array_mut() {
            overrides.push(json!(Source::Db));
        }
    }
}

/// A number or a switch as JSON has it, nothing where there is none; what else there is as text.
fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        _ if text.is_empty() => Value::Null,
        Kind::Number | Kind::Switch => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    }
}

/// A value that may be shown: of a secret only that there is one, of a URL no password.
fn hidden(definition: &Definition, value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::String(_) if definition.secret() => json!("***"),
        Value::String(text) => json!(without_password(text)),
        other => other.clone(),
    }
}

/// A text with `***` for what stands before the `@` of a URL.
pub(crate) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://***{}", &rest[user.len()..]),
        None => text.to_owned(),
    }
}

/// A source in words.
pub(super) fn source(source: &Value) -> &'static str {
    match source.as_str() {
        Some("cli") => "flag",
        Some("env") => "environment",
        Some("file") => "file",
        Some("db") => "set while running",
        _ => "default",
    }
}

fn upstreams(loaded: &Loaded) -> Value {
    let one = |upstream: &luthien_gateway::config::UpstreamConfig| {
        let dialects: Vec<String> =
            upstream.dialects.iter().map(|dialect| format!("{dialect:?}").to_ascii_lowercase()).collect();
        json!({
            "name": upstream.name,
            "dialects": dialects.join(", "),
            "base_url": without_password(&upstream.base_url),
            "key": upstream.key.is_some(),
        })
    };
    loaded.settings.upstreams.iter().map(one).collect()
}
