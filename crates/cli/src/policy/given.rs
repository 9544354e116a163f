//! A policy as the command line is given it: a file, the standard input, or a name.

use std::io::Read as _;
use std::path::Path;

use luthien_gateway::settings::DEFINITIONS;
use luthien_policy::catalogue::{self, PolicySpec};
use serde_json::{Map, Value, json};

use crate::args::PolicyGiven;
use crate::failure::Failure;
use crate::terminal::visible_line;

/// The policy that is meant.
pub(crate) fn spec(given: &PolicyGiven) -> Result<PolicySpec, Failure> {
    let mut policy = of_word(&given.policy)?;
    if let Some(config) = &given.config {
        let config: Value = serde_saphyr::from_str(config)
            .map_err(|e| Failure::new(format!("--config is neither JSON nor YAML: {e}")))?;
        policy.insert("config".to_owned(), config);
    }
    if let Some(mode) = &given.mode {
        policy.insert("mode".to_owned(), json!(mode));
    }
    serde_json::from_value(Value::Object(policy))
        .map_err(|e| Failure::new(format!("{} is not written as a policy: {e}", visible_line(&given.policy))))
}

/// Its class, configuration and mode, as they are written.
fn of_word(given: &str) -> Result<Map<String, Value>, Failure> {
    let text = if given == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text
    } else if Path::new(given).is_file() {
        std::fs::read_to_string(given).map_err(|e| Failure::new(format!("cannot read {}: {e}", visible_line(given))))?
    } else if catalogue::listed(given).is_some() {
        return Ok([("class".to_owned(), json!(given))].into_iter().collect());
    } else {
        let names: Vec<&str> = catalogue::list().iter().map(|listing| listing.name).collect();
        let close = similar::get_close_matches(given, &names, 1, 0.6);
        let close = close.first().map_or_else(String::new, |close| format!("; did you mean `{close}`?"));
        return Err(Failure::new(format!(
            "{} is neither a file nor a policy{close} (`luthien policy list` names them)",
            visible_line(given)
        )));
    };
    document(&text).map_err(|why| Failure::new(format!("{}: {why}", visible_line(given))))
}

/// The policy in the text of a luthien.yaml or a policy file.
pub(crate) fn document(text: &str) -> Result<Map<String, Value>, String> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let read: Value = serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string())?;
    let policy = match read.get("policy") {
        Some(Value::Object(section)) => {
            // The section of a settings file also holds settings.
            let setting = |name: &str| DEFINITIONS.iter().any(|other| other.path.strip_prefix("policy.") == Some(name));
            section.iter().filter(|(name, _)| !setting(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
        }
        Some(_) => return Err("its `policy` is no policy".to_owned()),
        None => read.as_object().cloned().unwrap_or_default(),
    };
    if policy.contains_key("class") || policy.contains_key("type") {
        Ok(policy)
    } else {
        Err("it holds no policy: `class`, and `config` if it takes one".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_found_in_settings_and_in_policy_files() {
        for text in [
            "policy: { class: guard, config: {}, source: file }",
            "class: guard\nconfig: {}",
            "{\"policy\": {\"class\": \"guard\", \"config\": {}}}",
        ] {
            let policy = document(text).unwrap();
            assert_eq!(Value::Object(policy), json!({"class": "guard", "config": {}}), "{text}");
        }
        assert!(document("server: { port: 1 }").unwrap_err().contains("holds no policy"));
        assert!(document("[").is_err());
    }

    #[test]
    fn a_name_takes_a_configuration_and_a_mode() {
        let given = |policy: &str, config: &str| PolicyGiven {
            policy: policy.to_owned(),
            config: Some(config.to_owned()),
            mode: Some("shadow".to_owned()),
        };
        let policy = spec(&given("tool_call_judge", "{\"probability_threshold\": 0.7}")).unwrap();
        assert_eq!(
            (policy.class.as_str(), &policy.config),
            ("tool_call_judge", &json!({"probability_threshold": 0.7}))
        );
        let close = spec(&given("tool_cal_judge", "{}")).unwrap_err().to_string();
        assert!(close.contains("did you mean `tool_call_judge`?"), "{close}");
    }
}
