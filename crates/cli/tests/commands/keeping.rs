//! Retention, the archive and back, and deletion, by the real binary, beside a gateway that runs, on both databases.

use luthien_testkit::{Answer, Upstream, servers};
use serde_json::json;

use crate::moving::{ALL_CAPS, json, older};
use crate::support::{Home, Served};
use crate::traffic::{ask, rest, shown, transaction};

/// A gateway with an old transaction on the record, of the user `u1` in `imported-session`, and one of today.
async fn with_old_and_new(home: &Home) -> (Served, Upstream, String) {
    let upstream = Upstream::start().await.unwrap();
    upstream.default_script(Answer::text("A new answer."));
    let served = Served::start(home, &["--anthropic-base-url", &upstream.base_url()]);
    let run = home.luthien(&["import", "luthien-proxy", &older(home, ALL_CAPS)]);
    assert_eq!(run.code, 0, "{}", run.err);
    let id = transaction(&rest(ask(&served, "claude-opus-5-5")));
    assert!(shown(home, &id).contains("A new answer."));
    (served, upstream, id)
}

fn is_on_record(home: &Home, id: &str) -> bool {
    home.luthien(&["show", id]).code == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_goes_to_the_archive_and_comes_back() {
    archived_and_read_back(Home::new(), "The file holds no free space any more.\n", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_goes_to_the_archive_and_comes_back_on_postgres() {
    let database = servers::database().unwrap();
    let mut home = Home::new();
    home.set("DATABASE_URL", database.url());
    let words = "PostgreSQL uses free space again by itself (autovacuum); nothing was done.\n";
    archived_and_read_back(home, words, false).await;
}

async fn archived_and_read_back(mut home: Home, after_shrinking: &str, shrunk: bool) {
    let (served, upstream, new) = with_old_and_new(&home).await;
    let told = home.luthien(&["retention"]).out;
    assert!(told.starts_with("2 transactions, ") && told.contains("No age removes any"), "{told}");
    let refused = home.luthien(&["retention", "run"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("set CONVERSATION_RETENTION_DAYS or RETENTION_MAX_BYTES"), "{}", refused.err);

    let archive = home.path().join("archive");
    home.set("CONVERSATION_RETENTION_DAYS", "30");
    home.set("ARCHIVE_DIR", archive.to_str().unwrap());
    for args in [&["retention"][..], &["retention", "run", "--dry-run"]] {
        let told = home.luthien(args).out;
        assert!(told.contains("\nOlder than 30 days: 1 transaction goes\n"), "{told}");
        assert!(told.contains(&format!("\nThey are archived first: {}\n", archive.display())), "{told}");
    }
    let dry = json(&home.luthien(&["retention", "run", "--dry-run", "--json"]));
    assert_eq!((&dry["transactions"], &dry["transactions_too_old"]), (&json!(2), &json!(1)));
    assert!(!archive.exists() && is_on_record(&home, "imported-session"));

    let run = home.luthien(&["retention", "run"]);
    let expected = "Removed 1 transaction and 1 whole session, archived 1 file, ";
    assert!(run.code == 0 && run.out.starts_with(expected), "{run:?}");
    assert!(!is_on_record(&home, "imported-session") && is_on_record(&home, &new));
    let again = json(&home.luthien(&["retention", "run", "--json"]));
    assert_eq!((&again["transactions"], &again["files"]), (&json!(0), &json!(0)));

    let files: Vec<_> = std::fs::read_dir(&archive).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let file = files[0].to_str().unwrap();
    let dry = home.luthien(&["import", "archive", file, "--dry-run"]).out;
    assert_eq!(dry, "1 transaction: 1 would be imported, 0 in the record already\n");
    assert!(!is_on_record(&home, "imported-session"));
    let run = home.luthien(&["import", "archive", file]);
    assert_eq!((run.code, run.out.as_str()), (0, "1 transaction: 1 imported, 0 in the record already\n"));
    let back = home.luthien(&["show", "imported-session"]).out;
    assert!(back.contains("an old question") && back.contains("an old answer"), "{back}");
    let again = json(&home.luthien(&["import", "archive", file, "--json"]));
    assert_eq!((&again["summary"]["imported"], &again["summary"]["already"]), (&json!(0), &json!(1)));

    assert_eq!(home.luthien(&["retention", "shrink"]).out, after_shrinking);
    assert_eq!(json(&home.luthien(&["retention", "shrink", "--json"])), json!({"shrunk": shrunk}));
    assert!(is_on_record(&home, &new));
    assert_eq!(served.stop(), 0);
    upstream.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_or_a_user_is_deleted() {
    deleted(Home::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_or_a_user_is_deleted_from_postgres() {
    let database = servers::database().unwrap();
    let mut home = Home::new();
    home.set("DATABASE_URL", database.url());
    deleted(home).await;
}

/// A session through the gateway that runs, a user without one.
async fn deleted(home: Home) {
    let (served, upstream, new) = with_old_and_new(&home).await;
    let list = json(&home.luthien(&["sessions", "--json", "--search", "\"new answer\""]));
    let session = list["sessions"][0]["session_id"].as_str().unwrap().to_owned();
    let asked = home.luthien(&["delete", "session", &session]);
    assert_eq!(asked.code, 1);
    assert!(asked.err.contains(&format!("This deletes 1 transaction of the session {session}, ")), "{}", asked.err);
    assert!(asked.err.contains("say --yes to go on"), "{}", asked.err);
    let unknown = home.luthien(&["delete", "session", "nobody-s", "--yes"]);
    assert!(unknown.code == 1 && unknown.err.contains("nothing is recorded of the session nobody-s"), "{unknown:?}");
    assert!(is_on_record(&home, &new));

    let told = json(&home.luthien(&["delete", "session", &session, "--yes", "--json"]));
    let expected = json!({
        "kind": "session", "id": session, "transactions": 1, "sessions": 1, "complete": true, "deleted_by": "luthien delete",
    });
    assert_eq!(told, expected);
    assert!(!is_on_record(&home, &new) && is_on_record(&home, "imported-session"));
    assert_eq!(served.stop(), 0);
    upstream.stop().await;

    let run = home.luthien(&["delete", "user", "u1", "--yes"]);
    assert_eq!(
        (run.code, run.out.as_str()),
        (0, "Deleted 1 transaction; of 1 session nothing is left.\n"),
        "{}",
        run.err
    );
    assert!(!is_on_record(&home, "imported-session"));
    let again = home.luthien(&["delete", "user", "u1", "--yes"]);
    assert!(again.code == 1 && again.err.contains("nothing is recorded of the user u1"), "{again:?}");
    assert_eq!(json(&home.luthien(&["sessions", "--json"]))["total"], 0);
}
