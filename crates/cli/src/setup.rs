//! `luthien setup`: asks a newcomer a little, writes luthien.yaml, and says what to do next.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use luthien_gateway::settings::Sources;
use secrecy::{ExposeSecret as _, SecretString};

use crate::args::{AgentWord, PolicyWord, SettingArgs, SetupArgs};
use crate::failure::Failure;
use crate::output::{print, say};
use crate::{config, private_file};

mod ask;

/// The port that everybody knows.
const PORT: u16 = 8000;

/// Wrong usage.
const USAGE: u8 = 2;

/// The gateway's own key at a vendor.
#[derive(Clone, Debug)]
enum Key {
    /// None: what an agent brings goes through.
    Callers,
    /// It was typed, and stands in the file.
    Typed(SecretString),
    /// It is in a file.
    File(PathBuf),
}

/// What is to be written.
#[derive(Clone, Debug)]
struct Answers {
    agents: Vec<AgentWord>,
    anthropic: Key,
    openai: Key,
    policy: PolicyWord,
    port: u16,
}

/// Runs the command.
pub(crate) fn run(args: &SetupArgs) -> Result<ExitCode, Failure> {
    let asks = !args.yes;
    if asks && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        say(
            "luthien: setup asks a few questions, and there is no terminal to ask them on; give the answers as flags:\n  \
             luthien setup --yes --agent claude --policy guard\n(`luthien setup --help` has all of them)",
        );
        return Ok(ExitCode::from(USAGE));
    }
    let file = place(args)?;
    if file.exists() && !args.force {
        if !asks {
            return Err(Failure::new(format!(
                "{} is there already: write over it with --force (it is kept beside as .old), or another with --output",
                file.display()
            )));
        }
        if !ask::over(&file)? {
            print("Nothing was written.\n")?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    let answers = if asks { ask::answers(args)? } else { recommended(args)? };
    if file.exists() {
        let old = old(&file);
        std::fs::rename(&file, &old).map_err(|e| Failure::new(format!("cannot keep {}: {e}", old.display())))?;
    }
    private_file::write(&file, &answers.text())?;
    let (_, problems) = config::problems(&SettingArgs { config: Some(file.clone()), ..SettingArgs::default() });
    if let Some(problem) = problems.first() {
        return Err(Failure::new(format!("{} was written, and cannot be used as it is: {problem}", file.display())));
    }
    print(&next(&answers, &file, args.output.is_some()))?;
    Ok(ExitCode::SUCCESS)
}

/// The file to write.
fn place(args: &SetupArgs) -> Result<PathBuf, Failure> {
    if let Some(file) = &args.output {
        return Ok(std::path::absolute(file)?);
    }
    let user = Sources::of_process(std::collections::BTreeMap::new(), None).user_file();
    user.ok_or_else(|| Failure::new("there is no home folder to write to: name a file with --output"))
}

/// What the flags say, and what is recommended where they say nothing.
fn recommended(args: &SetupArgs) -> Result<Answers, Failure> {
    let key = |file: &Option<PathBuf>| -> Result<Key, Failure> {
        let Some(file) = file else { return Ok(Key::Callers) };
        let file = std::path::absolute(file)?;
        if file.is_file() {
            Ok(Key::File(file))
        } else {
            Err(Failure::new(format!("there is no file {}", file.display())))
        }
    };
    Ok(Answers {
        agents: if args.agent.is_empty() { vec![AgentWord::Claude] } else { args.agent.clone() },
        anthropic: key(&args.anthropic_key_file)?,
        openai: key(&args.openai_key_file)?,
        policy: args.policy.unwrap_or(PolicyWord::Guard),
        port: args.port.unwrap_or_else(free_port),
    })
}

/// The usual port, or the next one that is free.
fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (PORT..PORT + 100).find(free).unwrap_or(PORT)
}

/// Where the file that was there is kept.
fn old(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".old");
    name.into()
}

