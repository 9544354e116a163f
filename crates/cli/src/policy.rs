//! `luthien policy`: what policies there are, what each takes, and whether a file would load.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use luthien_policy::catalogue::{self, Listing};
use serde_json::{Value, json};

use crate::args::{PolicyCommand, SettingArgs};
use crate::assembly::{self, Loaded};
use crate::config::is_policy_file;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::policy_eval;
use crate::terminal::{Palette, pad, visible_line, width, wrap};

mod active;
mod given;
mod test;
#[cfg(test)]
mod tests;

pub(crate) use given::{document, spec};

/// Runs the command.
pub(crate) fn run(command: PolicyCommand) -> Result<ExitCode, Failure> {
    let text = match command {
        PolicyCommand::List(running) => {
            let all = catalogue::list();
            let active = assembly::runtime(Some(1))?.block_on(active::current(&running));
            if running.json {
                print_json(&json!({"policies": all, "active": active.as_ref().map(active::Active::document)}))?;
                return Ok(ExitCode::SUCCESS);
            }
            let active = active.map_or_else(String::new, |active| format!("\n{}", active.line()));
            format!("{}{active}", list(&all, Palette::for_stdout()))
        }
        PolicyCommand::Show { name: None, running } => {
            return assembly::runtime(Some(1))?.block_on(active::show(&running));
        }
        PolicyCommand::Show { name: Some(name), running } => {
            let found = catalogue::listed(&name).ok_or_else(|| {
                Failure::new(format!("there is no policy {}; `luthien policy list` names them", visible_line(&name)))
            })?;
            if running.json {
                print_json(&json!(found))?;
                return Ok(ExitCode::SUCCESS);
            }
            show(&found, width(), Palette::for_stdout())?
        }
        PolicyCommand::Set(args) => return assembly::runtime(Some(1))?.block_on(active::set(&args)),
        PolicyCommand::Validate(args) => return active::validate(&args),
        PolicyCommand::History(args) => return assembly::runtime(Some(1))?.block_on(active::history(&args)),
        PolicyCommand::Rollback(args) => return assembly::runtime(Some(1))?.block_on(active::rollback(&args)),
        PolicyCommand::Check { file } => check(&file)?,
        PolicyCommand::Test(args) => return test::run(&args),
        PolicyCommand::Eval(args) => return policy_eval::run(&args),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn list(all: &[Listing], palette: Palette) -> String {
    let longest = all.iter().map(|listing| listing.name.len()).max().unwrap_or(0);
    let lines: Vec<String> = all
        .iter()
        .map(|listing| format!("{}  {}\n", palette.bold(&pad(listing.name, longest)), listing.short_description))
        .collect();
    lines.concat()
}

fn show(listing: &Listing, columns: usize, palette: Palette) -> Result<String, Failure> {
    let mut out = format!("{}  {}\n\n", palette.bold(listing.name), listing.display_name);
    for line in wrap(listing.description, columns) {
        let _ = writeln!(out, "{line}");
    }
    let fields = fields(&listing.config_schema);
    if !fields.is_empty() {
        let _ = writeln!(out, "\n{}", palette.bold("Configuration"));
        for (head, meaning) in fields {
            let _ = writeln!(out, "  {head}");
            for line in wrap(&meaning, columns.saturating_sub(6)) {
                let _ = writeln!(out, "      {line}");
            }
        }
    }
    let example = json!({"policy": {"class": listing.class_ref, "config": listing.example_config}});
    let yaml = serde_saphyr::to_string(&example).map_err(|e| Failure::new(format!("cannot write the example: {e}")))?;
    let _ = writeln!(out, "\n{}", palette.bold("In luthien.yaml"));
    for line in yaml.trim_end().lines() {
        let _ = writeln!(out, "  {line}");
    }
    Ok(out)
}

/// Each member of the configuration: its name with default or "required", and what it means.
fn fields(schema: &Value) -> Vec<(String, String)> {
    let Some(members) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    members
        .iter()
        .map(|(name, member)| {
            let head = match member.get("default") {
                Some(default) if !default.is_null() => format!("{name} (default {default})"),
                _ if required.contains(&name.as_str()) => format!("{name} (required)"),
                _ => name.clone(),
            };
            let meaning = member.get("description").and_then(Value::as_str).unwrap_or_default();
            let one_of = choices(schema, member).map(|words| format!(" One of {words}.")).unwrap_or_default();
            (head, format!("{}{one_of}", meaning.replace('\n', " ")))
        })
        .collect()
}

/// The words that a member may be, where it may be nothing else.
fn choices(schema: &Value, member: &Value) -> Option<String> {
    let alternatives = member.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let name = std::iter::once(member).chain(alternatives).find_map(|part| part.get("$ref")?.as_str());
    let named = schema.get("$defs")?.get(name?.strip_prefix("#/$defs/")?)?;
    let words = named.get("oneOf")?.as_array()?.iter().map(|one| Some(format!("`{}`", one.get("const")?.as_str()?)));
    words.collect::<Option<Vec<_>>>().map(|words| words.join(", "))
}

fn check(file: &Path) -> Result<String, Failure> {
    let mut given = SettingArgs::default();
    if is_policy_file(file) {
        given.flags.insert("policy_config".to_owned(), file.to_string_lossy().into_owned());
    } else {
        given.config = Some(file.to_owned());
    }
    let loaded = Loaded::new(&given)?;
    let Some((spec, origin)) = loaded.policy_of_files()? else {
        return Ok("The settings are fine. The file names no policy, so everything would pass.\n".to_owned());
    };
    let policy = loaded.load(&spec)?;
    let names: Vec<&str> = policy.tree.policies().into_iter().map(|policy| policy.name()).collect();
    let acts = if names.is_empty() { "nothing, since all of it is off".to_owned() } else { names.join(", ") };
    let other =
        if Path::new(&origin).ends_with(file) { String::new() } else { format!(" (the policy is in {origin})") };
    Ok(format!("The settings and the policy are fine{other}: {acts}\n"))
}
