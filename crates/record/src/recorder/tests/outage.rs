//! A database that is locked, away or slow.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::database::DatabaseOptions;
use crate::recorder::{Full, Recorder, RecorderConfig};
use crate::testing::{Db, Home, answered, config, decision, end, id, killed, recorder, start, stored};

/// Waits until the writer has dealt with so many things, in whatever way.
async fn processed(recorder: &Recorder, count: u64) {
    recorder.inner.shared.queue.flush();
    recorder.wait_until(|progress| progress.processed >= count).await;
}

async fn lock(recorder: &RecorderConfig) -> SqliteConnection {
    let path = recorder.database.trim_start_matches("sqlite://");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut other = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("locked");
    other
}

#[tokio::test]
async fn what_a_locked_database_does_not_take_is_there_once_after_it() {
    let (folder, recorder) = recorder().await;
    let mut other = lock(&config(folder.path())).await;
    let open = answered(&recorder, start(0, None, "{}"), b"across");
    recorder.inner.shared.tick();
    for number in 1..=300 {
        answered(&recorder, start(number, None, "{}"), b"kept").finish(end(number));
    }
    recorder.late_decision(id(1), decision("late", "pass"));
    processed(&recorder, 301).await;
    let health = recorder.health();
    assert!(health.database.is_err_and(|why| why.contains("locked")));
    assert!(health.journal_bytes > 0);
    assert_eq!((health.queued, health.dropped), (0, 0));
    let at_kill = killed(folder.path());

    sqlx::query("ROLLBACK").execute(&mut other).await.expect("unlocked");
    answered(&recorder, start(301, None, "{}"), b"kept").finish(end(301));
    recorder.settled().await;
    assert_eq!(recorder.store().calls(1).await.expect("calls").total, 301);
    assert_eq!(stored(&recorder, 1).await.expect("stored").decisions, [decision("late", "pass")]);
    assert_eq!(recorder.health().database, Ok(()));
    open.finish(end(0));
    recorder.settled().await;
    assert_eq!(stored(&recorder, 0).await.expect("stored").upstream_response, "across");
    assert_eq!(recorder.health().journal_bytes, 0);

    // A process killed during the outage loses none of it either.
    let again = Recorder::open(config(at_kill.path())).await.expect("a recorder");
    assert_eq!(again.store().calls(1).await.expect("calls").total, 301);
    assert_eq!(stored(&again, 300).await.expect("stored").upstream_response, "kept");
}

#[tokio::test]
async fn a_database_that_was_moved_away_and_back_has_everything_once() {
    let (folder, recorder) = recorder().await;
    answered(&recorder, start(1, None, "{}"), b"before").finish(end(1));
    recorder.settled().await;
    let (path, aside) = (folder.path().join("luthien.db"), folder.path().join("aside"));
    std::fs::rename(&path, &aside).expect("moved");
    answered(&recorder, start(2, None, "{}"), b"meanwhile").finish(end(2));
    processed(&recorder, 2).await;
    assert!(recorder.health().database.is_err_and(|why| why.contains("missing")));
    assert!(!path.exists());
    std::fs::rename(&aside, &path).expect("moved back");
    recorder.settled().await;
    assert_eq!(recorder.store().calls(1).await.expect("calls").total, 2);
    assert_eq!(stored(&recorder, 2).await.expect("stored").upstream_response, "meanwhile");
}

#[tokio::test]
async fn what_does_not_fit_in_memory_goes_through_the_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = RecorderConfig { queue: 2, batch_interval: Duration::from_hours(1), ..config(folder.path()) };
    let recorder = Recorder::open(config).await.expect("a recorder");
    for number in 0..50 {
        answered(&recorder, start(number, None, "{}"), b"kept").finish(end(number));
    }
    assert_eq!(recorder.health().queued, 2);
    recorder.settled().await;
    assert_eq!(recorder.store().calls(1).await.expect("calls").total, 50);
    assert_eq!(recorder.health().dropped, 0);
}

#[tokio::test]
async fn at_the_journals_limit_records_are_dropped_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = RecorderConfig { journal_max_bytes: 4096, ..config(folder.path()) };
    let recorder = Recorder::open(config.clone()).await.expect("a recorder");
    let mut other = lock(&config).await;
    for number in 0..20 {
        answered(&recorder, start(number, None, "{}"), &[b'x'; 500]).finish(end(number));
    }
    processed(&recorder, 20).await;
    let health = recorder.health();
    assert!(health.dropped > 0 && health.dropped < 20);
    assert!(health.journal_bytes <= 4096);
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("unlocked");
    recorder.settled().await;
    assert_eq!(recorder.store().calls(1).await.expect("calls").total + health.dropped, 20);
    assert_eq!(recorder.health().journal_bytes, 0);
}

#[tokio::test]
async fn what_is_too_large_for_the_journal_keeps_no_other_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = RecorderConfig { journal_max_bytes: 4096, ..config(folder.path()) };
    let recorder = Recorder::open(config).await.expect("a recorder");
    let large = answered(&recorder, start(1, None, "{}"), &[b'x'; 5000]);
    let small = answered(&recorder, start(2, None, "{}"), b"kept");
    recorder.inner.shared.tick();
    let left = killed(folder.path());
    let again = Recorder::open(RecorderConfig::in_dir(left.path())).await.expect("a recorder");
    assert_eq!(stored(&again, 2).await.expect("stored").upstream_response, "kept");
    drop((large, small));
}

