//! The policy in force in the gateway that runs: shown, set, checked there, its history, and back to an earlier one.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use luthien_policy::catalogue::PolicySpec;
use serde_json::{Value, json};

use super::given;
use crate::admin_client::AdminClient;
use crate::args::{PolicyHistoryArgs, PolicyRollbackArgs, PolicySetArgs, PolicyValidateArgs, RunningArgs, SettingArgs};
use crate::assembly::{self, Loaded};
use crate::compare::beside;
use crate::failure::Failure;
use crate::output::{print, print_json, say};
use crate::terminal::{Palette, pad, visible, visible_line, width};
use crate::when;

/// Who changed the policy, as the gateway is told.
const BY: &str = "luthien policy";

/// What is in force, as the gateway says.
pub(super) struct Active {
    base: String,
    said: Value,
}

impl Active {
    /// As JSON, with the gateway that it is in force in.
    pub(super) fn document(&self) -> Value {
        let mut said = self.said.clone();
        said["gateway"] = json!(self.base);
        said
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        let text = |name: &str| visible_line(self.said[name].as_str().unwrap_or_default());
        let rejected = if self.said["rejected"].is_null() { "" } else { ", REJECTED" };
        let mode = if self.said["mode"] == "enforce" { String::new() } else { format!(", mode {}", text("mode")) };
        format!(
            "In force at {}: {} (version {}, set by {}{mode}{rejected})\n",
            self.base,
            text("class_ref"),
            self.said["version"],
            text("enabled_by")
        )
    }
}

/// What is in force in the gateway that runs; none if none runs. Why it does not say is told.
pub(super) async fn current(running: &RunningArgs) -> Option<Active> {
    let loaded = Loaded::for_keeping(&running.record()).ok()?;
    let asked = match AdminClient::running(&loaded).await {
        Ok(None) => return None,
        Ok(Some(client)) => ask(&client).await,
        Err(failure) => Err(failure),
    };
    asked.inspect_err(|failure| say(&format!("luthien: a gateway runs, but not what is in force: {failure}"))).ok()
}

async fn ask(client: &AdminClient) -> Result<Active, Failure> {
    Ok(Active { base: client.base().to_owned(), said: client.get("/api/admin/policy/current").await? })
}

