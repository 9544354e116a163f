//! Which schemas a version starts on, and what is said of them.

use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::database::Standing;
use crate::recorder::Recorder;
use crate::sql::Query;
use crate::testing::{Db, Home, recorder_on};

/// A record that was made and closed, then changed by these statements.
async fn changed(db: Db, statements: &[&str]) -> (Home, SchemaStatus, Result<Recorder, OpenError>) {
    let (home, recorder) = recorder_on(db).await;
    recorder.shutdown(Duration::from_secs(10)).await;
    drop(recorder);
    let config = home.config();
    let database = Database::parse(&config.database, config.options).expect("a database");
    let mut connection = database.connect_bare().await.expect("a connection");
    for statement in statements {
        connection.sql().run(Query::new(*statement)).await.expect("changed");
    }
    connection.close().await.expect("closed");
    let status = status(&config.database, config.options).await.expect("a status").expect("a record");
    let opened = Recorder::open(config).await;
    (home, status, opened)
}

fn why(opened: Result<Recorder, OpenError>) -> String {
    match opened {
        Err(OpenError::Schema { why, .. }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// A migration of a newer version; `#` stands for a hash in this database's words.
fn newer(db: Db) -> String {
    let hash = match db {
        Db::Sqlite => "x'00'",
        Db::Postgres => "'\\x00'",
    };
    format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9000, 'later', true, {hash}, 0)"
    )
}

#[rstest]
#[tokio::test]
async fn a_record_of_this_version_has_nothing_pending(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, status, opened) = changed(db, &[]).await;
    assert!(opened.is_ok());
    assert_eq!((status.pending(), status.refused, status.min_migration), (false, None, Some(8)));
    let first = &status.migrations[0];
    assert_eq!((first.version, first.name.as_str(), first.standing), (1, "record", Standing::Applied));
    assert!(status.migrations.iter().all(|migration| migration.applied_at.is_some()), "{:?}", status.migrations);
}

#[rstest]
#[tokio::test]
async fn an_older_version_starts_beside_newer_migrations_that_only_add(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, status, opened) = changed(db, &[&newer(db)]).await;
    assert!(opened.is_ok(), "{opened:?}");
    let last = status.migrations.last().expect("migrations");
    assert_eq!((last.version, last.name.as_str(), last.standing), (9000, "later", Standing::Newer));
    assert_eq!((status.pending(), status.refused), (false, None));
}

#[rstest]
#[tokio::test]
async fn an_older_version_is_refused_where_a_newer_one_is_needed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, status, opened) = changed(db, &[&newer(db), "UPDATE record_state SET min_migration = 9000"]).await;
    let why = why(opened);
    assert!(why.contains("migration 9000") && why.contains("start the newer version"), "{why}");
    assert_eq!(status.refused, Some(why));
}

#[rstest]
#[tokio::test]
async fn a_changed_migration_is_refused(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let change = "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 4) WHERE version = 1";
    let (_home, status, opened) = changed(db, &[change]).await;
    assert_eq!(status.migrations[0].standing, Standing::Changed);
    let why = why(opened);
    assert!(why.contains("another form") && why.contains("backup"), "{why}");
}

#[rstest]
#[tokio::test]
async fn a_migration_of_another_line_is_refused(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let change = "UPDATE _sqlx_migrations SET version = -1 WHERE version = 4";
    let (_home, status, opened) = changed(db, &[change]).await;
    assert_eq!((status.migrations[0].version, status.migrations[0].standing), (-1, Standing::Missing));
    let why = why(opened);
    assert!(why.contains("which this version does not have"), "{why}");
}

#[rstest]
#[tokio::test]
async fn without_leave_to_migrate_an_older_schema_is_refused(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let home = Home::new(db);
    let mut config = home.config();
    config.options.migrate = false;
    let why = why(Recorder::open(config.clone()).await);
    assert!(why.starts_with("migration 1 (record) is not applied") && why.contains("luthien migrate up"), "{why}");
    let now = up(&config.database, config.options).await.expect("applied");
    assert!(!now.pending());
    assert!(Recorder::open(config).await.is_ok());
}

#[tokio::test]
async fn where_there_is_no_file_there_is_no_schema() {
    let home = Home::new(Db::Sqlite);
    let config = home.config();
    assert_eq!(status(&config.database, config.options).await.expect("an answer"), None);
}
