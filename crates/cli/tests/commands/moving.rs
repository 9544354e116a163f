//! Import, backup, restore and the schema, by the real binary.

use std::process::Command;

use luthien_testkit::{Upstream, servers};
use serde_json::Value;

use crate::support::{Home, Run, Served};

const CALL: &str = "c3b1a2d4-0000-4000-8000-000000000001";

/// The database of an older proxy with one streamed call in it, and a policy that is set.
pub(crate) fn older(home: &Home, policy: &str) -> String {
    let path = home.path().join("old.db").display().to_string();
    let script = format!(
        r#"
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("CREATE TABLE conversation_calls (call_id TEXT PRIMARY KEY, model_name TEXT, provider TEXT, status TEXT, created_at TEXT, completed_at TEXT, session_id TEXT, user_id TEXT)")
db.execute("CREATE TABLE conversation_events (id TEXT PRIMARY KEY, call_id TEXT, event_type TEXT, payload TEXT, created_at TEXT, session_id TEXT)")
db.execute("CREATE TABLE current_policy (id INTEGER PRIMARY KEY, policy_class_ref TEXT, config TEXT, enabled_at TEXT, enabled_by TEXT)")
db.execute("CREATE TABLE user_labels (user_id TEXT PRIMARY KEY, display_name TEXT)")
db.execute("INSERT INTO user_labels VALUES ('u1', 'Ada')")
db.execute("INSERT INTO current_policy VALUES (1, '{policy}', '{{}}', '2025-01-02 03:04:05', 'ada')")
at = "2025-01-02 03:04:05"
db.execute("INSERT INTO conversation_calls VALUES (?, 'claude-x', NULL, NULL, ?, NULL, 'imported-session', 'u1')", ("{CALL}", at))
asked = {{"model": "claude-x", "max_tokens": 99, "messages": [{{"role": "user", "content": "an old question"}}]}}
said = {{"type": "message", "role": "assistant", "content": [{{"type": "text", "text": "an old answer"}}]}}
db.execute("INSERT INTO conversation_events VALUES ('1', ?, 'transaction.request_recorded', ?, ?, NULL)", ("{CALL}", json.dumps({{"original_request": asked, "final_request": asked}}), at))
db.execute("INSERT INTO conversation_events VALUES ('2', ?, 'transaction.streaming_response_recorded', ?, ?, NULL)", ("{CALL}", json.dumps({{"original_response": said, "final_response": said}}), at))
db.execute("INSERT INTO conversation_events VALUES ('3', ?, 'policy.x.y', '{{broken', ?, NULL)", ("{CALL}", at))
db.commit()
"#
    );
    let made = Command::new("python3").args(["-c", &script, &path]).status().unwrap();
    assert!(made.success());
    path
}

pub(crate) fn json(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{}", run.err);
    serde_json::from_str(&run.out).unwrap()
}

pub(crate) const ALL_CAPS: &str = "luthien_proxy.policies.all_caps_policy:AllCapsPolicy";

