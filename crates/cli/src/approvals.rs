//! `luthien approvals`: what policies leave to persons, and answering it.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin_client::AdminClient;
use crate::args::{ApprovalsArgs, ApprovalsCommand, Reply};
use crate::failure::Failure;
use crate::output::print;
use crate::terminal::{Palette, visible, visible_line};

#[cfg(test)]
mod tests;

/// Runs the command.
pub(crate) async fn run(args: ApprovalsArgs) -> Result<ExitCode, Failure> {
    let client = AdminClient::find(&args.record).await?;
    let (decision, reply) = match args.command {
        Some(ApprovalsCommand::Allow(reply)) => ("allow", reply),
        Some(ApprovalsCommand::Deny(reply)) => ("deny", reply),
        None => {
            let all = client.get("/api/admin/approvals").await?;
            if args.json {
                print(&format!("{all:#}\n"))?;
            } else {
                print(&waiting(&all["waiting"], Palette::for_stdout()))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    let Reply { id, message } = reply;
    let id = whole_id(&client.get("/api/admin/approvals").await?["waiting"], &id)?;
    let mut body = json!({"decision": decision, "by": "the command line"});
    if let Some(message) = message {
        body["message"] = message.into();
    }
    let approval = client.post(&format!("/api/admin/approvals/{id}"), &body).await?;
    let state = approval["state"].as_str().unwrap_or_default();
    print(&format!("{}: {state}\n", visible_line(&id)))?;
    Ok(ExitCode::SUCCESS)
}

/// The waiting question whose id is `start` or the only one whose id begins so.
fn whole_id(waiting: &Value, start: &str) -> Result<String, Failure> {
    let ids: Vec<&str> = waiting.as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
    match ids.iter().filter(|id| id.starts_with(start)).copied().collect::<Vec<_>>().as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::new(format!(
            "no question waits whose id begins with {}; `luthien approvals` lists those that wait",
            visible_line(start)
        ))),
        _ => Err(Failure::new(format!("{} begins more than one id; give more of it", visible_line(start)))),
    }
}

/// The questions that wait, each with what it is about.
fn waiting(waiting: &Value, palette: Palette) -> String {
    let all = waiting.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return "Nothing waits for a person.\n".to_owned();
    }
    let mut out = String::new();
    for one in all {
        let text = |name: &str| visible_line(one[name].as_str().unwrap_or("-"));
        // Writing to a text cannot fail.
        let _ = writeln!(out, "{}", palette.bold(&text("id")));
        let _ =
            writeln!(out, "  session {}  model {}  until {}", text("session_id"), text("model"), text("expires_at"));
        for asks in one["policies"].as_array().into_iter().flatten() {
            let (policy, why) = (asks["policy"].as_str().unwrap_or_default(), asks["why"].as_str().unwrap_or_default());
            let _ = writeln!(out, "  {} asks: {}", visible_line(policy), visible_line(why));
        }
        for shown in one["shown"].as_array().into_iter().flatten() {
            for line in visible(&in_words(shown)).lines() {
                let _ = writeln!(out, "    {line}");
            }
        }
    }
    out.push_str("\nAnswer with `luthien approvals allow ID` or `luthien approvals deny ID --message \"…\"`.\n");
    out
}

fn in_words(shown: &Value) -> String {
    match shown["type"].as_str() {
        Some("tool_call") => format!("{} {:#}", shown["name"].as_str().unwrap_or_default(), shown["arguments"]),
        Some("text") => shown["text"].as_str().unwrap_or_default().to_owned(),
        Some("request") => match (shown["last"].as_str().unwrap_or_default(), shown["characters_left_out"].as_u64()) {
            (last, None | Some(0)) => last.to_owned(),
            (last, Some(more)) => format!("{last}\n[{more} more characters are not shown: look at the transaction]"),
        },
        _ => shown.to_string(),
    }
}
