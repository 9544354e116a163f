//! `luthien policy eval`: runs a policy over things with labels and says how often it is right, and how long it takes.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use futures_util::stream::{self, StreamExt as _};
use luthien_policy::evaluate::{CommandTool, Trial};

use crate::assembly::runtime;
use crate::failure::Failure;
use crate::output::{print, say};
use crate::terminal::{Palette, width};

use condition::{Condition, Found};
use read::{Filter, Row};
use subject::Subject;
use tally::{Tally, Tried};

mod condition;
mod document;
mod read;
mod report;
mod subject;
mod tally;
#[cfg(test)]
mod tests;

/// Shown below the help.
pub(crate) const EXAMPLES: &str = "\
POLICY is a luthien.yaml, a file with `class` and `config` or with `rules` alone, or the name of a policy. \
DATA are files of JSON lines, or `-`: each with `command`, `tool_call`, `text`, `prompt`, or a recorded turn, and a `label`. \
docs/evaluation.md explains both, and what the figures mean. \
Ends with 1 if a --require is not met, with 2 if something cannot be read.

Examples:
  luthien policy eval luthien.yaml commands.jsonl
  luthien policy eval rules.yaml bad.jsonl good.jsonl --group-by source --misses 20
  luthien policy eval dogfood_safety good.jsonl --require 'caught(good)<=1%'";

/// `policy eval`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct EvalArgs {
    /// The policy: a file, or a name as `luthien policy list` prints it
    pub(crate) policy: String,

    /// Files of JSON lines, or `-` for the standard input
    #[arg(required = true)]
    pub(crate) data: Vec<PathBuf>,

    /// Set a field of the policy's configuration; the value is YAML, dots lead into objects
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(crate) set: Vec<String>,

    /// The settings, where judges or policy servers are asked [default: the policy's file if it is a luthien.yaml, else as for `serve`]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The tool that a bare `command` is given to
    #[arg(long, value_name = "NAME", default_value = "Bash")]
    pub(crate) tool: String,

    /// The argument of that tool that holds the command
    #[arg(long, value_name = "NAME", default_value = "command")]
    pub(crate) argument: String,

    /// A label that means bad [default: every label but benign, safe, allow, good and ok]
    #[arg(long, value_name = "LABEL")]
    pub(crate) positive: Vec<String>,

    /// Print the figures for each value of this field too
    #[arg(long, value_name = "FIELD")]
    pub(crate) group_by: Option<String>,

    /// Only lines whose field has one of these values
    #[arg(long = "where", value_name = "FIELD=A,B")]
    pub(crate) only: Vec<String>,

    /// Not the lines whose field has one of these values; of a list, no others
    #[arg(long, value_name = "FIELD=A,B")]
    pub(crate) without: Vec<String>,

    /// How many misses and how many false alarms to show, worst first
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) misses: usize,

    /// Print what catching from each score on would do, and the area under that curve
    #[arg(long)]
    pub(crate) scores: bool,

    /// Decisions at once, for policies that wait for judges or servers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) jobs: u16,

    /// A condition on the figures, like 'blocked(malicious)>=60%' or 'caught(good,source=docs)<=0.01'
    #[arg(long, value_name = "CONDITION")]
    pub(crate) require: Vec<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &EvalArgs) -> Result<ExitCode, Failure> {
    match evaluate(args).and_then(|(tally, found)| Ok((written(args, &tally, &found)?, found))) {
        Ok((text, found)) => {
            print(&text)?;
            Ok(if found.iter().all(|found| found.holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(failure) => {
            say(&format!("luthien: {failure}"));
            Ok(ExitCode::from(2))
        }
    }
}

fn written(args: &EvalArgs, tally: &Tally, found: &[Found]) -> Result<String, Failure> {
    if args.json {
        return document::text(tally, args, found);
    }
    Ok(report::text(tally, args, found, width(), Palette::for_stdout()))
}

/// What was counted, and which conditions are met.
fn evaluate(args: &EvalArgs) -> Result<(Tally, Vec<Found>), Failure> {
    let conditions = args.require.iter().map(|text| Condition::read(text)).collect::<Result<Vec<_>, _>>()?;
    let tool = CommandTool { name: args.tool.clone(), argument: args.argument.clone() };
    let filter = Filter::read(&args.only, &args.without)?;
    let (rows, left_out) = read::rows(&args.data, &tool, &filter, args.group_by.as_deref())?;
    let (names, tried) = runtime(Some(1))?.block_on(async {
        let subject = Subject::load(args).await?;
        let tried = try_all(&subject.trial, rows, usize::from(args.jobs)).await;
        let names = subject.trial.names();
        subject.close().await;
        Ok::<_, Failure>((names, tried))
    })?;
    let tally = Tally::of(args, names, tried, left_out);
    let found = conditions.iter().map(|condition| condition.check(&tally)).collect::<Result<Vec<_>, _>>()?;
    Ok((tally, found))
}

/// Puts each row to the policy, so many at once; the order stays. Counts on a terminal.
async fn try_all(trial: &Trial, rows: Vec<Row>, jobs: usize) -> Vec<Tried> {
    let (all, shown) = (rows.len(), std::io::stderr().is_terminal());
    let trial = &trial;
    let mut verdicts = stream::iter(rows)
        .map(|row| async move {
            let verdict = trial.of(&row.case).await;
            Tried { row: Arc::new(row), verdict }
        })
        .buffered(jobs);
    let mut tried = Vec::with_capacity(all);
    while let Some(one) = verdicts.next().await {
        tried.push(one);
        if shown && (tried.len() % 50 == 0 || tried.len() == all) {
            let end = if tried.len() == all { "\r\u{1b}[K" } else { "" };
            progress(&format!("\r{} of {all}{end}", tried.len()));
        }
    }
    tried
}

/// Writes to standard error without a line's end, where nobody can be told if it fails.
fn progress(text: &str) {
    use std::io::Write as _;
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{text}");
    let _ = err.flush();
}
