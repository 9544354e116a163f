//! The command in the arguments of the shell tools that agents have.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use super::{effects, of};
use crate::rules::effects::Effects;
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

/// The commands that a call runs, each as its name and how many arguments it has.
fn run(tool: &str, arguments: Value) -> Vec<(String, usize)> {
    let effects = effects(&call(tool, arguments), &|command| Arc::new(Effects::of_command(command))).unwrap();
    effects.analysis().commands.iter().map(|command| (command.name.clone(), command.args.len())).collect()
}

#[rstest]
#[case::words_are_read_by_no_shell(json!({"command": ["echo", "$(id)"]}), &[("echo", 1)])]
#[case::a_text_is(json!({"command": "echo $(id)"}), &[("id", 0), ("echo", 1)])]
#[case::each_is_read_for_itself(json!({"command": "cat <<X", "cmd": "rm x"}), &[("cat", 0), ("rm", 1)])]
#[case::words_beside_a_text(json!({"command": ["a", "b"], "cmd": "c"}), &[("a", 1), ("c", 0)])]
#[case::lines(json!({"commands": ["a", "b"]}), &[("a", 0), ("b", 0)])]
fn what_is_given_is_read_as_the_tool_reads_it(#[case] arguments: Value, #[case] expected: &[(&str, usize)]) {
    let expected: Vec<_> = expected.iter().map(|(name, args)| ((*name).to_owned(), *args)).collect();
    assert_eq!(run("shell", arguments), expected);
}
