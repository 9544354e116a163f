//! Which database files are taken, and which are refused.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::*;
use crate::recorder::Recorder;
use crate::testing::{config, recorder};

async fn changed(sql: &'static str) -> String {
    let (folder, recorder) = recorder().await;
    recorder.shutdown(Duration::from_secs(10)).await;
    drop(recorder);
    let options = SqliteConnectOptions::new().filename(folder.path().join("luthien.db"));
    let mut other = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::query(sql).execute(&mut other).await.expect("changed");
    other.close().await.expect("closed");
    match Recorder::open(config(folder.path())).await {
        Err(OpenError::Schema { why, .. }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9000, 'x', 1, x'00', 0)";
    let why = changed(sql).await;
    assert!(why.contains("migration 9000") && why.contains("newer"), "{why}");
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let why = changed("UPDATE _sqlx_migrations SET checksum = x'00'").await;
    assert!(why.contains("another form") && why.contains("backup"), "{why}");
}

#[test]
fn other_urls_are_refused() {
    let parse = |url| Database::parse(url, DatabaseOptions::default());
    for url in ["mysql://localhost/x", "sqlite://", "sqlite://:memory:", "x"] {
        assert!(matches!(parse(url), Err(OpenError::UnknownDatabase(_))), "{url}");
    }
    assert_eq!(parse("sqlite:///a/b.db?mode=rwc").expect("a file").path(), Some(Path::new("/a/b.db")));
    assert_eq!(parse("sqlite:b.db").expect("a file").path(), Some(Path::new("b.db")));
    assert_eq!(parse("postgres://localhost/x").expect("a server").path(), None);
}
