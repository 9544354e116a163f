//! What is old goes, and only that: on both databases, archived before, beside live traffic.

use std::sync::Mutex;

use bytes::Bytes;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::archive::{Archived, FolderArchive, Put};
use crate::model::Start;
use crate::recorder::Recorder;
use crate::sql::Query;
use crate::testing::{Db, Home, answer, answered, decision, end, id, messages, recorder_on, second, start, stored};

mod erased;
mod exact;

/// Every table that deletions empty.
const TABLES: [&str; 13] = [
    // Only SQLite has this, and only PostgreSQL the last two.
    "words",
    "transactions",
    "sessions",
    "session_tags",
    "refs",
    "nodes",
    "contents",
    "turn_texts",
    "late_decisions",
    "request_logs",
    "garbage",
    "word_blocks",
    "words_gone",
];

/// How many rows are in these tables, on either database.
async fn rows(store: &Store, tables: &[&str]) -> Vec<i64> {
    let mut connection = store.readers().acquire().await.expect("a connection");
    let mut counts = Vec::new();
    for table in tables {
        counts
            .push(connection.sql().number(Query::new(format!("SELECT COUNT(*) FROM {table}"))).await.expect("a count"));
    }
    counts
}

/// The tables of this database that are to be empty once everything is deleted.
fn tables(db: Db) -> &'static [&'static str] {
    match db {
        Db::Sqlite => &TABLES[..TABLES.len() - 2],
        Db::Postgres => &TABLES[1..],
    }
}

/// One transaction of a session, a day after the one with the number before it.
async fn record(recorder: &Recorder, day: u32, session: &str, text: &str) -> Start {
    let started = begun(day, session, text);
    answered(recorder, started.clone(), &answer(&text.repeat(200))).finish(end(day * 86_400));
    recorder.settled().await;
    started
}

fn begun(day: u32, session: &str, text: &str) -> Start {
    let body = messages(&[json!({"role": "user", "content": text.repeat(200)})]);
    Start { id: id(day.into()), ..start(day * 86_400, Some(session), body) }
}

fn retention(recorder: &Recorder, rule: Rule) -> Retention {
    // Ten days and a bit after the first.
    Retention { store: recorder.store().clone(), rule, archive: None, now: || second(10 * 86_400 + 60) }
}

fn older_than(days: u64) -> Rule {
    Rule { max_age: Some(Duration::from_secs(days * 86_400)), max_bytes: None }
}

