//! The questions of `luthien setup`. Keys are not shown while they are typed.

use std::path::Path;

use dialoguer::{Confirm, Input, MultiSelect, Password, Select};
use secrecy::SecretString;

use super::{Answers, Key, PORT, free_port, recommended};
use crate::args::{AgentWord, PolicyWord, SetupArgs};
use crate::failure::Failure;

/// Asks what no flag says.
pub(super) fn answers(args: &SetupArgs) -> Result<Answers, Failure> {
    let mut answers = recommended(args)?;
    if args.agent.is_empty() {
        answers.agents = agents()?;
    }
    let vendors = |agent: AgentWord| answers.agents.contains(&agent) || answers.agents.contains(&AgentWord::Sdk);
    let (anthropic, openai) = (vendors(AgentWord::Claude), vendors(AgentWord::Codex));
    if args.anthropic_key_file.is_none() && args.openai_key_file.is_none() && own_keys()? {
        if anthropic {
            answers.anthropic = key("Anthropic")?;
        }
        if openai {
            answers.openai = key("OpenAI")?;
        }
    }
    if args.policy.is_none() {
        answers.policy = policy()?;
    }
    if args.port.is_none() && answers.port != PORT {
        let prompt = format!("The port {PORT} is taken. Which one");
        answers.port = Input::new().with_prompt(prompt).default(free_port()).interact_text().map_err(failed)?;
    }
    Ok(answers)
}

/// Whether a file that is there may be written over.
pub(super) fn over(file: &Path) -> Result<bool, Failure> {
    let prompt = format!("{} is there already. Write a new one, and keep that as .old", file.display());
    Confirm::new().with_prompt(prompt).default(false).interact().map_err(failed)
}

fn agents() -> Result<Vec<AgentWord>, Failure> {
    let all = [AgentWord::Claude, AgentWord::Codex, AgentWord::Sdk];
    let chosen = MultiSelect::new()
        .with_prompt("Which agents will come (space chooses, enter goes on)")
        .items(["Claude Code", "Codex", "programs with a vendor's SDK"])
        .defaults(&[true, false, false])
        .interact()
        .map_err(failed)?;
    let chosen: Vec<AgentWord> = chosen.into_iter().filter_map(|index| all.get(index).copied()).collect();
    Ok(if chosen.is_empty() { vec![AgentWord::Claude] } else { chosen })
}

fn own_keys() -> Result<bool, Failure> {
    let chosen = Select::new()
        .with_prompt("Whose credential goes to the vendor")
        .items([
            "the agent's own login or key (recommended)",
            "a key that the gateway keeps, for callers with a key of the gateway's",
        ])
        .default(0)
        .interact()
        .map_err(failed)?;
    Ok(chosen == 1)
}

fn key(vendor: &str) -> Result<Key, Failure> {
    let prompt = format!("The key at {vendor} (not shown; empty for none)");
    let key = Password::new().with_prompt(prompt).allow_empty_password(true).interact().map_err(failed)?;
    let key = key.trim();
    Ok(if key.is_empty() { Key::Callers } else { Key::Typed(SecretString::from(key)) })
}

fn policy() -> Result<PolicyWord, Failure> {
    let all = [PolicyWord::Guard, PolicyWord::Record, PolicyWord::Judge];
    let chosen = Select::new()
        .with_prompt("What to begin with")
        .items([
            "guard: built-in rules stop dangerous commands (recommended)",
            "record: block nothing, record everything",
            "judge: the rules, and a model that judges each tool call",
        ])
        .default(0)
        .interact()
        .map_err(failed)?;
    Ok(all.get(chosen).copied().unwrap_or(PolicyWord::Guard))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn failed(error: dialoguer::Error) -> Failure {
    Failure::new(format!(
        "the question was not answered ({error}); nothing was written. `luthien setup --yes` asks nothing"
    ))
}
