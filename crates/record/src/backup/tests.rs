//! A record comes back from its backup as it was, on the same database or the other.

use std::path::Path;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::history;
use crate::model::End;
use crate::recorder::Recorder;
use crate::store::{SessionFilter, StoredPolicy, TransactionDetail};
use crate::testing::{
    Db, Home, answer, answered, decision, end, event, id, messages, recorder_on, second, send, start, stored,
};

fn about() -> About {
    About { version: "1.2.3".into(), now: second(9), keys: Vec::new() }
}

fn policy() -> StoredPolicy {
    StoredPolicy {
        class_ref: "all_caps".into(),
        config: json!({"a": [1, 2.5, "\u{e9}"]}),
        mode: None,
        enabled_at: second(3),
        enabled_by: "ada".into(),
    }
}

/// A record with a conversation of several turns, changes, decisions and a policy.
async fn filled(db: Db) -> (Home, Recorder) {
    let (home, recorder) = recorder_on(db).await;
    let long = "a long text that is worth a content of its own ".repeat(40);
    let mut said = Vec::new();
    for number in 1..=4_u32 {
        said.push(json!({"role": "user", "content": format!("{number} {long}")}));
        let flight = answered(&recorder, start(number, Some("s"), messages(&said)), &answer("yes"));
        if number == 2 {
            send(&flight, "local", luthien_wire::Dialect::Messages, &"{\"model\": \"other\"}".into());
            flight.upstream_response(201, vec![("x-a".into(), "1".into())]);
            flight.upstream_bytes(b"first ");
            flight.own_client_copy(5);
            flight.client_bytes(b"|mine");
            flight.first_byte(second(2));
            flight.decision(decision("tool_call_judge", "block"));
            flight.event(event("policy.judge.tool_call_blocked"));
        }
        // A table that refers to another.
        flight.heads(|kept| kept.inbound.url = format!("/v1/messages?{number}"));
        flight.finish(End { error: (number == 3).then(|| "why".into()), ..end(number) });
        said.push(json!({"role": "assistant", "content": "yes"}));
    }
    recorder.late_decision(id(1), decision("shadow", "pass"));
    recorder.settled().await;
    recorder.store().set_policy(&policy()).await.expect("set");
    (home, recorder)
}

async fn all(recorder: &Recorder) -> Vec<TransactionDetail> {
    let mut out = Vec::new();
    for number in 1..=4 {
        out.push(stored(recorder, number).await.expect("stored"));
    }
    out
}

async fn backed_up(home: &Home, about: About, path: &Path) -> Header {
    let config = home.config();
    backup(&config.database, config.options, path, about, |_, _| {}).await.expect("a backup")
}

async fn restored(home: &Home, path: &Path, replace: bool) -> Result<Restored, BackupError> {
    let config = home.config();
    restore(path, &config.database, config.options, replace, second(20), |_, _| {}).await
}

#[rstest]
#[tokio::test]
async fn a_record_comes_back_on_either_database(
    #[values(Db::Sqlite, Db::Postgres)] from: Db,
    #[values(Db::Sqlite, Db::Postgres)] to: Db,
) {
    let (home, recorder) = filled(from).await;
    let path = home.folder.path().join("a.backup");
    // The recorder goes on.
    let header = backed_up(&home, about(), &path).await;
    let rows = |name: &str| header.tables.iter().find(|table| table.name == name).map(|table| table.rows);
    assert_eq!((rows("transactions"), rows("late_decisions"), rows("policies")), (Some(4), Some(1), Some(1)));
    assert_eq!((header.version.as_str(), header.made_at, header.keys.len()), ("1.2.3", second(9), 0));
    let (before, session) = (all(&recorder).await, history::session(recorder.store(), "s").await.expect("a query"));
    let sessions = recorder.store().sessions(&SessionFilter { limit: 10, ..SessionFilter::default() }).await;

    let other = Home::new(to);
    let told = restored(&other, &path, false).await.expect("restored");
    assert_eq!((told.header, told.kept, told.keys.len()), (header, None, 0));
    let again = Recorder::open(other.config()).await.expect("a recorder");
    assert_eq!(all(&again).await, before);
    assert_eq!(history::session(again.store(), "s").await.expect("a query"), session);
    let page = again.store().sessions(&SessionFilter { limit: 10, ..SessionFilter::default() }).await;
    assert_eq!(page.expect("a query"), sessions.expect("a query"));
    let log = recorder.store().request_log(id(2)).await.expect("a query");
    assert_eq!(again.store().request_log(id(2)).await.expect("a query"), log);
    assert_eq!(log[0].log.url, "/v1/messages?2");
    assert_eq!(again.store().current_policy().await.expect("a query"), Some((1, policy())));
    assert_eq!(again.store().set_policy(&policy()).await.expect("set"), 2);
    for (words, found) in [("\"worth a content\"", 1), ("nowhere", 0)] {
        let filter =
            SessionFilter { limit: 10, q: crate::store::Search::parse(words).ok(), ..SessionFilter::default() };
        assert_eq!(again.store().sessions(&filter).await.expect("a query").total, found, "{words}");
    }
    // It goes on recording on what it has.
    answered(&again, start(5, Some("s"), before[3].request.clone()), b"{}").finish(end(5));
    again.settled().await;
    assert_eq!(stored(&again, 5).await.expect("stored").request, before[3].request);
}