impl Answers {
    /// The file.
    fn text(&self) -> String {
        let mut out = "# Made by `luthien setup`. docs/settings.md explains every setting; `luthien config check` checks this file.\n\n\
                       server:\n  # Only this machine reaches the gateway. Before others may, read docs/security.md.\n  host: 127.0.0.1\n"
            .to_owned();
        let _ = writeln!(out, "  port: {}\n", self.port);
        out.push_str(
            "# Whose credential goes to the vendors: what an agent is logged in with, or its own key, unless it brings a key of the gateway's\n\
             # (`luthien keys create NAME`); then the gateway's own.\n",
        );
        let keys = [("anthropic", &self.anthropic), ("openai", &self.openai)];
        if keys.iter().all(|(_, key)| matches!(key, Key::Callers)) {
            out.push_str("# upstreams:\n#   anthropic: { api_key_file: /path/to/key }\n#   openai: { api_key_file: /path/to/key }\n");
        } else {
            out.push_str("upstreams:\n");
            for (name, key) in keys {
                match key {
                    Key::Callers => {}
                    Key::Typed(key) => {
                        let _ = writeln!(out, "  {name}: {{ api_key: {} }}", quoted(key.expose_secret()));
                    }
                    Key::File(file) => {
                        let _ = writeln!(out, "  {name}: {{ api_key_file: {} }}", quoted(&file.to_string_lossy()));
                    }
                }
            }
        }
        out.push('\n');
        out.push_str(&self.policy_text());
        out
    }

    fn policy_text(&self) -> String {
        let rules = "policy:\n  class: serial\n  config:\n    policies:\n      \
                     - class: guard                   # destruction, theft, persistence, evasion: built-in rules, no model\n      \
                     - class: dogfood_safety          # commands that would stop or damage the gateway\n";
        match self.policy {
            PolicyWord::Record => "# Everything passes and is recorded. Rules against dangerous commands, for a beginning:\n# policy: { class: guard }\n".to_owned(),
            PolicyWord::Guard => format!("# What is decided on before the agent gets it. `luthien policy list` names all policies.\n{rules}"),
            PolicyWord::Judge => {
                let only_codex = self.agents.iter().all(|agent| *agent == AgentWord::Codex);
                // A judge sits at the agent's own upstream.
                let model = if only_codex { "gpt-5-mini" } else { "claude-haiku-4-5" };
                format!(
                    "# What is decided on before the agent gets it. `luthien policy list` names all policies.\n{rules}      \
                     - class: tool_call_judge         # a model judges each tool call\n        config:\n          \
                     model: {model}      # asked at the agent's own upstream with its credential: one that it knows\n          \
                     probability_threshold: 0.6\n"
                )
            }
        }
    }
}

/// A text as YAML has it between quotes; what looks like a variable is none.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace("${", "$${"))
}

/// What to do now.
fn next(answers: &Answers, file: &Path, named: bool) -> String {
    let mut out = format!("Written: {}\n\nNext:\n", file.display());
    let flag = if named { format!(" --config {}", file.display()) } else { String::new() };
    let _ = writeln!(out, "  luthien up{flag}");
    for agent in &answers.agents {
        match agent {
            AgentWord::Claude => out.push_str("  luthien claude        Claude Code through the gateway\n"),
            AgentWord::Codex => out.push_str("  luthien codex         Codex through the gateway\n"),
            AgentWord::Sdk => {
                let port = answers.port;
                let _ = writeln!(out, "  export ANTHROPIC_BASE_URL=http://127.0.0.1:{port}");
                let _ = writeln!(out, "  export OPENAI_BASE_URL=http://127.0.0.1:{port}/v1");
            }
        }
    }
    out.push_str("  luthien sessions      what was recorded\n");
    let own = [&answers.anthropic, &answers.openai].iter().any(|key| !matches!(key, Key::Callers));
    if own {
        out.push_str("\nThe gateway's own keys are for callers with a key of its own: luthien keys create NAME\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    fn what_is_written_can_be_used(
        #[values(PolicyWord::Guard, PolicyWord::Record, PolicyWord::Judge)] policy: PolicyWord,
        #[values(AgentWord::Claude, AgentWord::Codex, AgentWord::Sdk)] agent: AgentWord,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("luthien.yaml");
        let anthropic = Key::Typed(SecretString::from("sk-ant-'${it}': #1"));
        let answers = Answers { agents: vec![agent], anthropic, openai: Key::Callers, policy, port: 8123 };
        std::fs::write(&file, answers.text()).unwrap();
        let sources = Sources { config: Some(file), folder: folder.path().to_owned(), ..Sources::default() };
        let loaded = crate::assembly::Loaded::from(sources).unwrap();
        let key = loaded.settings.anthropic_api_key.as_ref().unwrap().expose_secret().to_owned();
        assert_eq!((key.as_str(), loaded.settings.port), ("sk-ant-'${it}': #1", 8123));
        match (loaded.policy_of_files().unwrap(), policy) {
            (None, PolicyWord::Record) => {}
            (Some((spec, _)), PolicyWord::Guard | PolicyWord::Judge) => drop(loaded.load(&spec).unwrap()),
            (found, _) => panic!("{found:?}"),
        }
    }
}
