//! Inspect, which evaluates models that use tools.

use std::collections::BTreeMap;

use luthien_wire::Dialect;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::WITHIN;
use crate::places;
use crate::process::{clean, finish};

/// Lets Inspect solve one small task, with a tool, by each of these models, as a client of the dialect. How each evaluation
/// went, by the dialect's name and the model's: `{"status", "accuracy", "said", "tools", "tokens"}`.
pub async fn inspect(base: &str, models: &[(Dialect, String)]) -> BTreeMap<String, Value> {
    let home = TempDir::new().expect("a temporary folder");
    let mut command = clean(&places::peer("inspect/bin/python"), home.path());
    command.arg(places::script("inspect/ask.py"));
    let models: Vec<_> =
        models.iter().map(|(dialect, name)| json!({"dialect": dialect.name(), "name": name})).collect();
    let input = json!({"base": base, "models": models});
    let run = finish(command, input.to_string().as_bytes(), WITHIN).await;
    assert_eq!(run.code, Some(0), "Inspect ended badly: {}", run.stderr);
    serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("Inspect printed no JSON ({error}): {}", run.stdout))
}