fn run(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The lines of all files in a folder, and the files' names, in their order.
fn read_archive(folder: &std::path::Path) -> (Vec<String>, Vec<Archived>) {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    let text = |name: &String| {
        let bytes = std::fs::read(folder.join(name)).expect("a file");
        String::from_utf8(zstd::stream::decode_all(&bytes[..]).expect("zstd")).expect("text")
    };
    let lines = names.iter().map(text).collect::<String>();
    (names, lines.lines().map(|line| Archived::read(line).expect("a line")).collect())
}

#[rstest]
#[tokio::test]
async fn what_is_too_old_is_archived_whole_and_goes(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    for (day, session) in [(1, "a"), (2, "b"), (3, "a"), (4, "a"), (5, "b"), (9, "a")] {
        record(&recorder, day, session, "same words").await;
    }
    recorder.late_decision(id(3), decision("shadow", "pass"));
    recorder.settled().await;
    let mut details = Vec::new();
    for day in [1, 2, 3, 4, 5] {
        details.push(stored(&recorder, day).await.expect("stored"));
    }
    let folder = home.folder.path().join("archive");
    let keeper =
        Retention { archive: Some(Arc::new(FolderArchive::new(&folder))), ..retention(&recorder, older_than(5)) };
    let standing = keeper.standing().await.expect("a standing");
    assert_eq!((standing.transactions, standing.too_old, standing.running), (6, 5, false));
    assert_eq!((standing.oldest, standing.last), (Some(second(86_400)), None));

    let report = keeper.run(run(7)).await.expect("a run");
    assert_eq!((report.transactions, report.sessions, report.files, report.unreadable), (5, 1, 5, 0));
    let (names, mut lines) = read_archive(&folder);
    assert_eq!(names[0], "transactions-2027-01-16-00000000-0000-0000-0000-000000000007-0001.jsonl.zst");
    lines.sort_by_key(|line| line.id);
    let expected: Vec<Archived> =
        details.into_iter().map(|detail| Archived::new(detail.clone(), detail.session_id, &[7; 16])).collect();
    assert_eq!(lines, expected);
    assert_eq!(lines[2].decisions, [decision("shadow", "pass")]);

    assert!(stored(&recorder, 5).await.is_none());
    assert!(stored(&recorder, 9).await.is_some());
    assert_eq!(rows(recorder.store(), &["transactions", "sessions", "garbage", "late_decisions"]).await, [1, 1, 0, 0]);
    let session = recorder.store().session("a").await.expect("read").expect("a session");
    assert_eq!(session.transactions.len(), 1);
    let standing = keeper.standing().await.expect("a standing");
    assert_eq!((standing.transactions, standing.too_old), (1, 0));
    let (at, words) = standing.last.expect("a run");
    assert_eq!(
        (at, words.starts_with("removed 5 transactions and 1 whole session, archived 5 files")),
        (second(864_060), true)
    );
}

#[rstest]
#[tokio::test]
async fn a_session_shows_what_is_left_of_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    for (day, text) in [(1, "first "), (8, "then "), (9, "last ")] {
        record(&recorder, day, "s", text).await;
    }
    let other = Start { model: "other".into(), user_id: Some("ann".into()), ..begun(2, "s", "second ") };
    answered(&recorder, other, b"").finish(end(2 * 86_400));
    recorder.late_decision(id(9), decision("shadow", "pass"));
    recorder.settled().await;
    let list =
        async || recorder.store().sessions(&crate::store::SessionFilter { limit: 9, ..Default::default() }).await;
    let before = list().await.expect("a list").sessions.remove(0);
    assert_eq!((before.turns, before.models.len(), before.users.len()), (4, 2, 1));
    retention(&recorder, older_than(5)).run(run(1)).await.expect("a run");
    let after = list().await.expect("a list").sessions.remove(0);
    assert_eq!((after.first, after.last, after.turns), (second(8 * 86_400), before.last, 2));
    assert_eq!((after.models, after.users), (vec!["claude-x".to_owned()], Vec::new()));
    assert!(after.preview.expect("a title").starts_with("then then"));
    // The third event less for each that went, and the late one stays counted.
    assert_eq!(after.events, (before.events - 1) / 4 * 2 + 1);
}

#[rstest]
#[tokio::test]
async fn a_session_that_goes_on_after_its_contents_went_is_recorded_whole(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let begin = |day: u32, turns: u32| {
        let said: Vec<_> =
            (0..turns).map(|n| json!({"role": "user", "content": format!("turn {n} ").repeat(100)})).collect();
        Start { id: id(day.into()), ..start(day * 86_400, Some("s"), messages(&said)) }
    };
    for (day, turns) in [(1, 3), (2, 4)] {
        answered(&recorder, begin(day, turns), &answer("yes")).finish(end(day * 86_400));
    }
    recorder.settled().await;
    retention(&recorder, older_than(5)).run(run(1)).await.expect("a run");
    assert!(rows(recorder.store(), tables(db)).await.iter().all(|count| *count == 0));
    let next = begin(9, 5);
    answered(&recorder, next.clone(), &answer("yes")).finish(end(9 * 86_400));
    recorder.settled().await;
    let found = stored(&recorder, 9).await.expect("stored");
    assert_eq!((found.request, found.upstream_response), (next.request, Bytes::from(answer("yes"))));
}

