//! `luthien config check`: everything that is wrong with the settings and the policy in them, each with its place.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use luthien_gateway::settings::{Problem, Settings, SettingsError};
use serde_json::json;

use super::is_policy_file;
use crate::args::{RecordArgs, SettingArgs};
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::output::{count, print, print_json};
use crate::terminal::visible_line;

/// Runs the command; ends with 1 if something is wrong.
pub(super) fn run(file: Option<&Path>, json: bool, record: &RecordArgs) -> Result<ExitCode, Failure> {
    let mut given = SettingArgs::default();
    match file {
        Some(file) if is_policy_file(file) => {
            given.flags.insert("policy_config".to_owned(), file.to_string_lossy().into_owned());
        }
        other => given.config = other.map(Path::to_owned),
    }
    if let Some(folder) = &record.data_dir {
        given.flags.insert("data_dir".to_owned(), folder.to_string_lossy().into_owned());
    }
    let (read, found) = problems(&given);
    let fine = found.is_empty();
    if json {
        let listed: Vec<_> =
            found.iter().map(|problem| json!({"place": problem.place, "message": problem.message})).collect();
        print_json(&json!({"ok": fine, "file": read, "problems": listed}))?;
    } else if fine {
        let from =
            read.map_or_else(|| "there is no luthien.yaml".to_owned(), |file| visible_line(&file.to_string_lossy()));
        print(&format!("The settings are fine ({from}).\n"))?;
    } else {
        let lines: Vec<String> =
            found.iter().map(|problem| format!("  {}\n", visible_line(&problem.to_string()))).collect();
        print(&format!("{}:\n{}", count(found.len() as u64, "problem"), lines.concat()))?;
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file that these settings are read from, and what is wrong with them and with the policy that they name.
pub(crate) fn problems(given: &SettingArgs) -> (Option<PathBuf>, Vec<Problem>) {
    let sources = luthien_gateway::settings::Sources::of_process(given.flags.clone(), given.config.clone());
    let settings = match Settings::load(&sources) {
        Ok(settings) => settings,
        Err(SettingsError::Invalid(problems)) => return (given.config.clone(), problems),
        Err(SettingsError::Unreadable { path, message }) => {
            let problem = Problem { place: path.display().to_string(), message };
            return (Some(path), vec![problem]);
        }
    };
    let file = settings.file.clone();
    let policy = Loaded::from(sources).and_then(|loaded| match loaded.policy_of_files()? {
        Some((spec, _)) => loaded.load(&spec).map(|_| ()),
        None => Ok(()),
    });
    let wrong = policy.err().map(|failure| Problem { place: "policy".to_owned(), message: failure.to_string() });
    (file, wrong.into_iter().collect())
}