#[rstest]
#[tokio::test]
async fn a_record_that_is_not_empty_is_kept_beside(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = filled(db).await;
    let path = home.folder.path().join("a.backup");
    backed_up(&home, about(), &path).await;
    answered(&recorder, start(7, Some("s"), messages(&[])), b"{}").finish(end(7));
    recorder.settled().await;
    recorder.shutdown(Duration::from_secs(10)).await;
    drop(recorder);
    let refused = restored(&home, &path, false).await.expect_err("refused");
    assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused}");
    let told = restored(&home, &path, true).await.expect("restored");
    let again = Recorder::open(home.config()).await.expect("a recorder");
    assert_eq!((stored(&again, 7).await, stored(&again, 4).await.is_some()), (None, true));
    let kept = told.kept.expect("kept");
    match db {
        Db::Sqlite => {
            assert!(kept.ends_with("luthien.db.before-20270115-080020"), "{kept}");
            let old = crate::Store::open(&format!("sqlite://{kept}"), home.config().options).await.expect("opened");
            assert!(old.transaction(id(7)).await.expect("a query").is_some());
        }
        Db::Postgres => {
            assert_eq!(kept, "the schema luthien_before_20270115_080020");
            let database = Database::parse(&home.config().database, home.config().options).expect("a database");
            let mut connection = database.connect_bare().await.expect("a connection");
            let count = Query::new("SELECT COUNT(*) FROM luthien_before_20270115_080020.transactions");
            assert_eq!(connection.sql().number(count).await.expect("a query"), 5);
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_record_that_was_only_made_is_empty(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, _recorder) = filled(Db::Sqlite).await;
    let path = home.folder.path().join("a.backup");
    backed_up(&home, about(), &path).await;
    let (other, recorder) = recorder_on(db).await;
    recorder.shutdown(Duration::from_secs(10)).await;
    drop(recorder);
    assert_eq!(restored(&other, &path, false).await.expect("restored").kept, None);
    let again = Recorder::open(other.config()).await.expect("a recorder");
    assert_eq!(all(&again).await.len(), 4);
}

#[tokio::test]
async fn nobody_records_while_a_server_is_restored_to() {
    let (home, recorder) = filled(Db::Postgres).await;
    let path = home.folder.path().join("a.backup");
    backed_up(&home, about(), &path).await;
    let refused = restored(&home, &path, true).await.expect_err("refused");
    assert!(matches!(refused, BackupError::InUse(1..)), "{refused}");
    assert_eq!(all(&recorder).await.len(), 4);
}

#[tokio::test]
async fn what_is_not_whole_is_refused() {
    let (home, _recorder) = filled(Db::Sqlite).await;
    let path = home.folder.path().join("a.backup");
    backed_up(&home, about(), &path).await;
    let whole = std::fs::read(&path).expect("read");
    let other = Home::new(Db::Sqlite);
    let mut altered = whole.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    for (bytes, words) in [
        (&whole[..whole.len() - 1], "cut off or was changed"),
        (&whole[..40], "cut off or was changed"),
        (&altered[..], "cut off or was changed"),
        (b"", "is no backup"),
        (b"SQLite format 3\0 and so on", "is no backup"),
        (b"luthien backup 2\n and so on, in a way of its own", "newer version"),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let refused = restored(&other, &path, false).await.expect_err("refused").to_string();
        assert!(refused.contains(words), "{refused}");
    }
    assert!(!other.folder.path().join("luthien.db").exists());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (home, recorder) = filled(Db::Sqlite).await;
    let path = home.folder.path().join("a.backup");
    recorder.shutdown(Duration::from_secs(10)).await;
    let database = Database::parse(&home.config().database, home.config().options).expect("a database");
    let mut connection = database.connect_bare().await.expect("a connection");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9000, 'later', true, x'00', 0)";
    connection.sql().run(Query::new(newer)).await.expect("changed");
    backed_up(&home, about(), &path).await;
    let refused = restored(&Home::new(Db::Sqlite), &path, false).await.expect_err("refused").to_string();
    assert!(refused.starts_with("the backup is of schema 9000 (luthien 1.2.3)"), "{refused}");
}