#[test]
fn what_an_older_proxy_recorded_is_shown_here() {
    let home = Home::new();
    let old = older(&home, ALL_CAPS);
    let dry = home.luthien(&["import", "luthien-proxy", &old, "--dry-run"]);
    assert!(dry.out.starts_with("1 call: 1 would be imported, 0 in the record already\n"), "{}{}", dry.out, dry.err);
    assert!(!home.data().exists(), "a dry run wrote something");

    let run = home.luthien(&["import", "luthien-proxy", &old]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.starts_with("1 call: 1 imported, 0 in the record already\n  1 streamed"), "{}", run.out);
    assert!(run.out.contains(&format!("class: \"{ALL_CAPS}\"")), "{}", run.out);
    let rejects = std::fs::read_to_string(home.data().join("import-rejects.jsonl")).unwrap();
    assert!(rejects.contains(CALL) && rejects.contains("policy.x.y"), "{rejects}");
    let shown = home.luthien(&["show", "imported-session"]).out;
    assert!(shown.contains("an old question") && shown.contains("an old answer"), "{shown}");

    let again = json(&home.luthien(&["import", "luthien-proxy", &old, "--json", "--with-labels"]));
    assert_eq!((&again["summary"]["imported"], &again["summary"]["already"]), (&0.into(), &1.into()));
    assert_eq!((&again["labels"], &again["labels_taken"]), (&1.into(), &1.into()));
    let again = json(&home.luthien(&["import", "luthien-proxy", &old, "--json", "--with-labels"]));
    assert_eq!(again["labels_taken"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_taken_over_where_it_is_asked_for() {
    let upstream = Upstream::start().await.unwrap();
    let home = Home::new();
    let old = older(&home, "nobody.knows:It");
    let refused = home.luthien(&["import", "luthien-proxy", &old, "--with-policy"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("nobody.knows:It cannot be used"), "{}", refused.err);
    assert!(!home.data().join("luthien.db").exists(), "something was written");

    std::fs::remove_file(&old).unwrap();
    let old = older(&home, ALL_CAPS);
    // Beside a gateway that runs, which has it at once.
    let served = Served::start(&home, &["--anthropic-base-url", &upstream.base_url()]);
    let run = home.luthien(&["import", "luthien-proxy", &old, "--with-policy"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("is set: the gateway that runs has it now"), "{}", run.out);
    assert_eq!(served.stop(), 0);
    let served = Served::start(&home, &["--anthropic-base-url", &upstream.base_url()]);
    assert!(served.greeting.contains("all_caps"), "{}", served.greeting);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_backed_up_while_the_gateway_runs_and_restored_elsewhere() {
    let upstream = Upstream::start().await.unwrap();
    let home = Home::new();
    let old = older(&home, ALL_CAPS);
    let served = Served::start(&home, &["--anthropic-base-url", &upstream.base_url()]);
    assert_eq!(home.luthien(&["import", "luthien-proxy", &old]).code, 0);
    let run = home.luthien(&["backup", "a.backup", "--with-keys"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("1 transaction in 1 session, "), "{}", run.out);
    assert!(run.out.contains("Key files in it: admin.key, identity.key."), "{}", run.out);
    let refused = home.luthien(&["restore", "a.backup", "--replace"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("a gateway runs on the data folder"), "{}", refused.err);
    assert_eq!(served.stop(), 0);
    let refused = home.luthien(&["restore", "a.backup"]);
    assert!(refused.err.contains("is not empty: --replace"), "{}", refused.err);

    let other = home.path().join("other").display().to_string();
    let run = home.luthien(&["restore", "a.backup", "--with-keys", "--data-dir", &other]);
    assert_eq!(run.code, 0, "{}", run.err);
    let key = |folder: &str| std::fs::read(home.path().join(folder).join("admin.key")).unwrap();
    assert_eq!(key("other"), key("data"));
    let shown = home.luthien(&["show", "imported-session", "--data-dir", &other]);
    assert!(shown.out.contains("an old answer"), "{}{}", shown.out, shown.err);

    std::fs::write(home.path().join("a.backup"), &std::fs::read(home.path().join("a.backup")).unwrap()[..200]).unwrap();
    let refused = home.luthien(&["restore", "a.backup", "--data-dir", &other, "--replace"]);
    assert!(refused.err.contains("is cut off or was changed"), "{}", refused.err);
}

#[test]
fn the_schema_is_told_and_brought_up_to_date() {
    let home = Home::new();
    assert_eq!(home.luthien(&["migrate", "status"]).code, 3);
    let mut command = home.command(&["serve", "--port", "0"]);
    command.env("DATABASE_AUTO_MIGRATE", "false");
    let refused = crate::support::finish(command);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("run `luthien migrate up`"), "{}", refused.err);
    let up = json(&home.luthien(&["migrate", "up", "--json"]));
    let standing: Vec<_> = up["migrations"].as_array().unwrap().iter().map(|one| &one["standing"]).collect();
    assert!(standing.len() >= 5 && standing.iter().all(|one| *one == "applied"), "{up}");
    let run = home.luthien(&["migrate"]);
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.ends_with("Nothing is pending.\n"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_moves_to_postgres_and_back() {
    let upstream = Upstream::start().await.unwrap();
    let database = servers::database().unwrap();
    let mut home = Home::new();
    let old = older(&home, ALL_CAPS);
    assert_eq!(home.luthien(&["import", "luthien-proxy", &old]).code, 0);
    let before = home.luthien(&["show", "imported-session"]).out;
    assert!(before.contains("an old answer"), "{before}");
    assert_eq!(home.luthien(&["backup", "to-postgres.backup"]).code, 0);

    home.set("DATABASE_URL", database.url());
    let run = home.luthien(&["restore", "to-postgres.backup"]);
    assert!(run.code == 0 && run.out.starts_with("1 transaction in 1 session, "), "{run:?}");
    assert_eq!(home.luthien(&["show", "imported-session"]).out, before);
    assert_eq!(json(&home.luthien(&["sessions", "--search", "\"old answer\"", "--json"]))["total"], 1);
    let refused = home.luthien(&["restore", "to-postgres.backup"]);
    assert!(refused.code == 1 && refused.err.contains("is not empty: --replace"), "{refused:?}");

    let served = Served::start(&home, &["--anthropic-base-url", &upstream.base_url()]);
    let run = home.luthien(&["backup", "from-postgres.backup"]);
    assert!(run.code == 0 && run.out.contains("1 transaction in 1 session, "), "{run:?}");
    assert!(run.out.contains("No keys are in it"), "{}", run.out);
    assert_eq!(served.stop(), 0);
    let run = home.luthien(&["restore", "from-postgres.backup", "--replace"]);
    assert!(run.code == 0 && run.out.contains("The record that was there is kept: "), "{run:?}");

    let other = Home::new();
    let file = home.path().join("from-postgres.backup").display().to_string();
    let run = other.luthien(&["restore", &file]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(other.luthien(&["show", "imported-session"]).out, before);
}

#[test]
fn the_schema_of_postgres_is_told_and_brought_up_to_date() {
    let database = servers::database().unwrap();
    let mut home = Home::new();
    home.set("DATABASE_URL", database.url());
    let before = home.luthien(&["migrate", "status"]);
    assert_eq!(before.code, 3, "{before:?}");
    let mut command = home.command(&["serve", "--port", "0"]);
    command.env("DATABASE_AUTO_MIGRATE", "false");
    let refused = crate::support::finish(command);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("run `luthien migrate up`"), "{}", refused.err);
    let up = json(&home.luthien(&["migrate", "up", "--json"]));
    let standing: Vec<_> = up["migrations"].as_array().unwrap().iter().map(|one| &one["standing"]).collect();
    assert!(standing.len() >= 5 && standing.iter().all(|one| *one == "applied"), "{up}");
    let run = home.luthien(&["migrate", "status"]);
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.starts_with("postgres://") && run.out.ends_with("Nothing is pending.\n"), "{}", run.out);
}