#[tokio::test]
async fn a_required_record_refuses_what_it_could_not_keep() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = RecorderConfig { journal_max_bytes: 600, required: true, ..config(folder.path()) };
    let recorder = Recorder::open(config.clone()).await.expect("a recorder");
    let mut other = lock(&config).await;
    let two = [1, 2].map(|number| answered(&recorder, start(number, None, "{}"), &[b'x'; 500]));
    for (number, one) in (1..).zip(two) {
        one.finish(end(number));
    }
    recorder.inner.shared.queue.flush();
    let away = || recorder.inner.shared.away_because().is_some();
    recorder.wait_until(|_| away() && recorder.health().queued == 2).await;
    assert!(recorder.begin(start(9, None, "{}")).is_err_and(|error| error == Full));
    assert!(!recorder.health().accepting);
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("unlocked");
    recorder.inner.shared.queue.flush();
    recorder.wait_until(|_| recorder.inner.shared.away_because().is_none()).await;
    answered(&recorder, start(3, None, "{}"), b"kept").finish(end(3));
    recorder.settled().await;
    for number in 1..=3 {
        assert!(stored(&recorder, number).await.is_some(), "{number} was begun");
    }
    assert_eq!(recorder.health().dropped, 0);
}

#[tokio::test]
async fn what_neither_database_nor_journal_takes_waits_in_memory() {
    let (folder, recorder) = recorder().await;
    let mut other = lock(&config(folder.path())).await;
    let (journal, aside) = (folder.path().join("journal"), folder.path().join("aside"));
    std::fs::rename(&journal, &aside).expect("moved");
    for number in 0..3 {
        answered(&recorder, start(number, None, "{}"), b"kept").finish(end(number));
    }
    recorder.inner.shared.queue.flush();
    recorder.wait_until(|_| recorder.inner.shared.away_because().is_some()).await;
    recorder.inner.shared.keep_in_flight(Duration::ZERO);
    let health = recorder.health();
    assert_eq!((health.queued, health.dropped), (3, 0));
    assert!(health.journal.is_err());

    std::fs::rename(&aside, &journal).expect("moved back");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("unlocked");
    recorder.settled().await;
    assert_eq!(recorder.store().calls(1).await.expect("calls").total, 3);
    recorder.inner.shared.tick();
    let health = recorder.health();
    assert_eq!((health.queued, health.dropped, health.journal_bytes), (0, 0, 0));
    assert_eq!(health.journal, Ok(()));
}

#[tokio::test]
async fn a_table_that_others_lock_gathers_no_crowd() {
    let home = Home::new(Db::Postgres);
    let options = DatabaseOptions { query_timeout: Duration::from_millis(100), ..DatabaseOptions::default() };
    let config = RecorderConfig { options, ..home.config() };
    let recorder = Recorder::open(config.clone()).await.expect("a recorder");
    let mut other = PgConnection::connect(&config.database).await.expect("a connection");
    let mut locked = other.begin().await.expect("begun");
    sqlx::query("LOCK TABLE transactions").execute(&mut *locked).await.expect("locked");
    answered(&recorder, start(1, None, "{}"), b"kept").finish(end(1));
    recorder.inner.shared.queue.flush();
    recorder.wait_until(|_| recorder.inner.shared.away_because().is_some()).await;
    // Between two attempts nobody is left of the earlier ones.
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'luthien' AND state <> 'idle'";
    // Within one transaction the server would give the same answer again and again.
    let mut watching = PgConnection::connect(&config.database).await.expect("a connection");
    let gone = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watching).await.expect("a count") > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("they end while the table is locked");
    locked.rollback().await.expect("unlocked");
    recorder.settled().await;
    assert!(stored(&recorder, 1).await.is_some());
}

#[tokio::test]
async fn a_record_that_the_database_refuses_holds_up_no_other() {
    let (folder, recorder) = recorder().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("luthien.db"));
    let mut other = SqliteConnection::connect_with(&options).await.expect("a connection");
    let trigger = "CREATE TRIGGER no BEFORE INSERT ON transactions WHEN new.session IN ('live', 'left')
        BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::query(trigger).execute(&mut other).await.expect("a trigger");
    for number in 0..9 {
        let session = (number == 4).then_some("live");
        answered(&recorder, start(number, session, "{}"), b"kept").finish(end(number));
    }
    recorder.settled().await;
    assert_eq!(recorder.store().calls(1).await.expect("calls").total, 8);
    assert_eq!(recorder.health().database, Ok(()));
    let open = answered(&recorder, start(9, Some("left"), "{}"), b"kept");
    let fine = answered(&recorder, start(10, None, "{}"), b"kept");
    recorder.inner.shared.tick();

    // Nor is it in the way of the next start, and once it is welcome it can be brought back.
    let left = killed(folder.path());
    let again = Recorder::open(config(left.path())).await.expect("a recorder");
    assert_eq!(again.store().calls(1).await.expect("calls").total, 9);
    again.shutdown(Duration::from_secs(10)).await;
    drop(again);
    let options = options.filename(left.path().join("luthien.db"));
    let mut other = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::query("DROP TRIGGER no").execute(&mut other).await.expect("dropped");
    for number in [4, 9] {
        let aside = left.path().join(format!("journal/{}.refused", id(number)));
        std::fs::rename(aside, left.path().join(format!("journal/{number}.journal"))).expect("renamed");
    }
    let again = Recorder::open(config(left.path())).await.expect("a recorder");
    assert_eq!(again.store().calls(1).await.expect("calls").total, 11);
    assert_eq!(stored(&again, 4).await.expect("stored").upstream_response, "kept");
    drop((open, fine));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_record() {
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, recorder) = recorder().await;
    let flight = answered(&recorder, start(1, None, "{}"), b"kept");
    recorder.inner.shared.tick();
    for name in ["luthien.db", "luthien.db-wal", "luthien.db-shm", "journal/0000000000000000.journal"] {
        let mode = std::fs::metadata(folder.path().join(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(flight);
}
