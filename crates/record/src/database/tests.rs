//! Which databases are taken, how many connections are made to them, and how long they are waited for.

use std::future::Future;

use rstest::rstest;

use super::*;
use crate::recorder::{Recorder, RecorderConfig};
use crate::sql::Query;
use crate::store::{Store, StoreError};
use crate::testing::{Db, Home};

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

/// A recorder whose database is used like this.
async fn recorder_with(db: Db, options: DatabaseOptions) -> (Home, Recorder) {
    let home = Home::new(db);
    let recorder = Recorder::open(RecorderConfig { options, ..home.config() }).await.expect("a recorder");
    (home, recorder)
}

const SOON: Duration = Duration::from_secs(1);

/// Fails the test where nobody gives up.
async fn given_up<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("somebody gives up")
}

#[rstest]
#[tokio::test]
async fn there_are_as_many_connections_as_are_set(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    for size in [1, 2] {
        let options = DatabaseOptions { pool_size: size, connect_timeout: SOON, ..DatabaseOptions::default() };
        let (_home, recorder) = recorder_with(db, options).await;
        let mut held = Vec::new();
        for _ in 0..size {
            held.push(recorder.store().readers().acquire().await.expect("a connection"));
        }
        let refused = given_up(recorder.store().calls(1)).await;
        assert!(matches!(refused, Err(StoreError::Database(sqlx::Error::PoolTimedOut))), "{refused:?}");
        held.pop();
        assert_eq!(recorder.store().calls(1).await.expect("calls").total, 0);
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let server = luthien_servers::Postgres::start().expect("PostgreSQL");
    let url = server.url(&server.create_database().expect("a database"));
    let folder = tempfile::tempdir().expect("a folder");
    let config = RecorderConfig { database: url.clone(), ..crate::testing::config(folder.path()) };
    let recorder = Recorder::open(config).await.expect("a recorder");

    // Who waits for a statement.
    let options = DatabaseOptions { query_timeout: SOON, ..DatabaseOptions::default() };
    let store = Store::open(&url, options).await.expect("a store");
    let mut connection = store.readers().acquire().await.expect("a connection");
    let limit = connection.sql().one(Query::new("SHOW statement_timeout")).await.expect("a row").expect("a limit");
    assert_eq!(limit.get::<String>(0).expect("text"), "1s");
    server.pause().expect("a pause");
    let late = given_up(connection.sql().number(Query::new("SELECT 1"))).await;
    let kind = late.map_err(|error| match error {
        sqlx::Error::Io(error) => Some(error.kind()),
        _ => None,
    });
    assert_eq!(kind.expect_err("no answer"), Some(std::io::ErrorKind::TimedOut));

    // And who waits for a connection.
    let hasty = DatabaseOptions { connect_timeout: SOON, ..DatabaseOptions::default() };
    let refused = given_up(Store::open(&url, hasty)).await;
    let why = refused.map(|_| ()).map_err(|error| match error {
        OpenError::Database { source, .. } => matches!(source, sqlx::Error::PoolTimedOut),
        _ => false,
    });
    assert_eq!(why, Err(true));
    server.resume().expect("an end of the pause");
    drop(recorder);
}
