//! Search and export by the real binary, beside a gateway that runs, on both databases.

use luthien_testkit::{Answer, Upstream, servers};
use serde_json::Value;

use crate::support::{Home, Served};
use crate::traffic::{ask, rest, shown, transaction};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_found_and_exported() {
    found_and_exported(&Home::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_found_and_exported_from_postgres() {
    let database = servers::database().unwrap();
    let mut home = Home::new();
    home.set("DATABASE_URL", database.url());
    found_and_exported(&home).await;
}

async fn found_and_exported(home: &Home) {
    let upstream = Upstream::start().await.unwrap();
    upstream.default_script(Answer::text("The otter sleeps."));
    let served = Served::start(home, &["--anthropic-base-url", &upstream.base_url()]);
    let id = transaction(&rest(ask(&served, "claude-opus-5-5")));
    shown(home, &id);

    let found = |args: &[&str]| -> Value {
        serde_json::from_str(&home.luthien(&[&["sessions", "--json"], args].concat()).out).unwrap()
    };
    assert_eq!(found(&["--search", "\"otter sleeps\" hell*", "--model", "claude-opus-5-5"])["total"], 1);
    assert_eq!(found(&["--search", "otter -sleeps"])["total"], 0);
    assert_eq!(found(&["--to", "2001-01-01"])["total"], 0);
    assert_eq!(home.luthien(&["sessions", "--search", "heron"]).out, "No session matches.\n");
    let refused = home.luthien(&["sessions", "--search", "-otter"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("add a word to look for"), "{}", refused.err);

    let markdown = home.luthien(&["export", &id]).out;
    assert!(markdown.starts_with("# Session ") && markdown.contains("\nThe otter sleeps.\n"), "{markdown}");
    let whole: Value = serde_json::from_str(&home.luthien(&["export", &id, "--format", "json"]).out).unwrap();
    assert_eq!(whole["turns"][0]["call_id"], id);
    let written = home.luthien(&["export", "--search", "otter", "--output", "found.jsonl"]);
    assert_eq!((written.code, written.err.as_str()), (0, "1 session with 1 turn written to found.jsonl\n"));
    let line: Value = serde_json::from_str(&std::fs::read_to_string(home.path().join("found.jsonl")).unwrap()).unwrap();
    assert_eq!(line["response_messages"][0]["content"], "The otter sleeps.");
    let none = home.luthien(&["export", "--search", "heron", "--output", "none.jsonl"]);
    assert_eq!(none.code, 1);
    assert!(none.err.contains("no session matches"), "{}", none.err);
    assert!(!home.path().join("none.jsonl").exists());
    assert!(home.luthien(&["export"]).err.contains("name a session"));
    assert!(home.luthien(&["export", "--all", "--format", "json"]).err.contains("only be exported as jsonl"));
    assert_eq!(served.stop(), 0);
}
