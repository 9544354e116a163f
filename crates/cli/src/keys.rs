//! `luthien keys`: the keys that clients are given.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::admin_client::AdminClient;
use crate::args::{KeysCommand, KeysCreateArgs, PolicyGiven};
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::policy;
use crate::terminal::{pad, visible_line};
use crate::when;

const ROUTE: &str = "/api/admin/client-keys";

/// Who made or ended a key, as the gateway is told.
const BY: &str = "luthien keys";

/// Runs the command.
pub(crate) async fn run(command: KeysCommand) -> Result<ExitCode, Failure> {
    match command {
        KeysCommand::List { all, running } => {
            let said = AdminClient::find(&running.record()).await?.get(ROUTE).await?;
            let keys: Vec<&Value> =
                said["client_keys"].as_array().into_iter().flatten().filter(|key| all || holds(key)).collect();
            if running.json {
                print_json(&json!({"client_keys": keys, "count": keys.len()}))?;
            } else {
                print(&table(&keys, all))?;
            }
        }
        KeysCommand::Create(args) => create(&args).await?,
        KeysCommand::Show { key, running } => {
            let client = AdminClient::find(&running.record()).await?;
            let found = find(&client, &key).await?;
            if running.json { print_json(&found)? } else { print(&in_words(&found))? }
        }
        KeysCommand::Revoke { key, running } => {
            let client = AdminClient::find(&running.record()).await?;
            let id = find(&client, &key).await?["id"].as_str().unwrap_or_default().to_owned();
            let by = BY.replace(' ', "%20");
            let said = client.delete(&format!("{ROUTE}/{id}?revoked_by={by}")).await?;
            if running.json {
                print_json(&said)?;
            } else {
                print(&format!("The key {id} lets nobody in any more.\n"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: &KeysCreateArgs) -> Result<(), Failure> {
    let order = order(args)?;
    let client = AdminClient::find(&args.running.record()).await?;
    let said = client.post(ROUTE, &order).await?;
    let key = said["api_key"].as_str().unwrap_or_default();
    if args.running.json {
        return print_json(&said);
    }
    if args.quiet {
        return print(&format!("{key}\n"));
    }
    print(&format!(
        "{key}\n\nThis is the only time that the key is shown; the gateway keeps a hash of it.\n{}\nA client sends it as its API key, with the base URL {}.\n",
        in_words(&said),
        client.base()
    ))
}

/// What the gateway is asked for.
fn order(args: &KeysCreateArgs) -> Result<Value, Failure> {
    let mut limits = Map::new();
    for (name, value) in [("requests_per_minute", args.requests_per_minute), ("burst", args.burst)] {
        if let Some(value) = value {
            limits.insert(name.to_owned(), json!(value));
        }
    }
    for limit in &args.limits {
        let read =
            limit.split_once('=').and_then(|(name, value)| Some((name, serde_json::from_str::<Value>(value).ok()?)));
        let Some((name, value)) = read.filter(|(_, value)| value.is_number()) else {
            return Err(Failure::new(format!("--limit {} is not NAME=NUMBER", visible_line(limit))));
        };
        limits.insert(name.to_owned(), value);
    }
    let mut order = json!({"name": args.name, "created_by": BY});
    for (name, value) in [("expires_at", &args.expires_at), ("for", &args.lasting)] {
        if let Some(value) = value {
            order[name] = json!(value);
        }
    }
    if !limits.is_empty() {
        order["limits"] = Value::Object(limits);
    }
    if let Some(policy) = &args.policy {
        let given = PolicyGiven { policy: policy.clone(), config: None, mode: None };
        let spec = policy::spec(&given)?;
        order["policy"] = json!({"policy_class_ref": spec.class, "config": spec.config, "mode": spec.mode});
    }
    Ok(order)
}

/// The key of this id, of an id that begins so, or of this name among those that hold.
async fn find(client: &AdminClient, wanted: &str) -> Result<Value, Failure> {
    let said = client.get(ROUTE).await?;
    chosen(said["client_keys"].as_array().map(Vec::as_slice).unwrap_or_default(), wanted)
}

fn chosen(keys: &[Value], wanted: &str) -> Result<Value, Failure> {
    let id = |key: &Value| key["id"].as_str().unwrap_or_default().to_owned();
    if let Some(exact) = keys.iter().find(|key| id(key) == wanted) {
        return Ok(exact.clone());
    }
    let named = keys.iter().filter(|key| key["name"] == wanted && holds(key));
    let fitting: Vec<&Value> = named.chain(keys.iter().filter(|key| id(key).starts_with(wanted))).collect();
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::new(format!(
            "there is no key {}; `luthien keys list --all` has all of them",
            visible_line(wanted)
        ))),
        several => {
            let ids: Vec<String> = several.iter().map(|key| id(key)).collect();
            Err(Failure::new(format!("{} fits several keys: {}", visible_line(wanted), ids.join(", "))))
        }
    }
}

/// It lets its holder in now.
fn holds(key: &Value) -> bool {
    key["status"] == "active"
}

fn table(keys: &[&Value], all: bool) -> String {
    if keys.is_empty() {
        let hint = if all { "" } else { " that holds" };
        return format!("There is no key{hint}; `luthien keys create NAME` makes one.\n");
    }
    let text = |key: &Value, name: &str| visible_line(key[name].as_str().unwrap_or_default());
    let names = keys.iter().map(|key| text(key, "name").chars().count()).max().unwrap_or(0).min(32);
    let mut out = String::new();
    for key in keys {
        let end = match key["expires_at"].as_str() {
            Some(at) => format!("until {}", local(at)),
            None => "no end".to_owned(),
        };
        let limits = limits(key);
        let limits = if limits.is_empty() { String::new() } else { format!("  {limits}") };
        let _ = writeln!(
            out,
            "{}  {}  {}  {end}{limits}",
            text(key, "id"),
            pad(&text(key, "name"), names),
            text(key, "status")
        );
    }
    out
}

fn in_words(key: &Value) -> String {
    let mut out = String::new();
    for (name, label) in
        [("id", "id"), ("name", "name"), ("status", "status"), ("created_by", "made by"), ("revoked_by", "revoked by")]
    {
        if let Some(text) = key[name].as_str() {
            let _ = writeln!(out, "  {label:<10} {}", visible_line(text));
        }
    }
    for (name, label) in [("created_at", "made"), ("expires_at", "until"), ("revoked_at", "revoked")] {
        if let Some(at) = key[name].as_str() {
            let _ = writeln!(out, "  {label:<10} {}", local(at));
        }
    }
    let limits = limits(key);
    if !limits.is_empty() {
        let _ = writeln!(out, "  {:<10} {limits}", "limits");
    }
    if let Some(class) = key["assignment"]["class_ref"].as_str() {
        let _ = writeln!(out, "  {:<10} {}", "policy", visible_line(class));
    }
    out
}

fn limits(key: &Value) -> String {
    let limits = key["limits"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    limits
        .map(|(name, value)| format!("{} {value}", visible_line(&name.replace('_', " "))))
        .collect::<Vec<_>>()
        .join(", ")
}

fn local(at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(|_| visible_line(at), |at| when::minute(at, &TimeZone::system()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_id_its_start_or_its_name() {
        let keys = [
            json!({"id": "aa1", "name": "ann", "status": "active"}),
            json!({"id": "aa2", "name": "ann", "status": "revoked"}),
            json!({"id": "bb1", "name": "ci", "status": "active"}),
        ];
        assert_eq!(chosen(&keys, "ann").unwrap()["id"], "aa1");
        assert_eq!(chosen(&keys, "bb").unwrap()["id"], "bb1");
        assert_eq!(chosen(&keys, "aa2").unwrap()["id"], "aa2");
        assert!(chosen(&keys, "aa").unwrap_err().to_string().contains("aa1, aa2"));
        assert!(chosen(&keys, "zoe").unwrap_err().to_string().contains("keys list --all"));
    }
}