#[rstest]
#[tokio::test]
async fn size_takes_the_oldest_until_enough_is_free(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let noise = |day: u32| -> String {
        let mut state = u64::from(day) + 1;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + u8::try_from(state >> 60).expect("four bits"))
        };
        (0..40_000).map(|_| next()).collect()
    };
    for day in 1..=9 {
        let body = messages(&[json!({"role": "user", "content": noise(day)})]);
        let begun = Start { id: id(day.into()), ..start(day * 86_400, Some(&format!("s{day}")), body) };
        answered(&recorder, begun, b"").finish(end(day * 86_400));
    }
    recorder.settled().await;
    let keeper = retention(&recorder, Rule { max_age: None, max_bytes: Some(u64::MAX) });
    let bytes = keeper.standing().await.expect("a standing").bytes.expect("measured");
    // Each takes some 20 kB.
    let rule = Rule { max_age: None, max_bytes: Some(bytes - 50_000) };
    let keeper = Retention { rule, ..keeper };
    assert_eq!(keeper.standing().await.expect("a standing").too_many, 50_000);
    let report = keeper.run(run(1)).await.expect("a run");
    assert_eq!(report.bytes_before, Some(bytes));
    assert!(report.bytes_after.expect("measured") <= bytes - 50_000);
    assert_eq!((report.transactions, report.sessions), (3, 3));
    assert!(stored(&recorder, 3).await.is_none() && stored(&recorder, 4).await.is_some());
    assert_eq!(keeper.run(run(2)).await.expect("a run").transactions, 0);
}

#[tokio::test]
async fn without_a_rule_about_the_size_a_server_is_not_asked_for_it() {
    let (_home, recorder) = recorder_on(Db::Postgres).await;
    record(&recorder, 1, "a", "words").await;
    let keeper = retention(&recorder, older_than(5));
    assert_eq!(keeper.standing().await.expect("a standing").bytes, None);
    let report = keeper.run(run(1)).await.expect("a run");
    assert_eq!((report.transactions, report.bytes_before, report.bytes_after), (1, None, None));
    assert!(report.in_words().ends_with("bytes in use not measured"), "{}", report.in_words());
}

#[tokio::test]
async fn the_size_is_that_of_all_stretches_together() {
    let (_home, recorder) = recorder_on(Db::Postgres).await;
    for day in 1..=9 {
        record(&recorder, day, &format!("s{day}"), &format!("words of {day} ")).await;
    }
    let mut connection = recorder.store().readers().acquire().await.expect("a connection");
    let mut sql = connection.sql();
    let mut bytes = 0;
    for part in sql::retention::size(&mut sql).await.expect("parts") {
        bytes += sql.number(part).await.expect("a number");
    }
    let mut whole = 0;
    for (table, held) in sql::retention::HELD {
        let all = format!("SELECT CAST(SUM({held}) AS BIGINT) FROM {table}");
        whole += sql.number(Query::new(all)).await.expect("a number");
    }
    assert_eq!(bytes, whole);
}

#[tokio::test]
async fn a_file_becomes_smaller_when_that_is_asked_for() {
    let (home, recorder) = recorder_on(Db::Sqlite).await;
    for number in 1..100 {
        let body = messages(&[json!({"role": "user", "content": format!("{number}").repeat(500)})]);
        answered(&recorder, start(number, Some("s"), body), b"").finish(end(number));
    }
    recorder.settled().await;
    let keeper = retention(&recorder, older_than(5));
    keeper.run(run(1)).await.expect("a run");
    let size = || std::fs::metadata(home.folder.path().join("luthien.db")).expect("a file").len();
    assert!(keeper.shrink().await.expect("shrunk"));
    let small = size();
    assert_eq!(Some(small), keeper.standing().await.expect("a standing").bytes);
    let (_home, recorder) = recorder_on(Db::Postgres).await;
    assert!(!retention(&recorder, Rule::default()).shrink().await.expect("left alone"));
}