/// Prints the policy in force: in the gateway that runs, else as the files have it for the next start.
pub(super) async fn show(running: &RunningArgs) -> Result<ExitCode, Failure> {
    if let Some(active) = current(running).await {
        if running.json {
            print_json(&active.document())?;
        } else {
            print(&format!("{}\n{}", active.line(), visible(&yaml(&active.said)?)))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = Loaded::for_keeping(&running.record())?;
    let found = loaded.policy_of_files()?;
    if running.json {
        print_json(
            &json!({"gateway": null, "file": found.as_ref().map(|(_, origin)| origin), "policy": found.as_ref().map(|(spec, _)| spec)}),
        )?;
    } else {
        print(&match found {
            Some((spec, origin)) => {
                let origin = visible_line(&origin);
                format!(
                    "No gateway runs. {origin} says, unless the database holds another (POLICY_SOURCE):\n\n{}",
                    visible(&yaml(&json!({"class_ref": spec.class, "config": spec.config, "mode": spec.mode}))?)
                )
            }
            None => "No gateway runs, and no file names a policy.\n".to_owned(),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets a policy and says what changed.
pub(super) async fn set(args: &PolicySetArgs) -> Result<ExitCode, Failure> {
    let spec = given::spec(&args.given)?;
    let client = AdminClient::find(&args.running.record()).await?;
    let before = client.get("/api/admin/policy/current").await?;
    let route = if args.dry_run { "/api/admin/policy/validate" } else { "/api/admin/policy/set" };
    let done = client.post(route, &order(&spec)).await?;
    if done["success"] != true {
        return refused(&done, args.running.json);
    }
    let after = if args.dry_run {
        json!({"class_ref": spec.class, "config": spec.config, "mode": spec.mode})
    } else {
        client.get("/api/admin/policy/current").await?
    };
    changed(&before, &after, args.dry_run, args.running.json)
}

/// Says whether a policy would load: in the gateway that runs, else in one with these settings.
pub(super) fn validate(args: &PolicyValidateArgs) -> Result<ExitCode, Failure> {
    let spec = given::spec(&args.given)?;
    let asked = assembly::runtime(Some(1))?.block_on(async {
        let loaded = Loaded::for_keeping(&args.running.record())?;
        match AdminClient::running(&loaded).await? {
            Some(client) => client.post("/api/admin/policy/validate", &order(&spec)).await.map(Some),
            None => Ok(None),
        }
    })?;
    let (fine, message) = match asked {
        Some(done) if done["success"] == true => (true, "the gateway that runs would load it".to_owned()),
        Some(done) => return refused(&done, args.running.json),
        None => {
            let loaded = Loaded::new(&SettingArgs::default())?;
            match loaded.load(&spec) {
                Ok(_) => (true, "it would load (no gateway runs; tried here)".to_owned()),
                Err(failure) => (false, failure.to_string()),
            }
        }
    };
    if args.running.json {
        print_json(&json!({"success": fine, "message": message, "validation_errors": []}))?;
    } else if fine {
        print(&format!("The policy is fine: {message}.\n"))?;
    } else {
        return Err(Failure::new(message));
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints which policies were in force.
pub(super) async fn history(args: &PolicyHistoryArgs) -> Result<ExitCode, Failure> {
    let client = AdminClient::find(&args.running.record()).await?;
    let said = client.get(&format!("/api/admin/policy/history?limit={}", args.limit)).await?;
    if args.running.json {
        print_json(&said)?;
        return Ok(ExitCode::SUCCESS);
    }
    let entries = said["history"].as_array().cloned().unwrap_or_default();
    let mut out = String::new();
    for entry in &entries {
        let text = |name: &str| visible_line(entry[name].as_str().unwrap_or_default());
        let mode = if entry["mode"] == "enforce" { String::new() } else { format!("  {}", text("mode")) };
        let at = local(entry["enabled_at"].as_str());
        let version = entry["version"].to_string();
        let _ = writeln!(out, "{version:>5}  {at}  {}  by {}{mode}", pad(&text("class_ref"), 24), text("enabled_by"));
    }
    if entries.is_empty() {
        out.push_str("No policy was ever set here.\n");
    } else {
        out.push_str("`luthien policy rollback VERSION` puts one in force again.\n");
    }
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// Puts an earlier policy in force again and says what changed.
pub(super) async fn rollback(args: &PolicyRollbackArgs) -> Result<ExitCode, Failure> {
    let client = AdminClient::find(&args.running.record()).await?;
    let before = client.get("/api/admin/policy/current").await?;
    let order = json!({"version": args.version, "enabled_by": BY});
    let done = client.post("/api/admin/policy/rollback", &order).await?;
    if done["success"] != true {
        return refused(&done, args.running.json);
    }
    let after = client.get("/api/admin/policy/current").await?;
    changed(&before, &after, false, args.running.json)
}

fn order(spec: &PolicySpec) -> Value {
    json!({"policy_class_ref": spec.class, "config": spec.config, "mode": spec.mode, "enabled_by": BY})
}

/// What the gateway has against a policy.
fn refused(done: &Value, as_json: bool) -> Result<ExitCode, Failure> {
    if as_json {
        print_json(done)?;
        return Ok(ExitCode::FAILURE);
    }
    let mut text = done["message"].as_str().unwrap_or("nothing was changed").to_owned();
    let wrong: Vec<&Value> = done["validation_errors"].as_array().into_iter().flatten().collect();
    for problem in &wrong {
        let place: Vec<&str> = problem["loc"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let _ = write!(text, "\n  {}: {}", place.join("."), problem["msg"].as_str().unwrap_or_default());
    }
    if let (true, Some(error)) = (wrong.is_empty(), done["error"].as_str()) {
        let _ = write!(text, ": {error}");
    }
    Err(Failure::new(format!("{}\n(`luthien policy show NAME` explains a policy with its fields)", visible(&text))))
}

/// Says what a change changed.
fn changed(before: &Value, after: &Value, dry: bool, as_json: bool) -> Result<ExitCode, Failure> {
    if as_json {
        print_json(&json!({"success": true, "dry_run": dry, "before": before, "after": after}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (old, new) = (yaml(before)?, yaml(after)?);
    let mut out = String::new();
    if old == new {
        out.push_str(if dry { "Nothing would change.\n" } else { "It was in force already.\n" });
    } else {
        for line in beside(old.trim_end(), new.trim_end(), width(), Palette::for_stdout()) {
            let _ = writeln!(out, "{line}");
        }
        out.push('\n');
    }
    if dry {
        out.push_str("It would load; nothing was changed.\n");
    } else {
        let class = visible_line(after["class_ref"].as_str().unwrap_or_default());
        let _ = writeln!(out, "In force: {class} (version {}).", after["version"]);
    }
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// Class, configuration and mode as they would stand in a file.
fn yaml(policy: &Value) -> Result<String, Failure> {
    let mut document = json!({"class": policy["class_ref"], "config": policy["config"]});
    if policy["mode"] != "enforce" {
        document["mode"] = policy["mode"].clone();
    }
    serde_saphyr::to_string(&document).map_err(|e| Failure::new(format!("cannot write the policy: {e}")))
}

/// A time of the gateway's in this machine's zone.
fn local(at: Option<&str>) -> String {
    let at: Option<Timestamp> = at.and_then(|at| at.parse().ok());
    at.map_or_else(|| "-".to_owned(), |at| when::second(at, &TimeZone::system()))
}
