//! The schema that is written down is the one of the types, and the documented examples are messages.

use std::path::{Path, PathBuf};

use rstest::rstest;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;

fn file(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..").join(name)
}

#[test]
fn the_written_schema_is_that_of_the_types() {
    let path = file("docs/schemas/policy-protocol-v1.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::vars().any(|(name, _)| name == "UPDATE_DOCS") {
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, generated, "{} is out of date: run the tests with UPDATE_DOCS=1", path.display());
}

/// The `n`th JSON example of the documentation.
fn example(n: usize) -> Value {
    let page = std::fs::read_to_string(file("docs/webhook.md")).unwrap();
    let block = page.split("```json\n").nth(n + 1).unwrap().split("```").next().unwrap().to_owned();
    serde_json::from_str(&block).unwrap()
}

#[test]
fn the_documented_answers_are_answers() {
    fn read<T: DeserializeOwned>(n: usize) -> T {
        serde_json::from_value(example(n)).unwrap()
    }
    read::<Description>(0);
    read::<Checked>(2);
    read::<Answer>(4);
    read::<Answer>(5);
    read::<Answer>(6);
    read::<Failure>(7);
}

#[test]
fn the_documented_questions_have_the_fields_of_questions() {
    let (config, arguments) = (json!({}), json!({}));
    let call = ToolCall { id: "", name: "", form: ToolForm::Client, arguments: Some(&arguments), unreadable: None };
    let question = Question {
        protocol: VERSION,
        transaction_id: "",
        session_id: None,
        user_id: None,
        caller: None,
        dialect: "messages",
        model: "",
        config: &config,
        request: None,
        subject: Subject::ToolCall { tool_call: call, earlier: vec![Block::Text { text: "" }] },
    };
    let question = serde_json::to_value(question).unwrap();
    let check = serde_json::to_value(Check { protocol: VERSION, config: &config }).unwrap();
    for (written, made) in [(example(3), question), (example(1), check)] {
        assert_eq!(keys(&written), keys(&made));
    }
}

/// The names of the fields of all objects but arguments and configurations, in order.
fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let inner = |(key, value): (&String, &Value)| {
                let open = matches!(key.as_str(), "arguments" | "config" | "request");
                [vec![key.clone()], if open { Vec::new() } else { keys(value) }].concat()
            };
            object.iter().flat_map(inner).collect()
        }
        Value::Array(list) => list.iter().flat_map(keys).collect(),
        _ => Vec::new(),
    }
}

#[rstest]
#[case(json!({"action": "pass", "mesage": "x"}), "mesage")]
#[case(json!({"action": "blok"}), "blok")]
#[case(json!({"action": "replace", "blocks": [{"type": "text", "text": "x", "colour": 1}]}), "colour")]
#[case(json!({"action": "replace", "blocks": [{"type": "thinking", "text": "x"}]}), "thinking")]
#[case(json!({}), "action")]
fn what_an_answer_must_not_hold_is_refused(#[case] answer: Value, #[case] named: &str) {
    let error = serde_json::from_value::<Answer>(answer).unwrap_err().to_string();
    assert!(error.contains(named), "{error}");
}
