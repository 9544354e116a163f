//! Every setting as a flag, made from the settings' own table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use luthien_gateway::settings::{DEFINITIONS, Definition, Kind};

/// The settings given as flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingArgs {
    /// By the setting's name.
    pub(crate) flags: BTreeMap<String, String>,
    /// The configuration file.
    pub(crate) config: Option<PathBuf>,
}

impl Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The configuration file [default: ./luthien.yaml, else luthien.yaml in the user's configuration folder]");
        let command = command.arg(config);
        DEFINITIONS.iter().fold(command, |command, setting| {
            let command = command.arg(flag(setting));
            if setting.secret() { command.arg(secret_file(setting)) } else { command }
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut given = Self::default();
        given.update_from_arg_matches(matches)?;
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        if let Some(config) = matches.get_one::<PathBuf>("config") {
            self.config = Some(config.clone());
        }
        for setting in DEFINITIONS {
            for name in [setting.name.to_owned(), file_name(setting)] {
                if let Some(value) = matches.try_get_one::<String>(&name).ok().flatten() {
                    self.flags.insert(name, value.clone());
                }
            }
        }
        Ok(())
    }
}

/// Flags other than these are for `--help`, not for `-h`.
const FIRST: [&str; 3] = ["host", "port", "data_dir"];

fn flag(setting: &'static Definition) -> Arg {
    let default = if setting.default.is_empty() { String::new() } else { format!(" [default: {}]", setting.default) };
    let help = format!("{}{default} [env: {}]", setting.meaning(), setting.environment.join(", "));
    Arg::new(setting.name)
        .long(setting.flag())
        .value_name(value_name(setting.kind))
        .help(help)
        .help_heading("Settings")
        .hide_short_help(!FIRST.contains(&setting.name))
}

fn secret_file(setting: &'static Definition) -> Arg {
    Arg::new(file_name(setting))
        .long(format!("{}-file", setting.flag()))
        .value_name("FILE")
        .help(format!("A file that holds it [env: {}_FILE]", setting.environment.first().unwrap_or(&"")))
        .help_heading("Settings")
        .hide_short_help(true)
}

fn file_name(setting: &Definition) -> String {
    format!("{}_file", setting.name)
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "NUMBER",
        Kind::Switch => "BOOL",
        Kind::Duration => "TIME",
        Kind::Size => "SIZE",
        Kind::Path => "PATH",
        Kind::Url => "URL",
        Kind::Secret => "SECRET",
        Kind::Choice(_) => "WORD",
        Kind::List | Kind::Lines => "LIST",
        Kind::Object => "JSON",
        Kind::Text => "TEXT",
    }
}
