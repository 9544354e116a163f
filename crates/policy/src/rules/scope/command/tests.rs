//! The command in the arguments of the shell tools that agents have.

use rstest::rstest;
use serde_json::{Value, json};

use super::{argv, of};
use crate::scripted::call;

#[rstest]
#[case("Bash", json!({"command": "ls -l", "description": "look"}), Some("ls -l"))]
#[case("BASH", json!({"command": "ls"}), Some("ls"))]
#[case("exec_command", json!({"cmd": "ls", "workdir": "/"}), Some("ls"))]
#[case("local_shell", json!({"type": "exec", "command": ["bash", "-lc", "ls it's"]}), Some(r"bash -lc 'ls it'\''s'"))]
#[case("shell", json!({"commands": ["cd /", "rm x"]}), Some("cd /\nrm x"))]
#[case("shell", json!({"command": ["rm -rf /"]}), Some("rm -rf /"))]
#[case("shell", json!("ls"), Some("ls"))]
#[case("exec_command", json!({"command": "ls", "cmd": "rm x"}), Some("ls\nrm x"))]
#[case("Bash", json!({"timeout": 3}), None)]
#[case("Bash", json!({"command": [1]}), None)]
#[case("Read", json!({"command": "ls"}), None)]
fn commands(#[case] tool: &str, #[case] arguments: Value, #[case] command: Option<&str>) {
    assert_eq!(of(&call(tool, arguments)).as_deref(), command);
}

#[test]
fn a_program_with_its_arguments_is_read_by_no_shell() {
    let words = |arguments: Value| argv(&call("shell", arguments));
    assert_eq!(words(json!({"command": ["echo", "$(id)"]})), Some(vec!["echo".to_owned(), "$(id)".to_owned()]));
    assert_eq!(words(json!({"command": ["a", "b"], "cmd": "c"})), None);
    assert_eq!(words(json!({"command": "echo x"})), None);
    assert_eq!(words(json!({"commands": ["a", "b"]})), None);
}