#[rstest]
#[tokio::test]
async fn nothing_is_removed_while_rows_have_no_session_yet(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    let kept = record(&recorder, 9, "old", "shared by both ").await;
    record(&recorder, 1, "new", "shared by both ").await;
    // As before there were sessions.
    let mut work = recorder.store().editor().begin().await.expect("a connection");
    let forget = [
        Query::new("UPDATE transactions SET session_key = NULL WHERE id = ?").bind(id(9).0),
        Query::new("DELETE FROM refs WHERE session = (SELECT key FROM sessions WHERE name = ?)").bind("old"),
        Query::new("DELETE FROM session_tags WHERE session = (SELECT key FROM sessions WHERE name = ?)").bind("old"),
        Query::new("DELETE FROM turn_texts WHERE transaction_id = ?").bind(id(9).0),
        Query::new("DELETE FROM sessions WHERE name = ?").bind("old"),
    ];
    for query in forget {
        work.sql().run(query).await.expect("forgotten");
    }
    work.commit().await.expect("kept");
    let keeper = retention(&recorder, older_than(5));
    assert!(keeper.run(run(1)).await.expect_err("refused").to_string().contains("have not been completed"));
    let recorder = again(&home, recorder).await;
    assert_eq!(retention(&recorder, older_than(5)).run(run(2)).await.expect("a run").transactions, 1);
    assert_eq!(stored(&recorder, 9).await.expect("stored").request, kept.request);
    assert_eq!(rows(recorder.store(), &["garbage"]).await, [0]);
}

/// An archive that runs something before it answers.
struct Odd<F>(F, Mutex<Vec<String>>);

impl<F> std::fmt::Debug for Odd<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Odd").finish_non_exhaustive()
    }
}

impl<F: Fn() -> Done + Send + Sync> Archive for Odd<F> {
    fn put<'a>(&'a self, name: &'a str, _: Bytes) -> Put<'a> {
        self.1.lock().expect("a lock").push(name.to_owned());
        Box::pin((self.0)())
    }

    fn place(&self) -> String {
        "odd".into()
    }
}

type Done = std::pin::Pin<Box<dyn Future<Output = Result<(), ArchiveError>> + Send>>;

#[rstest]
#[tokio::test]
async fn what_did_not_reach_the_archive_stays(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    record(&recorder, 1, "a", "words").await;
    let refuse = || -> Done {
        let error = ArchiveError { file: "f".into(), place: "odd".into(), why: "no room".into() };
        Box::pin(std::future::ready(Err(error)))
    };
    let archive = Some(Arc::new(Odd(refuse, Mutex::default())) as Arc<dyn Archive>);
    let keeper = Retention { archive, ..retention(&recorder, older_than(5)) };
    assert!(matches!(keeper.run(run(1)).await, Err(RetentionError::Archive(_))));
    assert!(stored(&recorder, 1).await.is_some());
    let (_, words) = keeper.standing().await.expect("a standing").last.expect("a run");
    assert!(
        words.starts_with("removed 0 transactions")
            && words.contains("then: cannot write f to the archive odd: no room")
    );
    // Nobody is at it any more.
    assert_eq!(retention(&recorder, older_than(5)).run(run(2)).await.expect("a run").transactions, 1);
}

#[rstest]
#[tokio::test]
async fn a_decision_that_comes_after_the_archive_keeps_its_transaction(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    record(&recorder, 1, "a", "words").await;
    record(&recorder, 2, "b", "words").await;
    let late = recorder.clone();
    let archive = Odd(
        move || -> Done {
            let late = late.clone();
            Box::pin(async move {
                late.late_decision(id(1), decision("shadow", "block"));
                late.settled().await;
                Ok(())
            })
        },
        Mutex::default(),
    );
    let keeper = Retention { archive: Some(Arc::new(archive)), ..retention(&recorder, older_than(5)) };
    assert_eq!(keeper.run(run(1)).await.expect("a run").transactions, 1);
    // One with the file of each day.
    let late = vec![decision("shadow", "block"); 2];
    assert_eq!(stored(&recorder, 1).await.expect("stored").decisions, late);
    let folder = home.folder.path().join("archive");
    let keeper = Retention { archive: Some(Arc::new(FolderArchive::new(&folder))), ..keeper };
    assert_eq!(keeper.run(run(2)).await.expect("a run").transactions, 1);
    assert_eq!(read_archive(&folder).1[0].decisions, late);
}

