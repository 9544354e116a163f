//! What an older database holds beside its calls: the policy that is set, users' names, and what is not imported.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::source::{Row, Source};
use super::{OlderError, json, times};

/// A policy as an older proxy had it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OlderPolicy {
    /// Its name, where it had one.
    pub name: Option<String>,
    /// The class, by the older proxy's name for it.
    pub class_ref: String,
    /// Its configuration.
    pub config: Value,
    /// It was in force.
    pub active: bool,
    /// Since when, where that is known.
    pub enabled_at: Option<Timestamp>,
    /// By whom, where that is known.
    pub enabled_by: Option<String>,
}

/// A table that is not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// Why, and what to do.
    pub why: &'static str,
}

/// What is not taken over, and why.
const REASONS: [(&str, &str); 10] = [
    ("auth_config", "set AUTH_MODE instead; clients bring their credentials as before"),
    ("server_credentials", "--with-settings takes them over"),
    ("inference_providers", "--with-settings takes them over"),
    (
        "gateway_config",
        "--with-settings takes over those that can be changed while running; set the others in the environment or in luthien.yaml",
    ),
    ("request_logs", "raw HTTP logs are not part of the record; the bodies are in the calls"),
    ("policy_events", "an early version's; what policies said is in the calls' events"),
    ("conversation_judge_decisions", "an early version's; what judges said is in the calls' events"),
    ("debug_logs", "written for debugging"),
    ("telemetry_config", "there is no telemetry"),
    ("session_summaries", "made anew from the calls"),
];

/// Tables that are imported, or have nothing of the operator's.
const OTHERS: [&str; 5] = ["conversation_calls", "conversation_events", "current_policy", "user_labels", "_migrations"];

pub(super) async fn policy(source: &mut Source) -> Result<Option<OlderPolicy>, OlderError> {
    if !source.has("current_policy", &["policy_class_ref"]) {
        return Ok(None);
    }
    let columns = ["policy_class_ref", "config", "enabled_at", "enabled_by"];
    let rows = source.select("current_policy", &columns, "WHERE id = 1", &[]).await?;
    let Some([Some(class_ref), config, at, by]) = rows.into_iter().next().and_then(texts) else { return Ok(None) };
    Ok(Some(OlderPolicy {
        name: None,
        class_ref,
        config: config.as_deref().map_or_else(|| Value::Object(serde_json::Map::new()), json),
        active: true,
        enabled_at: at.as_deref().and_then(times::time),
        enabled_by: by,
    }))
}

pub(super) async fn control_policies(source: &mut Source) -> Result<Vec<OlderPolicy>, OlderError> {
    let columns = ["name", "type", "config", "is_active", "updated_at"];
    let rows = source.select("policies", &columns, "ORDER BY name", &[]).await?;
    let policy = |row| {
        let [name, class, config, active, at]: [Option<String>; 5] = texts(row)?;
        Some(OlderPolicy {
            name,
            class_ref: class?,
            config: config.as_deref().map_or(Value::Null, json),
            active: active.is_some_and(|active| matches!(active.as_str(), "1" | "t" | "true")),
            enabled_at: at.as_deref().and_then(times::time),
            enabled_by: None,
        })
    };
    Ok(rows.into_iter().filter_map(policy).collect())
}

pub(super) async fn labels(source: &mut Source) -> Result<Vec<(String, String)>, OlderError> {
    if !source.has("user_labels", &["user_id", "display_name"]) {
        return Ok(Vec::new());
    }
    let rows = source.select("user_labels", &["user_id", "display_name"], "ORDER BY user_id", &[]).await?;
    let label = |row| match texts(row)? {
        [Some(user), Some(name)] => Some((user, name)),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(label).collect())
}

pub(super) async fn left_out(source: &mut Source) -> Result<Vec<LeftOut>, OlderError> {
    let tables: Vec<String> = source.tables().into_iter().map(str::to_owned).collect();
    let mut out = Vec::new();
    for table in tables {
        // Search indexes keep tables of their own beside them.
        let plain = table.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !plain || table.contains("_fts") || table.starts_with("sqlite_") || OTHERS.contains(&table.as_str()) {
            continue;
        }
        let rows = source.count(&table, "").await?;
        let why = REASONS.iter().find(|(name, _)| *name == table).map_or("unknown here", |(_, why)| why);
        if rows > 0 {
            out.push(LeftOut { table, rows, why });
        }
    }
    Ok(out)
}

/// A row's texts, if there are so many.
pub(super) fn texts<const N: usize>(row: Row) -> Option<[Option<String>; N]> {
    let row: [Option<Vec<u8>>; N] = row.try_into().ok()?;
    Some(row.map(|value| value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())))
}
