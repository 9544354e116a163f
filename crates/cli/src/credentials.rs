//! `luthien credentials`: the gateway's own credentials, through the gateway that runs; and sealing them with another key.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

use luthien_gateway::server_credentials::{KeySource, Rotated, rotate};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::admin_client::AdminClient;
use crate::archive;
use crate::args::{AddCredential, CredentialsArgs, CredentialsCommand, RecordArgs, TypeWord};
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::output::{count, print, say};
use crate::terminal::visible_line;

const ROUTE: &str = "/api/admin/credentials";

/// The most that is read of a value, in bytes: more is none.
const LARGEST: u64 = 64 << 10;

/// Runs the command.
pub(crate) async fn run(args: CredentialsArgs) -> Result<ExitCode, Failure> {
    let told = match args.command {
        Some(CredentialsCommand::RotateKey) => return seal_anew(&args.record, args.json).await,
        Some(CredentialsCommand::Add(new)) => add(&args.record, &new).await?,
        Some(CredentialsCommand::Remove { name, force }) => {
            let path = format!("{ROUTE}/{}?removed_by=luthien&force={force}", in_path(&name)?);
            AdminClient::find(&args.record).await?.delete(&path).await?
        }
        Some(CredentialsCommand::List) | None => AdminClient::find(&args.record).await?.get(ROUTE).await?,
    };
    print(&if args.json { format!("{told:#}\n") } else { in_words(&told) })?;
    Ok(ExitCode::SUCCESS)
}

async fn add(record: &RecordArgs, new: &AddCredential) -> Result<Value, Failure> {
    // Before the value is asked for.
    let client = AdminClient::find(record).await?;
    let value = value(new.value_file.as_deref())?;
    let kind = match new.kind {
        TypeWord::ApiKey => "api_key",
        TypeWord::AuthToken => "auth_token",
    };
    let body = json!({
        "name": new.name, "value": value.expose_secret(), "credential_type": kind, "platform": new.platform,
        "platform_url": new.platform_url, "created_by": "luthien",
    });
    client.post(ROUTE, &body).await
}

/// The value: of the file, else asked for on a terminal, else read from the standard input. Never an argument, which others on this
/// machine could see.
fn value(file: Option<&Path>) -> Result<SecretString, Failure> {
    let mut text = String::new();
    match file {
        Some(path) if path != Path::new("-") => {
            let unread = |e| Failure::new(format!("cannot read {}: {e}", path.display()));
            let file = std::fs::File::open(path).map_err(unread)?;
            file.take(LARGEST).read_to_string(&mut text).map_err(unread)?;
        }
        None if std::io::stdin().is_terminal() => {
            let asked = dialoguer::Password::new().with_prompt("Value (not shown)").interact();
            return asked.map(SecretString::from).map_err(|e| Failure::new(format!("no value was given: {e}")));
        }
        _ => {
            std::io::stdin().take(LARGEST).read_to_string(&mut text)?;
        }
    }
    Ok(SecretString::from(text))
}

/// A name as it stands in a path; one that cannot be a name is refused here.
pub(crate) fn in_path(name: &str) -> Result<&str, Failure> {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-:@".contains(c);
    if name.is_empty() || name == "." || name == ".." || !name.chars().all(known) {
        return Err(Failure::new(format!(
            "{} is no name: names have letters, digits and . _ - : @",
            visible_line(name)
        )));
    }
    Ok(name)
}

