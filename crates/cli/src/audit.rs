//! `luthien audit`: what was done on the admin side. And the notes of commands that work on the database themselves.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use luthien_gateway::clock::Clock;
use luthien_record::Store;
use luthien_record::store::AuditEntry;
use serde_json::Value;

use crate::admin_client::AdminClient;
use crate::args::AuditArgs;
use crate::failure::Failure;
use crate::output::{print, say};
use crate::terminal::{pad, visible_line};
use crate::when;

/// Runs the command.
pub(crate) async fn run(args: AuditArgs) -> Result<ExitCode, Failure> {
    let mut path = format!("/api/admin/audit?limit={}&offset={}", args.limit, args.offset);
    for (name, value) in [("name", &args.name), ("route", &args.route), ("from", &args.from), ("to", &args.to)] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", crate::delete::step(value));
        }
    }
    let told = AdminClient::find(&args.record).await?.get(&path).await?;
    print(&if args.json { format!("{told:#}\n") } else { listed(&told, &TimeZone::system()) })?;
    Ok(ExitCode::SUCCESS)
}

fn listed(told: &Value, zone: &TimeZone) -> String {
    let entries = told["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() {
        return "Nothing was done.\n".to_owned();
    }
    let mut out = String::new();
    for entry in entries {
        let text = |name: &str| visible_line(entry[name].as_str().unwrap_or("-"));
        let at = entry["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        let at = at.map_or_else(|| text("at"), |at| when::second(at, zone));
        let status = entry["status"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "{at}  {}  {}  {} {}{status}",
            pad(&text("name"), 16),
            pad(&text("proof"), 9),
            text("method"),
            text("target")
        );
    }
    out
}

/// Notes in the record's audit log what a command did there. Where that fails it is said, and the command has done its work all the same.
pub(crate) async fn note(store: &Store, command: &str, target: &str) {
    let clock = Clock::system();
    let entry = AuditEntry {
        id: clock.transaction_id().0,
        at: clock.now(),
        name: Some(user()),
        role: None,
        proof: Some("os_user".to_owned()),
        method: "CLI".to_owned(),
        route: format!("luthien {command}"),
        target: target.chars().take(500).collect(),
        status: None,
        replica: "command line".to_owned(),
    };
    if let Err(error) = store.add_audit(&[entry]).await {
        say(&format!("luthien: this could not be noted in the audit log: {error}"));
    }
}

/// A database's place without the password in it.
pub(crate) fn without_password(place: &str) -> String {
    match place.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
        Some((scheme, Some((_, host)))) => format!("{scheme}://{}", host.split('?').next().unwrap_or_default()),
        _ => place.split('?').next().unwrap_or_default().to_owned(),
    }
}

/// The name of the system's user, as far as the system itself tells it.
fn user() -> String {
    let named = system_user().and_then(|id| name_of(&std::fs::read_to_string("/etc/passwd").ok()?, id));
    let said = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    named.or_else(said).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(unix)]
fn system_user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").ok().map(|process| process.uid())
}

#[cfg(not(unix))]
fn system_user() -> Option<u32> {
    None
}

/// The name of a user in the system's list.
fn name_of(list: &str, id: u32) -> Option<String> {
    let id = id.to_string();
    let line = list.lines().find(|line| line.split(':').nth(2) == Some(&id))?;
    line.split(':').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_a_line_each() {
        let told = json!({"entries": [
            {"at": "2026-11-20T14:05:09Z", "name": "Ann", "proof": "token", "method": "POST", "target": "/api/x\u{1b}[2J", "status": 200},
            {"at": "2026-11-20T14:05:08Z", "name": "root", "proof": "os_user", "method": "CLI", "target": "session s", "status": null},
        ]});
        let out = listed(&told, &TimeZone::UTC);
        let lines: Vec<_> = out.lines().collect();
        assert!(lines[0].starts_with("2026-11-20 14:05:09  Ann ") && lines[0].ends_with(" 200"), "{out}");
        assert!(lines[1].ends_with("os_user    CLI session s") && !out.contains('\u{1b}'), "{out}");
        assert_eq!(listed(&json!({"entries": []}), &TimeZone::UTC), "Nothing was done.\n");
    }

    #[test]
    fn a_place_is_told_without_its_password() {
        assert_eq!(without_password("postgres://a:p@ss@host/db?password=p"), "postgres://host/db");
        assert_eq!(without_password("/home/ann/local.db"), "/home/ann/local.db");
    }

    #[test]
    fn a_user_is_named_as_the_system_does() {
        let list = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!((name_of(list, 1000).as_deref(), name_of(list, 0).as_deref()), (Some("ann"), Some("root")));
        assert_eq!(name_of(list, 7), None);
    }
}
