//! Puts a request into the shape that every dialect takes: system texts in front, the model's turns whole, results of
//! tools right behind the calls, and a tool choice that the remaining tools can meet.

use std::borrow::Cow;

use super::super::Refused;
use super::super::search::TOOL;
use super::ask::{Ask, Choice, Part, Role, Turn, What};
use super::fit;
use super::ledger::refuse;
use super::search::is_search;
use crate::dialect::Dialect;

pub(super) fn settle(ask: &mut Ask) -> Result<(), Refused> {
    ask.turns.retain(|turn| !turn.parts.is_empty());
    lead(ask);
    ask.turns = ordered(merged(std::mem::take(&mut ask.turns)));
    choice(ask)
}

/// Gives tools the names that this dialect takes, wherever they stand; what each new name stands for is for the answer.
pub(super) fn rename(ask: &mut Ask, to: Dialect) -> Vec<(String, String)> {
    let fit = |name: &mut String| {
        if let Cow::Owned(new) = fit::name(to, name) {
            *name = new;
        }
    };
    let mut renamed = Vec::new();
    for tool in &mut ask.tools {
        if let Cow::Owned(new) = fit::name(to, &tool.name) {
            renamed.push((new.clone(), std::mem::replace(&mut tool.name, new)));
        }
    }
    for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let What::Call(call) = &mut part.what {
            fit(&mut call.name);
        }
    }
    match &mut ask.choice {
        Some(Choice::Named(name)) => fit(name),
        Some(Choice::Allowed { names, .. }) => names.iter_mut().for_each(fit),
        _ => {}
    }
    renamed
}

/// System texts at the head of the conversation are the system prompt.
fn lead(ask: &mut Ask) {
    let is_lead =
        |turn: &&Turn| turn.role.is_system() && turn.parts.iter().all(|part| matches!(part.what, What::Text(_)));
    let count = ask.turns.iter().take_while(is_lead).count();
    ask.system.extend(ask.turns.drain(..count).flat_map(|turn| turn.parts));
}

/// Neighbouring turns of the model as one.
fn merged(turns: Vec<Turn>) -> Vec<Turn> {
    let mut out: Vec<Turn> = Vec::with_capacity(turns.len());
    for turn in turns {
        match out.last_mut() {
            Some(last) if turn.role == Role::Assistant && last.role == turn.role => last.parts.extend(turn.parts),
            _ => out.push(turn),
        }
    }
    out
}

/// Between two turns of the model, what its tools gave back comes first, in one turn: no dialect allows anything between
/// a call and its result.
fn ordered(turns: Vec<Turn>) -> Vec<Turn> {
    let mut out: Vec<Turn> = Vec::with_capacity(turns.len());
    let mut run: Vec<Turn> = Vec::new();
    for turn in turns {
        if turn.role == Role::Assistant {
            flush(&mut out, std::mem::take(&mut run));
            out.push(turn);
        } else {
            run.push(turn);
        }
    }
    flush(&mut out, run);
    out
}

fn flush(out: &mut Vec<Turn>, run: Vec<Turn>) {
    let is_outcome = |part: &Part| matches!(part.what, What::Outcome(_));
    let mut results = Turn { role: Role::User, parts: Vec::new() };
    let mut others = Vec::with_capacity(run.len());
    for turn in run {
        let (outcomes, rest): (Vec<Part>, Vec<Part>) = turn.parts.into_iter().partition(is_outcome);
        results.parts.extend(outcomes);
        if !rest.is_empty() {
            others.push(Turn { role: turn.role, parts: rest });
        }
    }
    if !results.parts.is_empty() {
        out.push(results);
    }
    out.extend(others);
}

/// The tool choice, given that some tools are gone: one that forces a tool which is gone cannot be met.
fn choice(ask: &mut Ask) -> Result<(), Refused> {
    let own = |name: &str| ask.tools.iter().any(|tool| tool.name == name);
    let searches = |name: &str| ask.search.is_some() && name == TOOL;
    let has = |name: &str| own(name) || searches(name);
    let lacks = |what: &str| refuse("tool_choice", &format!("it forces {what}, which the upstream does not have"));
    let gone = |name: &str| ask.gone.iter().any(|gone| gone.kind == name || gone.name.as_deref() == Some(name));
    let settled = match ask.choice.take() {
        Some(Choice::Hosted(kind)) if ask.search.is_some() && is_search(&kind) => Some(Choice::Hosted(TOOL.to_owned())),
        Some(Choice::Named(name)) if !own(&name) && searches(&name) => Some(Choice::Hosted(name)),
        Some(Choice::Hosted(kind)) => return Err(lacks(&format!("the tool {kind:?}"))),
        Some(Choice::Named(name)) if !has(&name) && gone(&name) => return Err(lacks(&format!("the tool {name:?}"))),
        Some(Choice::Required) if !ask.has_tools() && !ask.gone.is_empty() => return Err(lacks("a tool call")),
        Some(Choice::Allowed { required, mut names }) => {
            names.retain(|name| has(name));
            match (names.is_empty(), required) {
                (true, true) => return Err(lacks("one of several tools")),
                (true, false) => Some(Choice::None),
                (false, _) => Some(Choice::Allowed { required, names }),
            }
        }
        Some(Choice::Auto | Choice::None) if !ask.has_tools() => None,
        choice => choice,
    };
    if !ask.has_tools() {
        ask.parallel = None;
    }
    ask.choice = settled;
    Ok(())
}
