//! `branch`: which policies apply is decided by the request.

mod condition;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalogue::{LoadError, Loading, PolicySpec};
use crate::rules::When;
use crate::tree::{Condition, Tree};

/// The configuration of `branch`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Conditions with their policies, in order. The first whose condition holds for the request is taken.
    branches: Vec<Case>,
    /// The policy where none holds; without it everything passes.
    #[serde(default)]
    default: Option<PolicySpec>,
}

/// A condition and its policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Case {
    /// When it is taken.
    when: Said,
    /// What applies then.
    policy: PolicySpec,
}

/// A condition as configuration says it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected an expression in CEL, or a condition of luthien_control's")]
enum Said {
    /// An expression in CEL about the request.
    Expression(String),
    /// A condition as luthien_control writes it.
    Imported(Map<String, Value>),
}

/// The configuration of luthien_control's `BranchingPolicy`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Controls {
    /// Conditions, each as JSON text, with their policies.
    #[serde(default)]
    cond_to_policy_map: Map<String, Value>,
    #[serde(default)]
    default_policy: Option<Value>,
}

/// Branches in order. All that is wrong in any of them is reported at once.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    if loading.class == "BranchingPolicy" && !loading.has("branches") {
        return controls(loading);
    }
    let Config { branches, default } = loading.read()?;
    let mut problems = Vec::new();
    let mut cases = Vec::new();
    for (at, Case { when, policy }) in branches.iter().enumerate() {
        let at = at.to_string();
        let condition: Result<Arc<dyn Condition>, LoadError> = match when {
            Said::Expression(source) => match When::compile(source) {
                Ok(when) => Ok(Arc::new(when)),
                Err(why) => Err(loading.refuse(&["branches", &at, "when"], why)),
            },
            Said::Imported(json) => imported(loading, &["branches", &at, "when"], &Value::Object(json.clone())),
        };
        let tree = loading.one_at(&["branches", &at, "policy"], policy);
        match (condition, tree) {
            (Ok(condition), Ok(tree)) => cases.push((condition, tree)),
            (condition, tree) => {
                problems.extend(condition.err().into_iter().chain(tree.err()).flat_map(|error| error.problems));
            }
        }
    }
    let default = match default.map(|spec| loading.one("default", &spec)).transpose() {
        Ok(default) => default.unwrap_or_else(Tree::none),
        Err(error) => {
            problems.extend(error.problems);
            Tree::none()
        }
    };
    if problems.is_empty() { Ok(Tree::Branch(cases, Box::new(default))) } else { Err(LoadError { problems }) }
}

fn imported(loading: &Loading<'_>, field: &[&str], json: &Value) -> Result<Arc<dyn Condition>, LoadError> {
    match condition::Imported::read(json) {
        Ok(condition) => Ok(Arc::new(condition)),
        Err((path, why)) => {
            let path: Vec<&str> = field.iter().copied().chain(path.iter().map(String::as_str)).collect();
            Err(loading.refuse(&path, why))
        }
    }
}

fn controls(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    const MAP: &str = "cond_to_policy_map";
    let Controls { cond_to_policy_map, default_policy } = loading.read()?;
    let mut cases = Vec::new();
    for (text, policy) in &cond_to_policy_map {
        let json: Value =
            serde_json::from_str(text).map_err(|error| loading.refuse(&[MAP, text], format!("not JSON: {error}")))?;
        let condition = imported(loading, &[MAP, text], &json)?;
        cases.push((condition, loading.one_at(&[MAP, text], &spec(loading, &[MAP, text], policy)?)?));
    }
    let default = match default_policy.filter(|policy| !policy.is_null()) {
        Some(policy) => loading.one("default_policy", &spec(loading, &["default_policy"], &policy)?)?,
        None => Tree::none(),
    };
    Ok(Tree::Branch(cases, Box::new(default)))
}

/// A policy as luthien_control writes it: its fields stand beside its type, or in `config`.
fn spec(loading: &Loading<'_>, field: &[&str], policy: &Value) -> Result<PolicySpec, LoadError> {
    let mut policy = policy.clone();
    if let Value::Object(object) = &mut policy
        && object.contains_key("type")
        && !object.contains_key("config")
    {
        let class = object.shift_remove("type").unwrap_or_default();
        let config = Value::Object(std::mem::take(object));
        policy = serde_json::json!({"type": class, "config": config});
    }
    serde_json::from_value(policy).map_err(|error| loading.refuse(field, error.to_string()))
}

#[cfg(test)]
mod tests;
