//! `luthien panic`: turns the panic switch of the gateway that runs, or says what it says.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin_client::AdminClient;
use crate::args::{PanicArgs, PanicWord};
use crate::failure::Failure;
use crate::output::print;
use crate::terminal::visible_line;

const ROUTE: &str = "/api/admin/panic";

/// Runs the command. It fails where the switch was turned and a restart would forget it.
pub(crate) async fn run(args: PanicArgs) -> Result<ExitCode, Failure> {
    let client = AdminClient::find(&args.record).await?;
    let said = match args.mode {
        None => client.get(ROUTE).await?,
        Some(mode) => {
            let mode = match mode {
                PanicWord::ToolCalls => "tool_calls",
                PanicWord::Traffic => "traffic",
                PanicWord::Off => "off",
            };
            let order =
                json!({"mode": mode, "reason": args.reason, "message": args.message, "set_by": "luthien panic"});
            client.post(ROUTE, &order).await?
        }
    };
    print(&if args.json { format!("{said:#}\n") } else { in_words(&said) })?;
    Ok(if said["stored"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_words(said: &Value) -> String {
    let mut out = match said["mode"].as_str() {
        Some("tool_calls") => "All tool calls are stopped.\n".to_owned(),
        Some("traffic") => "All model traffic is stopped.\n".to_owned(),
        Some("off") => "Nothing is stopped.\n".to_owned(),
        _ => format!("The gateway says: {said}\n"),
    };
    for (name, label) in
        [("set_at", "since"), ("set_by", "set by"), ("reason", "reason"), ("message", "told to clients")]
    {
        if let Some(text) = said[name].as_str() {
            let _ = writeln!(out, "  {label}: {}", visible_line(text));
        }
    }
    for name in ["warning", "error"] {
        if let Some(text) = said[name].as_str() {
            let _ = writeln!(out, "  ! {}", visible_line(text));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stopped_is_said_in_words() {
        let said = json!({"mode": "tool_calls", "set_by": "a", "set_at": "2026-01-01T00:00:00Z", "reason": "x\u{1b}[2J", "stored": false, "warning": "not kept"});
        let text = in_words(&said);
        assert!(
            text.starts_with("All tool calls are stopped.\n  since: 2026-01-01T00:00:00Z\n  set by: a\n"),
            "{text}"
        );
        assert!(text.ends_with("  ! not kept\n") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(in_words(&json!({"mode": "off", "stored": true})), "Nothing is stopped.\n");
    }
}
