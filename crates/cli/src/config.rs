//! `luthien config`: the settings as they count, what is wrong with them, and changing those that can be changed while running.

use std::path::Path;
use std::process::ExitCode;

use luthien_gateway::settings::{DEFINITIONS, Definition};
use serde_json::{Value, json};

use crate::admin_client::AdminClient;
use crate::args::{ConfigArgs, ConfigCommand, RecordArgs};
use crate::assembly;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::terminal::visible_line;

mod check;
mod show;
#[cfg(test)]
mod tests;

pub(crate) use check::problems;
pub(crate) use show::without_password;

/// Who changed a setting, as the gateway is told.
const BY: &str = "luthien config";

/// Runs the command.
pub(crate) fn run(args: ConfigArgs) -> Result<ExitCode, Failure> {
    let ConfigArgs { command, json, record } = args;
    match command.unwrap_or(ConfigCommand::Show { keys: Vec::new(), all: false }) {
        ConfigCommand::Show { keys, all } => assembly::runtime(Some(1))?.block_on(show::run(&keys, all, json, &record)),
        ConfigCommand::Check { file } => check::run(file.or(record.config.clone()).as_deref(), json, &record),
        ConfigCommand::Set { key, value } => {
            assembly::runtime(Some(1))?.block_on(change(&key, Some(&value), json, &record))
        }
        ConfigCommand::Unset { key } => assembly::runtime(Some(1))?.block_on(change(&key, None, json, &record)),
    }
}

/// Sets a setting in the gateway that runs, or takes back what was set.
async fn change(key: &str, value: Option<&str>, json: bool, record: &RecordArgs) -> Result<ExitCode, Failure> {
    let definition = named(key)?;
    if !definition.live {
        return Err(Failure::new(in_file(definition)));
    }
    let client = AdminClient::find(record).await?;
    let path = format!("/api/admin/config/{}", definition.name);
    let now = match value {
        Some(value) => client.put(&path, &json!({"value": value, "set_by": BY})).await?,
        None => client.delete(&format!("{path}?set_by={}", BY.replace(' ', "%20"))).await?,
    };
    if json {
        print_json(&now)?;
    } else {
        print(&format!("{} is {} ({})\n", definition.name, shown(&now["value"]), show::source(&now["source"])))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A value of the gateway's as a person reads it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::String(text) if text.is_empty() => "not set".to_owned(),
        Value::String(text) => visible_line(text),
        other => other.to_string(),
    }
}

/// The setting that is called this: by its name, its place in the file, its flag or a variable.
fn named(key: &str) -> Result<&'static Definition, Failure> {
    let wanted = key.trim_start_matches('-').replace('-', "_").to_ascii_lowercase();
    let fits = |definition: &&Definition| names(definition).iter().any(|name| name.to_ascii_lowercase() == wanted);
    DEFINITIONS.iter().find(fits).ok_or_else(|| {
        let known: Vec<&str> = DEFINITIONS.iter().flat_map(names).collect();
        let close = similar::get_close_matches(wanted.as_str(), &known, 1, 0.6);
        let close = close.first().map_or_else(String::new, |close| format!("; did you mean `{close}`?"));
        Failure::new(format!(
            "there is no setting `{}`{close} (`luthien config show --all` lists them)",
            visible_line(key)
        ))
    })
}

/// All that a setting is called.
fn names(definition: &Definition) -> Vec<&'static str> {
    [definition.name, definition.path].into_iter().chain(definition.environment.iter().copied()).collect()
}

/// How a setting is changed that is read at the start alone.
fn in_file(definition: &Definition) -> String {
    let (section, name) = definition.path.split_once('.').unwrap_or(("", definition.path));
    let variable = definition.environment.first().unwrap_or(&"");
    let live: Vec<&str> = DEFINITIONS.iter().filter(|other| other.live).map(|other| other.name).collect();
    format!(
        "`{}` cannot be changed while the gateway runs: write `{section}: {{ {name}: … }}` in luthien.yaml, or set {variable}, and start \
         the gateway again (`luthien restart`); those that can be changed are {}",
        definition.name,
        live.join(", ")
    )
}

/// Whether a file holds a policy and no settings. What cannot be read is left to those who say what is wrong with it.
pub(crate) fn is_policy_file(file: &Path) -> bool {
    let document = std::fs::read_to_string(file).ok().and_then(|text| serde_saphyr::from_str::<Value>(&text).ok());
    document.is_some_and(|document| document.get("class").or_else(|| document.get("type")).is_some())
}