#[rstest]
#[tokio::test]
async fn a_transaction_that_is_damaged_stays_and_the_others_go(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    record(&recorder, 1, "a", "damaged").await;
    record(&recorder, 2, "b", "whole").await;
    let mut work = recorder.store().editor().begin().await.expect("a connection");
    let damage = Query::new("UPDATE transactions SET upstream_headers = ? WHERE id = ?").bind("{").bind(id(1).0);
    assert_eq!(work.sql().run(damage).await.expect("damaged"), 1);
    work.commit().await.expect("kept");
    let folder = home.folder.path().join("archive");
    let keeper =
        Retention { archive: Some(Arc::new(FolderArchive::new(&folder))), ..retention(&recorder, older_than(5)) };
    let report = keeper.run(run(1)).await.expect("a run");
    assert_eq!((report.transactions, report.unreadable), (1, 1));
    assert_eq!(rows(recorder.store(), &["transactions"]).await, [1]);
}

#[rstest]
#[tokio::test]
async fn one_at_a_time_removes(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    record(&recorder, 1, "a", "words").await;
    let first = retention(&recorder, older_than(5));
    first.hold(run(1)).await.expect("taken");
    assert!(first.standing().await.expect("a standing").running);
    let error = first.run(run(2)).await.expect_err("busy");
    assert!(matches!(error, RetentionError::Busy(until) if until == later(second(864_060), HOLD)), "{error}");
    first.give_up(run(1)).await;
    assert_eq!(first.run(run(2)).await.expect("a run").transactions, 1);
    // One who was killed is waited for no longer than that.
    first.hold(run(3)).await.expect("taken");
    let after = Retention { now: || second(864_060 + 1201), ..first.clone() };
    after.hold(run(4)).await.expect("taken over");
    assert!(matches!(first.hold(run(3)).await, Err(RetentionError::Busy(_))));
}

#[rstest]
#[tokio::test]
async fn traffic_goes_on_beside_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let system = "shared by all ".repeat(100);
    let begin = |number: u32, day: u32| {
        let said = json!({"role": "user", "content": format!("turn {number} ").repeat(100)});
        let shared = json!({"role": "user", "content": system});
        let body = messages(&[shared, said]);
        Start { id: id(number.into()), ..start(day * 86_400 + number, Some(&format!("s{}", number % 7)), body) }
    };
    for number in 0..300 {
        answered(&recorder, begin(number, 1), &answer("yes")).finish(end(number));
    }
    recorder.settled().await;
    let keeper = retention(&recorder, older_than(5));
    let live = async {
        for number in 300..600 {
            answered(&recorder, begin(number, 9), &answer("yes")).finish(end(number));
            tokio::task::yield_now().await;
        }
        recorder.settled().await;
    };
    let (report, ()) = tokio::join!(keeper.run(run(1)), live);
    assert_eq!(report.expect("a run").transactions, 300);
    let health = recorder.health();
    assert_eq!((health.dropped, health.database), (0, Ok(())));
    assert_eq!(rows(recorder.store(), &["transactions", "sessions", "garbage"]).await, [300, 7, 0]);
    for number in 300..600 {
        let found = stored(&recorder, number).await.expect("stored");
        assert_eq!(found.request, begin(number, 9).request);
    }
}

/// What is left in a home, when its recorder has ended and another one looks.
async fn again(home: &Home, recorder: Recorder) -> Recorder {
    recorder.shutdown(Duration::from_secs(10)).await;
    drop(recorder);
    Recorder::open(home.config()).await.expect("a recorder")
}
