//! `luthien policy test`: tries rules on their examples, or says what they make of a command.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use luthien_policy::catalogue::LoadEnv;
use luthien_policy::rules::{Explained, Outcome, RuleSet};
use serde_json::{Value, json};

use crate::args::PolicyTestArgs;
use crate::failure::Failure;
use crate::output::print;
use crate::terminal::{Paint, Palette, clip, pad, visible_line};

/// The most columns of an example in the table.
const EXAMPLE: usize = 60;

/// Rules, and where in the file they stand.
type Sets = Vec<(String, RuleSet)>;

/// Runs the command. Ends with 1 where an example does not hold.
pub(crate) fn run(args: &PolicyTestArgs) -> Result<ExitCode, Failure> {
    let sets = read(&args.file)?;
    let palette = Palette::for_stdout();
    if let Some(command) = &args.command {
        let explained = explain(&sets, &args.tool, command)?;
        print(&if args.json { lines(&json!(explained))? } else { story(&explained, palette) })?;
        return Ok(ExitCode::SUCCESS);
    }
    let outcomes: Vec<Outcome> = sets.iter().flat_map(|(_, set)| set.examples()).collect();
    print(&if args.json { report(&sets, &outcomes)? } else { table(&sets, &outcomes, palette) })?;
    let holds = outcomes.iter().all(Outcome::holds);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &Path) -> Result<Sets, Failure> {
    let shown = if file == Path::new("-") { "the standard input".to_owned() } else { file.display().to_string() };
    let wrong = |what: &dyn std::fmt::Display| Failure::new(format!("{shown}: {what}"));
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| wrong(&error))?;
    let document: Value = serde_saphyr::from_str(&text).map_err(|error| wrong(&error))?;
    let sets = RuleSet::find(&document, &LoadEnv::default()).map_err(|error| wrong(&error))?;
    if sets.is_empty() {
        return Err(wrong(&"there are no rules in it: it has neither `rules` nor a policy of the class `rules`"));
    }
    Ok(sets)
}

fn explain(sets: &Sets, tool: &str, command: &str) -> Result<Vec<Explained>, Failure> {
    sets.iter().map(|(_, set)| set.explain(tool, command).map_err(Failure::new)).collect()
}

/// What the command does, and what each rule says of it.
fn story(explained: &[Explained], palette: Palette) -> String {
    let mut out = String::new();
    for (number, set) in explained.iter().enumerate() {
        if number == 0 {
            let _ = writeln!(out, "{}", palette.bold("What it does"));
            for effect in &set.effects {
                let _ = writeln!(out, "  {}", visible_line(effect));
            }
            if set.effects.is_empty() {
                let _ = writeln!(out, "  nothing that is known");
            }
        }
        let _ = writeln!(out, "\n{}", palette.bold("Rules"));
        let longest = set.rules.iter().map(|said| said.rule.chars().count()).max().unwrap_or(0);
        for said in &set.rules {
            let found = match &said.found {
                Ok(true) => palette.paint(Paint::Red, &format!("matches: {}", said.action)),
                Ok(false) => palette.dim("no match"),
                Err(why) => palette.paint(Paint::Red, &format!("cannot be evaluated: {}", visible_line(why))),
            };
            let about = if said.found == Ok(true) && !said.description.is_empty() {
                format!("  {}", visible_line(&said.description))
            } else {
                String::new()
            };
            let _ = writeln!(out, "  {}  {found}{about}", pad(&visible_line(&said.rule), longest));
        }
        let by = set.by.as_ref().map(|rule| format!(" by {}", visible_line(rule))).unwrap_or_default();
        let score = set.score.map(|score| format!(", score {score}")).unwrap_or_default();
        let _ = writeln!(out, "\n{} {}{by}{score}", palette.bold("Decision:"), set.decision);
    }
    out
}

/// Each example with what came of it.
fn table(sets: &Sets, outcomes: &[Outcome], palette: Palette) -> String {
    let names: Vec<&str> = sets.iter().flat_map(|(_, set)| set.names()).collect();
    let rule = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(4);
    let shown: Vec<String> = outcomes.iter().map(|outcome| clip(&visible_line(&outcome.example), EXAMPLE)).collect();
    let example = shown.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(7);
    let head = format!("{}  {}  {}  result", pad("rule", rule), pad("example", example), pad("has to", 9));
    let mut out = format!("{}\n", palette.bold(&head));
    for (outcome, shown) in outcomes.iter().zip(&shown) {
        let expected = if outcome.expected { "match" } else { "not match" };
        let result = match (&outcome.found, outcome.holds()) {
            (_, true) => "ok".to_owned(),
            (Err(why), _) => palette.paint(Paint::Red, &format!("FAILED: cannot be evaluated: {}", visible_line(why))),
            (Ok(found), _) => {
                let what = if *found { "matches" } else { "does not match" };
                let effects = if outcome.effects.is_empty() {
                    "nothing that is known".to_owned()
                } else {
                    outcome.effects.join(", ")
                };
                palette.paint(Paint::Red, &format!("FAILED: {what}; it does {}", visible_line(&effects)))
            }
        };
        let name = pad(&visible_line(&outcome.rule), rule);
        let _ = writeln!(out, "{name}  {}  {}  {result}", pad(shown, example), pad(expected, 9));
    }
    for name in untried(&names, outcomes) {
        let _ = writeln!(out, "{}  {}", pad(&visible_line(name), rule), palette.dim("no examples"));
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.holds()).count();
    let _ = writeln!(out, "\n{} rules, {} examples, {failed} failed", names.len(), outcomes.len());
    out
}

fn untried<'a>(names: &[&'a str], outcomes: &[Outcome]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| !outcomes.iter().any(|outcome| outcome.rule == *name)).collect()
}

fn report(sets: &Sets, outcomes: &[Outcome]) -> Result<String, Failure> {
    let names: Vec<&str> = sets.iter().flat_map(|(_, set)| set.names()).collect();
    let failed = outcomes.iter().filter(|outcome| !outcome.holds()).count();
    let untried = untried(&names, outcomes);
    lines(&json!({"rules": names.len(), "examples": outcomes, "failed": failed, "without_examples": untried}))
}

fn lines(value: &Value) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests;
