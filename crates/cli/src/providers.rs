//! `luthien providers`: where policies ask judges by name, through the gateway that runs.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin_client::AdminClient;
use crate::args::{ProvidersArgs, ProvidersCommand};
use crate::credentials::in_path;
use crate::failure::Failure;
use crate::output::print;
use crate::terminal::visible_line;

const ROUTE: &str = "/api/admin/inference-providers";

/// Runs the command.
pub(crate) async fn run(args: ProvidersArgs) -> Result<ExitCode, Failure> {
    let client = AdminClient::find(&args.record).await?;
    let (told, done) = match args.command {
        Some(ProvidersCommand::Add(new)) => {
            let config = new.base_url.map_or_else(|| json!({}), |url| json!({"base_url": url}));
            let body = json!({
                "name": new.name, "backend_type": new.backend, "credential_name": new.credential,
                "default_model": new.model, "config": config, "created_by": "luthien",
            });
            (client.post(ROUTE, &body).await?, "is set up")
        }
        Some(ProvidersCommand::Remove { name }) => {
            (client.delete(&format!("{ROUTE}/{}?removed_by=luthien", in_path(&name)?)).await?, "is removed")
        }
        Some(ProvidersCommand::List) | None => (client.get(ROUTE).await?, ""),
    };
    print(&if args.json { format!("{told:#}\n") } else { in_words(&told, done) })?;
    Ok(ExitCode::SUCCESS)
}

fn in_words(told: &Value, done: &str) -> String {
    let Some(all) = told["providers"].as_array() else {
        return format!("{} {done}.\n", visible_line(told["name"].as_str().unwrap_or_default()));
    };
    if all.is_empty() {
        return "There is no inference provider. `luthien providers add NAME --backend TYPE` sets one up.\n".to_owned();
    }
    let mut out = String::new();
    for one in all {
        let text = |name: &str| visible_line(one[name].as_str().unwrap_or("-"));
        let place =
            one["config"]["base_url"].as_str().map(|url| format!("  {}", visible_line(url))).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "{}  {}  model {}  credential {}{place}",
            text("name"),
            text("backend_type"),
            text("default_model"),
            text("credential_name")
        );
        if one["problem"].is_string() {
            let _ = writeln!(out, "  ! {}", text("problem"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_told_of_in_words() {
        let told = json!({"providers": [{"name": "small", "backend_type": "chat", "default_model": null, "credential_name": "key",
            "config": {"base_url": "http://x"}, "problem": "the credential `key` is not stored"}]});
        let text = in_words(&told, "");
        assert_eq!(text, "small  chat  model -  credential key  http://x\n  ! the credential `key` is not stored\n");
        assert_eq!(in_words(&json!({"success": true, "name": "small"}), "is set up"), "small is set up.\n");
    }
}
