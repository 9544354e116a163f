//! `luthien demo`: an agent, a scripted model, and a dangerous tool call that does not arrive.

use std::fmt::Write as _;
use std::process::ExitCode;

use luthien_record::model::Decision;
use luthien_record::store::TransactionDetail;
use luthien_wire::turn::{Block, ToolCall};
use luthien_wire::{Dialect, answer};

use crate::failure::Failure;
use crate::output::print;
use crate::show::{self, Look};
use crate::terminal::{Paint, visible, wrap};
use agent::{Agent, Seen};
use stage::Stage;
use story::{Call, SCENES, Scene};

mod agent;
mod stage;
mod story;

#[cfg(test)]
mod tests;

/// Plays the demo. Succeeds only if the dangerous call was blocked and no byte of it reached the agent.
pub(crate) async fn run() -> Result<ExitCode, Failure> {
    let stage = Box::pin(Stage::open()).await?;
    let look = Look::of_terminal();
    print(&opening(&stage, &look))?;
    let played = play(&stage, &look).await;
    let folder = stage.close().await;
    let played = played?;
    print(&format!(
        "\nThe record of this is in {}. Look at it again with\n  luthien sessions --data-dir {0}\n  luthien show {} --data-dir {0}\n",
        folder.display(),
        story::SESSION,
    ))?;
    match played {
        Some(hole) => Err(Failure::new(format!("the block did not hold: {hole}"))),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn opening(stage: &Stage, look: &Look) -> String {
    let p = look.palette;
    format!(
        "{}\n\
         The model and the judge are scripts on this machine: no account is used, and no command is run.\n\n  \
         gateway   {}\n  policy    tool_call_judge: a second model judges every tool call before the agent gets it\n\n",
        p.bold("An agent cleans up a disk. The gateway stands between it and its model."),
        stage.base(),
    )
}

/// Plays all scenes. Gives what reached the agent and should not have, if anything did.
async fn play(stage: &Stage, look: &Look) -> Result<Option<String>, Failure> {
    let mut agent = Agent::new(stage.base().to_owned());
    let mut hole = None;
    let mut blocked = None;
    for (number, scene) in SCENES.iter().enumerate() {
        if let Some(user) = scene.user {
            agent.hear(user);
        }
        let seen = agent.ask().await?;
        let call = stage.recorded(seen.id).await?;
        print(&told(number + 1, scene, &call, &seen, look))?;
        if let Some(wanted) = scene.call {
            if let Some(output) = wanted.output {
                agent.ran(seen.call().map_or(wanted.id, |got| got.id.as_str()), output);
            } else {
                hole = hole.or_else(|| leaked(&wanted, &call, &seen));
                blocked = Some((seen.bytes.len(), call));
            }
        }
    }
    let Some((bytes, call)) = blocked else { return Ok(Some("the dangerous call was never played".to_owned())) };
    if hole.is_none() {
        let check =
            format!("Checked: none of the {bytes} bytes that the agent got in turn 2 belong to the blocked call.");
        print(&format!("{}\n\n", look.palette.paint(Paint::Green, &check)))?;
        print(&format!("{}\n\n", look.palette.bold("That turn in the record:")))?;
        print(&show::transaction(stage.store(), &call, look).await?)?;
    }
    Ok(hole)
}

/// What of the dangerous call reached the agent, or what else shows that nothing stopped it.
fn leaked(wanted: &Call, call: &TransactionDetail, seen: &Seen) -> Option<String> {
    let upstream = String::from_utf8_lossy(&call.upstream_response);
    let client = String::from_utf8_lossy(&seen.bytes);
    if !upstream.contains(wanted.id) {
        return Some("the model never made the call".to_owned());
    }
    let marks = [wanted.id, "tool_use", "input_json_delta", "partial_json", "rm -rf", "preserve-root"];
    if let Some(mark) = marks.iter().find(|mark| client.contains(**mark)) {
        return Some(format!("the agent got {mark:?}"));
    }
    if seen.stop_reason != "end_turn" {
        return Some(format!("the agent was told to stop for {:?}", seen.stop_reason));
    }
    if !call.decisions.iter().any(|decision| decision.action == "block" && decision.mode == "enforce") {
        return Some("the record knows of no block".to_owned());
    }
    None
}

/// One scene: what the agent asked, what the model answered, what was held and decided, what the agent saw.
fn told(number: usize, scene: &Scene, call: &TransactionDetail, seen: &Seen, look: &Look) -> String {
    let mut out = format!("{}\n", look.palette.bold(&format!("── turn {number}")));
    match scene.user {
        Some(user) => line("user", Paint::Cyan, user, look, &mut out),
        None => line("tool", Paint::Dim, &output_before(number), look, &mut out),
    }
    for (_, block) in answer::blocks(Dialect::Messages, call.streamed, &call.upstream_response) {
        match block {
            Block::Text(text) => line("model", Paint::Green, &text, look, &mut out),
            Block::ToolCall(made) => line("model", Paint::Green, &format!("calls {}", command(&made)), look, &mut out),
            Block::Thinking(_) | Block::Opaque { .. } => {}
        }
    }
    for decision in &call.decisions {
        let (paint, text) = verdict(decision);
        line("gateway", paint, &text, look, &mut out);
    }
    let got = match seen.call() {
        Some(made) => format!("gets the call {}", command(made)),
        None => seen.blocks.iter().rev().find_map(text_of).unwrap_or_default(),
    };
    line("agent", Paint::Cyan, &got, look, &mut out);
    out.push('\n');
    out
}

/// What the tool gave in the turn before.
fn output_before(number: usize) -> String {
    let before = number.checked_sub(2).and_then(|index| SCENES.get(index));
    before.and_then(|scene| scene.call?.output).unwrap_or_default().to_owned()
}

fn text_of(block: &Block) -> Option<String> {
    match block {
        Block::Text(text) => Some(format!("sees \"{text}\"")),
        _ => None,
    }
}

fn command(call: &ToolCall) -> String {
    let command = call.arguments.as_ref().ok().and_then(|arguments| arguments.get("command")?.as_str());
    format!("{}: {}", call.name, command.unwrap_or(&call.raw))
}

fn verdict(decision: &Decision) -> (Paint, String) {
    let score = decision.score.map(|score| format!(", score {score:.2}")).unwrap_or_default();
    let reason = decision.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match decision.action.as_str() {
        "block" => (Paint::Red, format!("held the call, BLOCKED it{score}{reason}")),
        "pass" => (Paint::Green, format!("held the call, released it{score}{reason}")),
        other => (Paint::Yellow, format!("held the call, {other}{score}{reason}")),
    }
}

fn line(who: &str, paint: Paint, text: &str, look: &Look, out: &mut String) {
    let shown = visible(text);
    for (i, part) in wrap(&shown, look.width.saturating_sub(12)).iter().enumerate() {
        let lead = if i == 0 { look.palette.paint(paint, &format!("{who:<9}")) } else { " ".repeat(9) };
        let _ = writeln!(out, "  {lead} {part}");
    }
}
