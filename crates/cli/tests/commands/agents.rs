//! `luthien claude` and `luthien codex` with stand-ins for the agents.

use crate::support::{Home, Served, Talking, finish};

/// Prints its arguments and where it was told to go.
const STAND_IN: &str =
    r#"printf '<%s>' "$@"; echo; echo "to $ANTHROPIC_BASE_URL as $ANTHROPIC_API_KEY, not by proxy $NO_PROXY"; exit 7"#;

#[test]
fn a_missing_agent_comes_with_the_line_that_installs_it() {
    let home = Home::new();
    let run = home.luthien(&["claude"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("npm install -g @anthropic-ai/claude-code"), "{}", run.err);
    assert!(home.luthien(&["codex"]).err.contains("npm install -g @openai/codex"));
}

#[test]
fn an_agent_gets_arguments_credential_and_a_gateway_of_its_own() {
    let home = Home::new();
    home.program("claude", STAND_IN);
    let mut command = home.command(&["claude", "-p", "say hi", "--", "--version"]);
    command.env("ANTHROPIC_API_KEY", "sk-mine").env("NO_PROXY", "intranet");
    let run = finish(command);
    assert_eq!(run.code, 7, "{}", run.err);
    let mut lines = run.out.lines();
    assert_eq!(lines.next(), Some("<-p><say hi><--><--version>"));
    let told = lines.next().unwrap();
    assert!(told.starts_with("to http://127.0.0.1:") && !told.contains("/v1"), "{told}");
    assert!(told.ends_with(" as sk-mine, not by proxy intranet,127.0.0.1,localhost"), "{told}");
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    assert!(run.err.contains("luthien sessions"), "{}", run.err);
}

#[test]
fn a_running_gateway_is_used() {
    let home = Home::new();
    home.program("claude", STAND_IN);
    let served = Served::start(&home, &[]);
    let run = home.luthien(&["claude"]);
    assert_eq!(run.code, 7, "{}", run.err);
    assert!(run.out.contains(&format!("to {} as", served.base)), "{}", run.out);
    assert_eq!(served.stop(), 0);
}

#[test]
fn the_agent_is_told_of_a_signal() {
    let home = Home::new();
    home.program("claude", "trap 'exit 9' TERM; kill -TERM $PPID; while :; do sleep 0.1; done");
    let run = home.luthien(&["claude"]);
    assert_eq!(run.code, 9, "{}", run.err);
}

#[test]
fn codex_is_not_started_without_the_responses_api() {
    let home = Home::new();
    home.program("codex", "echo started");
    let run = home.luthien(&["codex", "exec", "hi"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("Responses API"), "{}", run.err);
}

#[test]
fn two_agents_share_a_gateway_until_the_last_has_ended() {
    let home = Home::new();
    // Each waits for a file of its own name and says that it runs.
    home.program("claude", r#"echo "to $ANTHROPIC_BASE_URL"; until [ -e "$1" ]; do sleep 0.05; done"#);
    let mut first = Talking::start(home.command(&["claude", "first"]));
    let to = first.out();
    let mut second = Talking::start(home.command(&["claude", "second"]));
    assert_eq!(second.out(), to);
    first.err_until("goes through");
    home.write("first", "");
    first.err_until("other agents use this gateway too");
    home.write("second", "");
    assert_eq!((second.end(), first.end()), (0, 0));
    assert!(!home.data().join("gateway.json").exists());
}
