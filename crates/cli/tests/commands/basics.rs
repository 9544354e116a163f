//! What the commands print and how they end.

use serde_json::{Value, json};

use crate::support::{Home, Served, free_port};

#[test]
fn help_shows_the_commands_and_an_example_each() {
    let home = Home::new();
    let all = home.luthien(&["--help"]);
    assert_eq!(all.code, 0);
    for command in ["serve", "demo", "claude", "codex", "sessions", "export", "show", "policy"] {
        assert!(all.out.contains(&format!("\n  {command}")), "{command} is not in the help:\n{}", all.out);
        let one = home.luthien(&["help", command]);
        assert_eq!(one.code, 0);
        let example = ["Example:\n  luthien ", "Examples:\n  luthien "].iter().any(|text| one.out.contains(text));
        assert!(example, "{command} has no example:\n{}", one.out);
    }
    assert_eq!(home.luthien(&["--version"]).out, format!("luthien {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_ends_with_2() {
    let home = Home::new();
    let run = home.luthien(&["sesions"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert!(run.err.contains("sessions"), "{}", run.err);
    assert_eq!(home.luthien(&["sessions", "--limit", "0"]).code, 2);
}

#[test]
fn a_bad_setting_is_named() {
    let home = Home::new();
    home.write("luthien.yaml", "server: { prot: 9 }\n");
    let run = home.luthien(&["serve"]);
    assert_eq!(run.code, 1);
    assert!(run.err.starts_with("luthien: "), "{}", run.err);
    assert!(run.err.contains("server.prot"), "{}", run.err);
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = home.luthien(&["serve", "--port", &port]);
    assert_eq!(run.code, 1);
    let said: Vec<&str> = run.err.lines().filter(|line| line.starts_with("luthien: ")).collect();
    assert_eq!(said.len(), 1, "{}", run.err);
    assert!(said[0].contains(&port) && said[0].contains("another address or port"), "{}", said[0]);
}

#[test]
fn a_data_folder_that_cannot_be_made_is_one_clear_line() {
    let home = Home::new();
    home.write("file", "");
    let run = home.luthien(&["serve", "--data-dir", "file/data"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("file/data") && run.err.contains("--data-dir"), "{}", run.err);
}

#[test]
fn serve_says_where_things_are_and_stops_when_told() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    for part in [
        "ANTHROPIC_BASE_URL=http://127.0.0.1:",
        "OPENAI_BASE_URL=http://127.0.0.1:",
        "luthien.db",
        "admin.key",
        "no_op",
    ] {
        assert!(served.greeting.contains(part), "{part} is not in\n{}", served.greeting);
    }
    assert!(home.data().join("gateway.json").exists());
    let second = home.luthien(&["serve", "--port", "0"]);
    assert_eq!(second.code, 1);
    assert!(second.err.contains("runs on the data folder"), "{}", second.err);
    assert_eq!(served.stop(), 0);
    assert!(!home.data().join("gateway.json").exists());
}

#[test]
fn a_gateway_that_is_its_own_upstream_is_refused() {
    let home = Home::new();
    let port = free_port().to_string();
    let own = format!("http://localhost:{port}");
    let run = home.luthien(&["serve", "--port", &port, "--anthropic-base-url", &own]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("this gateway itself"), "{}", run.err);
}

#[test]
fn an_empty_record_says_what_to_do() {
    let home = Home::new();
    let run = home.luthien(&["sessions"]);
    assert_eq!(run.code, 0);
    assert!(run.out.starts_with("Nothing has been recorded yet."), "{}", run.out);
    let json: Value = serde_json::from_str(&home.luthien(&["sessions", "--json"]).out).unwrap();
    assert_eq!(json["sessions"], json!([]));
    let show = home.luthien(&["show", "abc"]);
    assert_eq!(show.code, 1);
    assert!(show.err.contains("nothing has been recorded yet"), "{}", show.err);
}

#[test]
fn policies_are_listed_shown_and_checked() {
    let home = Home::new();
    let list = home.luthien(&["policy", "list"]);
    assert!(list.out.lines().any(|line| line.starts_with("tool_call_judge ")), "{}", list.out);
    let show = home.luthien(&["policy", "show", "tool_call_judge"]);
    assert!(show.out.contains("probability_threshold (default 0.6)"), "{}", show.out);
    assert_eq!(home.luthien(&["policy", "show", "nothing"]).code, 1);

    home.write(
        "good.yaml",
        "policy: { class: serial, config: { policies: [{ class: no_op }, { class: all_caps }] } }\n",
    );
    let good = home.luthien(&["policy", "check", "good.yaml"]);
    assert_eq!((good.code, good.out.as_str()), (0, "The settings and the policy are fine: no_op, all_caps\n"));
    home.write("bad.yaml", "policy: { class: tool_call_judge, config: { probability_threshold: 7 } }\n");
    let bad = home.luthien(&["policy", "check", "bad.yaml"]);
    assert_eq!(bad.code, 1);
    assert!(bad.err.contains("probability_threshold"), "{}", bad.err);
}
