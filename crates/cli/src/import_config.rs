//! `luthien import-config`: the settings and policies of an older proxy as a luthien.yaml, and a file for its secrets.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use luthien_gateway::settings::{Definition, Kind, Problem, Settings, SettingsError, Sources};
use luthien_policy::catalogue;
use serde_json::{Map, Value, json};

use crate::args::ImportConfigArgs;
use crate::config::without_password;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::policy;
use crate::private_file;
use crate::terminal::{pad, visible, visible_line};
use variables::Fate;

mod dotenv;
mod variables;

/// What became of one thing.
struct Told {
    what: String,
    became: &'static str,
    to: String,
}

/// Everything that was read.
#[derive(Default)]
struct Imported {
    told: Vec<Told>,
    /// By their places in the file.
    settings: Vec<(&'static Definition, String)>,
    /// By the variables' names.
    secrets: BTreeMap<&'static str, String>,
    policy: Option<Map<String, Value>>,
}

/// Runs the command; ends with 1 if what was made has problems.
pub(crate) fn run(args: &ImportConfigArgs) -> Result<ExitCode, Failure> {
    let mut imported = Imported::default();
    for file in args.files.iter().filter(|file| is_policy(file)) {
        imported.policy_file(file)?;
    }
    for file in args.files.iter().filter(|file| !is_policy(file)) {
        imported.variables(file)?;
    }
    let (yaml, env) = (imported.yaml()?, imported.env());
    let problems = imported.problems(&yaml)?;
    if !args.dry_run {
        for file in [&args.output, &args.secrets] {
            if file.exists() && !args.force {
                return Err(Failure::new(format!(
                    "{} is there already: name other files with --output and --secrets, or write over it with --force",
                    file.display()
                )));
            }
        }
        private_file::write(&args.output, &yaml)?;
        if !imported.secrets.is_empty() {
            private_file::write(&args.secrets, &env)?;
        }
    }
    let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if args.json {
        let told: Vec<Value> =
            imported.told.iter().map(|one| json!({"what": one.what, "became": one.became, "to": one.to})).collect();
        let secrets: Vec<&&str> = imported.secrets.keys().collect();
        print_json(&json!({
            "variables": told, "file": yaml, "secrets": secrets, "problems": listed, "written": !args.dry_run,
        }))?;
    } else {
        print(&text(&imported, &yaml, &listed, args))?;
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file of a policy, and not of variables.
fn is_policy(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}

impl Imported {
    fn tell(&mut self, what: impl Into<String>, became: &'static str, to: impl Into<String>) {
        self.told.push(Told { what: what.into(), became, to: to.into() });
    }

    fn policy_file(&mut self, file: &Path) -> Result<(), Failure> {
        let shown = file.display().to_string();
        if self.policy.is_some() {
            return Err(Failure::new(format!(
                "{shown}: only one policy can be in force; import the others with `luthien policy set`, or put them in a `serial`"
            )));
        }
        let text = read(file)?;
        let mut policy = policy::document(&text).map_err(|why| Failure::new(format!("{shown}: {why}")))?;
        // luthien_control keeps these beside.
        for name in ["name", "description", "is_active", "id"] {
            policy.shift_remove(name);
        }
        if let Some(class) = policy.shift_remove("type") {
            policy.shift_insert(0, "class".to_owned(), class);
        }
        let class = policy.get("class").and_then(Value::as_str).unwrap_or_default().to_owned();
        match catalogue::listed(&class) {
            Some(listing) if listing.name == class => self.tell(shown, "taken", format!("policy ({class})")),
            // Under the older name the older defaults hold, so it stays.
            Some(listing) => self.tell(
                shown,
                "taken",
                format!("policy: {class} is `{}` here; under its older name it keeps its older defaults", listing.name),
            ),
            None => self.tell(shown, "unknown", format!("there is no policy {class}")),
        }
        self.policy = Some(policy);
        Ok(())
    }

    fn variables(&mut self, file: &Path) -> Result<(), Failure> {
        let contents = dotenv::read(&read(file)?);
        for line in contents.unreadable {
            self.tell(format!("{}, line {line}", file.display()), "unknown", "is not written as NAME=value");
        }
        let names: Vec<String> = contents.variables.iter().map(|variable| variable.name.clone()).collect();
        let folder = std::path::absolute(file)?.parent().map(Path::to_owned).unwrap_or_default();
        for dotenv::Variable { name, value } in contents.variables {
            let (definition, became) = match variables::fate(&name) {
                Fate::Taken(definition) if definition.environment.first() == Some(&name.as_str()) => {
                    (definition, "taken")
                }
                Fate::Taken(definition) | Fate::Renamed(definition) => (definition, "renamed"),
                Fate::NotNeeded(why) => {
                    self.tell(name, "not needed", why);
                    continue;
                }
                Fate::Unknown => {
                    self.tell(name, "unknown", "no setting of this version; left out");
                    continue;
                }
            };
            let stronger = definition.environment.iter().take_while(|other| **other != name);
            let stronger = stronger.copied().find(|other| names.iter().any(|name| name == other));
            if let Some(other) = stronger {
                self.tell(name, "not needed", format!("{other} says the same"));
            } else if value.is_empty() {
                self.tell(name, "not needed", "it is empty, which counts as not set");
            } else if definition.name == "policy_config" && self.policy.is_some() {
                self.tell(name, "not needed", "the policy is in the file itself now");
            } else if definition.name == "database_url" && !is_server(&value) {
                let to = "the gateway's record is a file of its own; `luthien import luthien-proxy PATH` takes over what was recorded";
                self.tell(name, "not needed", to);
            } else {
                self.take(definition, name, became, value, &folder);
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        definition: &'static Definition,
        name: String,
        became: &'static str,
        value: String,
        folder: &Path,
    ) {
        let now = definition.environment.first().copied().unwrap_or(definition.name);
        if definition.secret() {
            let value = if definition.name == "database_url" { plain_scheme(&value) } else { value };
            self.tell(name, became, format!("{now}, among the secrets"));
            self.secrets.insert(now, value);
            return;
        }
        let value = match definition.kind {
            // The older proxies read a path from where they were started.
            Kind::Path if !value.starts_with('~') => folder.join(&value).to_string_lossy().into_owned(),
            _ => value,
        };
        self.tell(name, became, format!("{}: {}", definition.path, without_password(&value)));
        self.settings.push((definition, value));
    }

    /// The settings file.
    fn yaml(&self) -> Result<String, Failure> {
        let mut root = Map::new();
        for (definition, value) in &self.settings {
            insert(&mut root, definition.path, typed(definition.kind, value));
        }
        if let Some(policy) = &self.policy {
            let section = root.entry("policy").or_insert_with(|| json!({}));
            for (name, value) in policy {
                section[name.as_str()] = value.clone();
            }
        }
        let head = "# Made by `luthien import-config`. docs/settings.md explains every setting; `luthien config check` checks this file.\n";
        if root.is_empty() {
            return Ok(head.to_owned());
        }
        let body = serde_saphyr::to_string(&Value::Object(root))
            .map_err(|e| Failure::new(format!("cannot write the settings: {e}")))?;
        Ok(format!("{head}{body}"))
    }

    /// The file of secrets, for a shell, systemd or a container.
    fn env(&self) -> String {
        let lines: Vec<String> =
            self.secrets.iter().map(|(name, value)| format!("{name}='{}'\n", value.replace('\'', "'\\''"))).collect();
        format!("# Secrets for the gateway's environment: set -a; . ./luthien.env; set +a\n{}", lines.concat())
    }

    /// What is wrong with what was made: the settings, and whether the policy would load.
    fn problems(&self, yaml: &str) -> Result<Vec<Problem>, Failure> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("luthien.yaml");
        std::fs::write(&file, yaml)?;
        let environment = self.secrets.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let sources =
            Sources { environment, config: Some(file.clone()), folder: folder.path().to_owned(), ..Sources::default() };
        let named = |mut problem: Problem| {
            problem.place = problem.place.replace(&format!("{}: ", file.display()), "");
            problem
        };
        let loaded = match Settings::load(&sources) {
            Ok(_) => crate::assembly::Loaded::from(sources)?,
            Err(SettingsError::Invalid(problems)) => return Ok(problems.into_iter().map(named).collect()),
            Err(other) => return Err(Failure::new(other.to_string())),
        };
        let checked = loaded.policy_of_files().and_then(|found| match found {
            Some((spec, _)) => loaded.load(&spec).map(|_| ()),
            None => Ok(()),
        });
        Ok(checked.err().map(|e| Problem { place: "policy".to_owned(), message: e.to_string() }).into_iter().collect())
    }
}

/// What a person is told.
fn text(imported: &Imported, yaml: &str, problems: &[String], args: &ImportConfigArgs) -> String {
    let longest = imported.told.iter().map(|one| one.what.chars().count()).max().unwrap_or(0).min(48);
    let mut out: Vec<String> = imported
        .told
        .iter()
        .map(|one| {
            let what = pad(&visible_line(&one.what), longest);
            format!("{:<11} {what}  {}\n", one.became, visible_line(&one.to))
        })
        .collect();
    out.push("\n".to_owned());
    for problem in problems {
        out.push(format!("! {}\n", visible_line(problem)));
    }
    let (file, secrets) = (args.output.display(), args.secrets.display());
    if args.dry_run {
        out.push(format!("{file} would hold:\n\n{}", visible(yaml)));
        if !imported.secrets.is_empty() {
            let names: Vec<&str> = imported.secrets.keys().copied().collect();
            out.push(format!("\n{secrets} would hold {}.\n", names.join(", ")));
        }
        return out.concat();
    }
    out.push(format!("Written: {file}"));
    if imported.secrets.is_empty() {
        out.push(format!("\nNext: luthien config check {file} && luthien up --config {file}\n"));
    } else {
        out.push(format!(
            " and {secrets}, which only you can read\nNext: set -a; . {}; set +a; luthien up --config {file}\n",
            path_for_shell(&args.secrets)
        ));
    }
    out.concat()
}

/// A path that `.` does not look for on the PATH.
fn path_for_shell(path: &Path) -> String {
    if path.components().count() > 1 { path.display().to_string() } else { format!("./{}", path.display()) }
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|e| Failure::new(format!("cannot read {}: {e}", file.display())))
}

/// It names a server, and no file.
fn is_server(url: &str) -> bool {
    url.starts_with("postgres")
}

/// Without the driver that Python names in the scheme: `postgresql+asyncpg://`.
fn plain_scheme(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.starts_with("postgres") => format!("postgres://{rest}"),
        _ => url.to_owned(),
    }
}

/// Puts a value at a dotted place.
fn insert(root: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            root.insert(path.to_owned(), value);
        }
        Some((head, tail)) => {
            let below = root.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                insert(below, tail, value);
            }
        }
    }
}

/// A number or a switch as YAML has it. What is none is told when the file is checked.
fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Number => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
        Kind::Switch => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => json!(true),
            "false" | "0" | "no" | "off" => json!(false),
            _ => json!(text),
        },
        // What looks like a variable is no variable here.
        _ => json!(text.replace("${", "$${")),
    }
}
