//! Templates and readable arguments.

use luthien_wire::turn::{ToolForm, Unreadable};
use serde_json::json;

use super::*;

#[test]
fn values_are_filled_in_once() {
    let values = [("tool_name", "{probability}"), ("probability", "0.875")];
    assert_eq!(fill("{tool_name}: {probability} {probability:.2f}", &values), "{probability}: 0.875 0.88");
}

#[test]
fn doubled_braces_and_unknown_names_are_text() {
    assert_eq!(fill("{{x}} {other} { } {", &[("x", "1")]), "{x} {other} { } {");
}

#[test]
fn arguments_are_indented_and_keep_their_line_breaks() {
    let call = ToolCall {
        id: String::new(),
        name: "Bash".into(),
        form: ToolForm::Client,
        raw: String::new(),
        arguments: Ok(json!({"command": "cd /\nls \\n"})),
    };
    assert_eq!(readable_arguments(&call), "{\n  \"command\": \"cd /\nls \\\\n\"\n}");
}

#[test]
fn arguments_that_are_no_json_are_shown_raw() {
    let call = ToolCall {
        id: String::new(),
        name: "Bash".into(),
        form: ToolForm::Client,
        raw: "{\"command\": \"rm".into(),
        arguments: Err(Unreadable::CutOff),
    };
    assert_eq!(readable_arguments(&call), "{\"command\": \"rm");
}

#[test]
fn long_text_is_clipped_at_a_character() {
    assert_eq!(clip("äöü!", 2), "äö… (2 more characters)");
    assert_eq!(clip("äö", 2), "äö");
}

#[test]
fn only_names_are_shown_as_names() {
    for name in ["Bash", "mcp__github-2__create_issue", "functions.run:0", "a/b"] {
        assert_eq!(tool_name(name), name);
    }
    for other in ["", "two words", "a`b", "a\nb", "größe", &"x".repeat(65)] {
        assert_eq!(tool_name(other), "(not a name)");
    }
}
