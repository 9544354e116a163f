//! `luthien people`: who may use the admin side under a name of their own. `luthien login`: a link that logs a browser in.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin_client::AdminClient;
use crate::args::{LoginArgs, PeopleArgs, PeopleCommand};
use crate::failure::Failure;
use crate::output::print;
use crate::terminal::{pad, visible_line};

const ROUTE: &str = "/api/admin/people";

/// Runs `people`.
pub(crate) async fn run(args: PeopleArgs) -> Result<ExitCode, Failure> {
    let client = AdminClient::find(&args.record).await?;
    let (told, words) = match args.command.unwrap_or(PeopleCommand::List) {
        PeopleCommand::List => {
            let told = client.get(ROUTE).await?;
            let words = listed(&told["people"]);
            (told, words)
        }
        PeopleCommand::Add { name, role, lasts } => {
            let mut body = json!({"name": name, "role": role.name()});
            if let Some(lasts) = lasts {
                body["for"] = lasts.into();
            }
            let told = client.post(ROUTE, &body).await?;
            let words = with_token(&told);
            (told, words)
        }
        PeopleCommand::Role { name, role } => {
            let path = found(&client, &name).await?;
            let told = client.put(&path, &json!({"role": role.name()})).await?;
            let words = format!("{} is {} now.\n", text(&told, "name"), text(&told, "role"));
            (told, words)
        }
        PeopleCommand::Renew { name } => {
            let path = found(&client, &name).await?;
            let told = client.post(&format!("{path}/token"), &json!({})).await?;
            let words = with_token(&told);
            (told, words)
        }
        PeopleCommand::Remove { name } => {
            let path = found(&client, &name).await?;
            let told = client.delete(&path).await?;
            let words = format!("{} is removed.\n", text(&told["person"], "name"));
            (told, words)
        }
    };
    print(&if args.json { format!("{told:#}\n") } else { words })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `login`.
pub(crate) async fn login(args: LoginArgs) -> Result<ExitCode, Failure> {
    let client = AdminClient::find(&args.record).await?;
    let made = client.post("/api/admin/login-links", &json!({})).await?;
    let url = format!("{}{}", client.base(), made["path"].as_str().unwrap_or_default());
    print(&if args.json {
        format!("{:#}\n", json!({"url": url, "expires_at": made["expires_at"]}))
    } else {
        format!("{}\n", visible_line(&url))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The path of somebody by name or id.
async fn found(client: &AdminClient, name: &str) -> Result<String, Failure> {
    let told = client.get(ROUTE).await?;
    let people = told["people"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is =
        |one: &&Value| one["name"].as_str().is_some_and(|its| its.eq_ignore_ascii_case(name)) || one["id"] == *name;
    match people.iter().find(is).and_then(|one| one["id"].as_str()) {
        Some(id) => Ok(format!("{ROUTE}/{id}")),
        None => {
            Err(Failure::new(format!("there is nobody called {}; `luthien people` lists them", visible_line(name))))
        }
    }
}

fn text(value: &Value, name: &str) -> String {
    visible_line(value[name].as_str().unwrap_or("-"))
}

fn listed(people: &Value) -> String {
    let people = people.as_array().map(Vec::as_slice).unwrap_or_default();
    if people.is_empty() {
        return "Nobody has a token of their own; `luthien people add NAME --role viewer` makes one.\n".to_owned();
    }
    let mut out = String::new();
    for one in people {
        let until = one["expires_at"].as_str().map(|end| format!("  until {}", visible_line(end))).unwrap_or_default();
        let over = if one["status"] == "expired" { "  expired" } else { "" };
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "{}  {}  {}…{until}{over}",
            pad(&text(one, "name"), 24),
            pad(&text(one, "role"), 8),
            text(one, "start")
        );
    }
    out
}

fn with_token(told: &Value) -> String {
    format!(
        "{} ({}):\n\n  {}\n\nThis is their token, for /login and for `Authorization: Bearer`. It is not shown again.\n",
        text(told, "name"),
        text(told, "role"),
        text(told, "token")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_a_line_each() {
        let ann = json!({"name": "Ann\u{1b}[2J", "role": "admin", "start": "ltp-abcdef", "status": "expired", "expires_at": "2026-01-01T00:00:00Z"});
        let bob =
            json!({"name": "Bob", "role": "viewer", "start": "ltp-012345", "status": "active", "expires_at": null});
        let out = listed(&json!([ann, bob]));
        assert!(out.contains("ltp-abcdef…  until 2026-01-01T00:00:00Z  expired\n") && !out.contains('\u{1b}'), "{out}");
        assert!(out.ends_with("viewer    ltp-012345…\n"), "{out}");
        assert!(listed(&json!([])).contains("luthien people add"));
    }

    #[test]
    fn a_token_stands_on_a_line_of_its_own() {
        let told = with_token(&json!({"name": "Ann", "role": "admin", "token": "ltp-0"}));
        assert!(told.starts_with("Ann (admin):\n\n  ltp-0\n\n"), "{told}");
    }
}