#[tokio::test]
async fn keys_are_in_it_where_they_are_asked_for_and_only_its_owner_may_read_it() {
    let (home, _recorder) = filled(Db::Sqlite).await;
    let path = home.folder.path().join("a.backup");
    let keys = vec![KeyFile { name: "identity.key".into(), bytes: b"secret\n".to_vec() }];
    let header = backed_up(&home, About { keys, ..about() }, &path).await;
    assert_eq!(header.keys, ["identity.key"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    let told = restored(&Home::new(Db::Sqlite), &path, false).await.expect("restored");
    assert_eq!((told.keys[0].name.as_str(), told.keys[0].bytes.as_slice()), ("identity.key", &b"secret\n"[..]));
}

#[tokio::test]
async fn a_file_that_is_there_is_not_written_over() {
    let (home, _recorder) = filled(Db::Sqlite).await;
    let path = home.folder.path().join("a.backup");
    std::fs::write(&path, "mine").expect("written");
    let config = home.config();
    let refused = backup(&config.database, config.options, &path, about(), |_, _| {}).await.expect_err("refused");
    assert!(matches!(refused, BackupError::File { .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "mine");
}

#[rstest]
#[tokio::test]
async fn every_table_is_in_a_backup(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, _recorder) = filled(db).await;
    let header = backed_up(&home, about(), &home.folder.path().join("a.backup")).await;
    let names: Vec<_> = header.tables.iter().map(|table| table.name.as_str()).collect();
    let mut expected = vec!["contents", "nodes", "policies", "refs", "sessions", "transactions", "turn_texts"];
    expected.push(match db {
        Db::Sqlite => "words_data",
        Db::Postgres => "word_blocks",
    });
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(["record_state", "_sqlx_migrations", "words"].iter().all(|name| !names.contains(name)), "{names:?}");
}

#[tokio::test]
async fn other_tables_in_the_schema_are_neither_kept_nor_in_the_way() {
    let (home, recorder) = filled(Db::Postgres).await;
    let other = Home::new(Db::Postgres);
    Recorder::open(other.config()).await.expect("a recorder").shutdown(Duration::from_secs(10)).await;
    for home in [&home, &other] {
        let database = Database::parse(&home.config().database, home.config().options).expect("a database");
        let mut connection = database.connect_bare().await.expect("a connection");
        for theirs in ["CREATE TABLE shops (id inet PRIMARY KEY, place point)", "INSERT INTO shops VALUES ('::1')"] {
            connection.sql().run(Query::new(theirs)).await.expect("theirs");
        }
        connection.close().await.expect("closed");
    }
    let path = home.folder.path().join("a.backup");
    let header = backed_up(&home, about(), &path).await;
    assert!(header.tables.iter().all(|table| table.name != "shops"));
    assert_eq!(restored(&other, &path, false).await.expect("restored").kept, None);
    let again = Recorder::open(other.config()).await.expect("a recorder");
    assert_eq!(all(&again).await, all(&recorder).await);
    let mut connection = again.store().readers().acquire().await.expect("a connection");
    assert_eq!(connection.sql().number(Query::new("SELECT COUNT(*) FROM shops")).await.expect("theirs"), 1);
}