async fn seal_anew(record: &RecordArgs, json: bool) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_keeping(record)?;
    let Some(store) = archive::open_loaded(&loaded).await? else {
        return Err(Failure::new("there is no database yet, and so no credential"));
    };
    let source = loaded.key_source();
    let done = rotate(&store, &source).await;
    store.close().await;
    let rotated = done.map_err(|e| Failure::new(e.to_string()))?;
    for (name, why) in &rotated.unreadable {
        say(&format!("luthien: {} was left as it is: {why}", visible_line(name)));
    }
    let of_file = matches!(source, KeySource::File(_));
    print(&if json { format!("{:#}\n", json!(rotated)) } else { how_it_went(&rotated, of_file) })?;
    Ok(if rotated.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn how_it_went(rotated: &Rotated, of_file: bool) -> String {
    let sealed = count(rotated.resealed as u64, "credential");
    let mut out = format!("{sealed} sealed anew; the key's fingerprint is {}.\n", rotated.key_id);
    match (of_file, rotated.spent.is_empty()) {
        (true, _) => out.push_str("The old key is gone from credentials.key: keep it with backups from before, which need it.\n"),
        (false, false) => {
            let spent = rotated.spent.join(", ");
            let _ = writeln!(
                out,
                "Once every gateway on this database has the new key in front, the others may go out of CREDENTIAL_ENCRYPTION_KEY \
                 (fingerprints {spent}); backups from before need them."
            );
        }
        (false, true) => out.push_str(
            "CREDENTIAL_ENCRYPTION_KEY holds one key. To change it, put the new one in front of it, with a comma between, and run this again.\n",
        ),
    }
    out
}

fn in_words(told: &Value) -> String {
    let Some(all) = told["credentials"].as_array() else {
        let name = visible_line(told["name"].as_str().unwrap_or_default());
        return match told["replaced"].as_bool() {
            Some(true) => format!("{name} is stored in place of the old one.\n"),
            Some(false) => format!("{name} is stored.\n"),
            None => format!("{name} is removed.\n"),
        };
    };
    if all.is_empty() {
        return "No credential is stored. `luthien credentials add NAME` stores one.\n".to_owned();
    }
    let mut out = String::new();
    for one in all {
        let text = |name: &str| visible_line(one[name].as_str().unwrap_or("-"));
        let only = one["platform_url"].as_str().map(|url| format!(" at {}", visible_line(url))).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "{}  {}{only}  {}  {}",
            text("name"),
            text("platform"),
            text("credential_type"),
            text("updated_at")
        );
        let users: Vec<String> =
            one["used_by"].as_array().into_iter().flatten().filter_map(Value::as_str).map(visible_line).collect();
        if !users.is_empty() {
            let _ = writeln!(out, "  used by {}", users.join(", "));
        }
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
    fn credentials_are_told_of_without_what_a_terminal_would_obey() {
        let told = json!({"credentials": [{"name": "a", "platform": "local", "platform_url": "http://x", "credential_type": "api_key",
            "updated_at": "2026-01-01T00:00:00Z", "used_by": ["upstream u\u{1b}"], "problem": "it is damaged"}]});
        let text = in_words(&told);
        assert!(
            text.starts_with("a  local at http://x  api_key  2026-01-01T00:00:00Z\n  used by upstream u\u{241b}\n"),
            "{text}"
        );
        assert!(text.ends_with("  ! it is damaged\n"), "{text}");
        assert_eq!(
            in_words(&json!({"success": true, "name": "a", "replaced": true})),
            "a is stored in place of the old one.\n"
        );
        assert_eq!(in_words(&json!({"success": true, "name": "a"})), "a is removed.\n");
    }

    #[test]
    fn a_name_is_none_that_would_be_another_path() {
        for wrong in ["", "..", "a/b", "a?force=true", "a b"] {
            assert!(in_path(wrong).is_err(), "{wrong}");
        }
        assert_eq!(in_path("local-key:1@x.y_z").unwrap(), "local-key:1@x.y_z");
    }

    #[test]
    fn a_rotation_says_what_has_become_of_the_old_key() {
        let rotated = Rotated { key_id: "ab".into(), resealed: 2, unreadable: Vec::new(), spent: vec!["cd".into()] };
        assert!(
            how_it_went(&rotated, true)
                .starts_with("2 credentials sealed anew; the key's fingerprint is ab.\nThe old key is gone")
        );
        assert!(how_it_went(&rotated, false).contains("(fingerprints cd)"));
        assert!(how_it_went(&Rotated { spent: Vec::new(), ..rotated }, false).contains("put the new one in front"));
    }
}
