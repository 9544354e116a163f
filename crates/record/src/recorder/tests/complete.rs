//! Rows from before there were sessions.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::database::{Database, DatabaseOptions};
use crate::sql::{Query, Sql};
use crate::store::{Search, SessionFilter};
use crate::testing::{Db, Home, answer, answered, end, messages, recorder_on, start};

async fn every(sql: &mut Sql<'_>, query: &str) -> Vec<String> {
    let rows = sql.all(Query::new(query)).await.expect("a query");
    rows.iter().map(|row| row.get::<String>(0).expect("a text")).collect()
}

/// What is derived from the transactions.
async fn derived(home: &Home) -> Vec<Vec<String>> {
    let config = home.config();
    let pool = Database::parse(&config.database, DatabaseOptions::default()).expect("a database").readers();
    let mut connection = pool.acquire().await.expect("a connection");
    let mut sql = connection.sql();
    let sessions = "SELECT name || ' ' || CAST(turns AS TEXT) || ' ' || CAST(events AS TEXT) || ' ' || preview FROM sessions ORDER BY name";
    let tags = "SELECT kind || ' ' || value FROM session_tags ORDER BY kind, value, session";
    let refs = match sql.kind() {
        crate::sql::Kind::Sqlite => "SELECT HEX(session) || HEX(hash) AS ref FROM refs ORDER BY ref",
        crate::sql::Kind::Postgres => {
            "SELECT CAST(session AS TEXT) || ENCODE(hash, 'hex') AS ref FROM refs ORDER BY ref"
        }
    };
    let parts = match sql.kind() {
        crate::sql::Kind::Sqlite => "SELECT CAST(COUNT(*) AS TEXT) FROM turn_texts",
        crate::sql::Kind::Postgres => "SELECT CAST(SUM(entries) AS TEXT) FROM word_blocks",
    };
    let mut out = Vec::new();
    for query in [sessions, tags, refs, parts] {
        out.push(every(&mut sql, query).await);
    }
    drop(connection);
    pool.close().await;
    out
}

async fn found(recorder: &Recorder, words: &str) -> Vec<String> {
    let filter = SessionFilter { limit: 50, q: Search::parse(words).ok(), ..SessionFilter::default() };
    let page = recorder.store().sessions(&filter).await.expect("a page");
    page.sessions.into_iter().map(|row| row.session_id).collect()
}

#[rstest]
#[tokio::test]
async fn rows_without_a_session_are_completed_at_the_start(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    let mut history = vec![json!({"role": "user", "content": "where is the ".to_owned() + &"lighthouse ".repeat(80)})];
    for number in 1..4 {
        let reply = format!("reply{number} ").repeat(90);
        answered(&recorder, start(number, Some("s"), messages(&history)), &answer(&reply)).finish(end(number));
        history.push(json!({"role": "assistant", "content": reply}));
        history.push(json!({"role": "user", "content": format!("again{number}")}));
    }
    answered(&recorder, start(9, None, messages(&[json!({"role": "user", "content": "other"})])), &answer("fine"))
        .finish(end(9));
    recorder.settled().await;
    let before = derived(&home).await;
    assert_eq!(before[0].len(), 2);
    recorder.shutdown(Duration::from_secs(10)).await;
    drop(recorder);

    let pool = Database::parse(&home.config().database, DatabaseOptions::default()).expect("a database").editor();
    let mut work = pool.begin().await.expect("begun");
    let mut sql = work.sql();
    let mut forget = vec!["UPDATE transactions SET session_key = NULL"];
    forget.extend(["DELETE FROM sessions", "DELETE FROM session_tags", "DELETE FROM refs"]);
    forget.extend(match db {
        Db::Sqlite => ["DELETE FROM turn_texts", "DELETE FROM words"].as_slice(),
        Db::Postgres => ["DELETE FROM word_blocks"].as_slice(),
    });
    for statement in forget {
        sql.run(Query::new(statement)).await.expect("forgotten");
    }
    work.commit().await.expect("kept");
    pool.close().await;

    // Two gateways that start at once complete each row once.
    let other = tempfile::tempdir().expect("a folder");
    let beside = RecorderConfig { data_dir: other.path().into(), ..home.config() };
    let (recorder, other) = tokio::join!(Recorder::open(home.config()), Recorder::open(beside));
    let recorder = recorder.expect("a recorder");
    other.expect("another").shutdown(Duration::from_secs(10)).await;
    assert_eq!(derived(&home).await, before);
    for (words, expected) in [("lighthouse", "s"), ("reply3", "s"), ("again1 -lighthouse", "s")] {
        assert_eq!(found(&recorder, words).await, [expected], "{words}");
    }
    recorder.shutdown(Duration::from_secs(10)).await;
}
