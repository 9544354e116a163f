//! `luthien claude` and `luthien codex` with stand-ins for the agents.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

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

/// Prints its arguments and the keys in its environment.
const CODEX: &str = r#"printf '<%s>' "$@"; echo; echo "$OPENAI_API_KEY $LUTHIEN_CLIENT_KEY"; exit 7"#;

#[test]
fn codex_is_not_started_at_an_older_gateway() {
    let home = Home::new();
    home.program("codex", "echo started");
    let base = other_gateway(&home, "404 Not Found");
    let run = home.luthien(&["codex", "exec", "hi"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("Responses API") && run.err.contains(&base), "{}", run.err);
}

#[test]
fn codex_is_not_started_on_a_way_around_the_gateway() {
    let home = Home::new();
    home.program("codex", "echo started");
    for around in [
        &["codex", "--oss"][..],
        &["codex", "exec", "-c=model_provider=other", "hi"],
        &["codex", "exec", "-c", "model_provider=\"openai\"", "hi"],
    ] {
        let run = home.luthien(around);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{around:?}");
        assert!(run.err.contains("would not go through the gateway"), "{}", run.err);
    }
}

#[test]
fn codex_gets_a_gateway_of_its_own_and_the_users_key() {
    let home = Home::new();
    home.program("codex", CODEX);
    let mut command = home.command(&["codex", "exec", "hi"]);
    command.env("OPENAI_API_KEY", "sk-mine");
    let run = finish(command);
    assert_eq!(run.code, 7, "{}", run.err);
    let (args, keys) = run.out.split_once('\n').unwrap();
    assert!(args.contains("<model_providers.luthien.base_url=\"http://127.0.0.1:") && args.ends_with("<exec><hi>"));
    assert!(args.contains("<model_providers.luthien.env_key=\"OPENAI_API_KEY\">"), "{args}");
    assert_eq!(keys, "sk-mine \n");
}

#[test]
fn codex_gets_the_gateway_key_where_the_user_has_none() {
    let home = Home::new();
    home.program("codex", CODEX);
    home.write("luthien.yaml", "auth: { client_api_key: lk-shared }");
    let run = home.luthien(&["codex"]);
    assert_eq!(run.code, 7, "{}", run.err);
    let (args, keys) = run.out.split_once('\n').unwrap();
    assert!(args.contains("<model_providers.luthien.env_key=\"LUTHIEN_CLIENT_KEY\">"), "{args}");
    assert_eq!(keys, " lk-shared\n");
}

#[test]
fn two_agents_share_a_gateway_until_the_last_has_ended() {
    let home = Home::new();
    // Each says that it runs and waits at a gate of its own.
    home.program("claude", r#"echo "to $ANTHROPIC_BASE_URL"; cat "$1""#);
    home.gate("first");
    home.gate("second");
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

/// A gateway of another version, as far as `luthien codex` looks at it: alive, and with this answer to an upgrade.
fn other_gateway(home: &Home, answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let status = if head.starts_with(b"GET /livez ") { "200 OK" } else { answer };
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
    });
    std::fs::create_dir(home.data()).unwrap();
    let note = json!({"address": address, "pid": 1, "version": "9.0.0", "admin_key_here": true});
    std::fs::write(home.data().join("gateway.json"), note.to_string()).unwrap();
    format!("http://{address}")
}

#[test]
fn codex_is_pointed_at_a_running_gateway() {
    let home = Home::new();
    home.program("codex", CODEX);
    let base = other_gateway(&home, "426 Upgrade Required");
    let run = home.luthien(&["codex", "exec", "hi"]);
    assert_eq!(run.code, 7, "{}", run.err);
    let expected = [
        "<-c><model_provider=\"luthien\"><-c><model_providers.luthien.name=\"Luthien\">",
        &format!("<-c><model_providers.luthien.base_url=\"{base}/v1\">"),
        "<-c><model_providers.luthien.requires_openai_auth=true>",
        "<-c><model_providers.luthien.wire_api=\"responses\"><-c><model_providers.luthien.supports_websockets=false>",
        "<exec><hi>",
    ];
    assert_eq!(run.out.lines().next(), Some(expected.concat().as_str()));
}
