//! The task, on a real record.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use luthien_record::model::{End, Evaluation, Start, Status};
use luthien_record::store::{AuditEntry, AuditFilter};
use luthien_record::{Recorder, RecorderConfig};
use luthien_testkit::servers::S3;
use luthien_wire::Dialect;

use super::*;
use crate::settings::Sources;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let environment: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sources = Sources { environment, folder: Path::new("/nonexistent").to_owned(), ..Sources::default() };
    Settings::load(&sources).unwrap()
}

/// A transaction that began so many seconds ago.
async fn record(recorder: &Recorder, clock: Clock, ago: i64) {
    let at = Timestamp::from_second(clock.now().as_second() - ago).unwrap();
    let start = Start {
        id: clock.transaction_id(),
        at,
        dialect: Dialect::Messages,
        path: "/v1/messages".into(),
        conversation: true,
        session_id: Some(format!("{ago} seconds ago")),
        user_id: None,
        credential: None,
        model: "m".into(),
        streamed: false,
        request: Bytes::from_static(b"{}"),
        policy: "no_op".into(),
    };
    let end = End { at, status: Status::Completed, http_status: Some(200), error: None, evaluation: Evaluation::None };
    recorder.begin(start).unwrap().finish(end);
    recorder.settled().await;
}

#[tokio::test]
async fn the_task_archives_and_removes_what_is_old_until_it_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
    let clock = Clock::system();
    record(&recorder, clock, 3 * 86_400).await;
    record(&recorder, clock, 3600).await;
    let store = S3::start().unwrap();
    store.make_bucket("records").unwrap();
    let settings = settings(&[
        ("CONVERSATION_RETENTION_DAYS", "2"),
        ("ARCHIVE_S3_BUCKET", "records"),
        ("ARCHIVE_S3_ENDPOINT", &store.endpoint()),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ]);
    let keeper = Keeper::new(&settings, recorder.store().clone(), clock).unwrap();
    keeper.start(Duration::from_millis(20), &Handle::current());
    let retention = keeper.retention();
    let removed = async {
        while retention.standing().await.unwrap().transactions > 1 || retention.standing().await.unwrap().running {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), removed).await.unwrap();
    keeper.shutdown(Duration::from_secs(10)).await;
    let objects = store.objects("records").unwrap();
    assert_eq!(objects.len(), 1);
    assert!(objects[0].starts_with("luthien/transactions-") && objects[0].ends_with("-0001.jsonl.zst"), "{objects:?}");
    let left = retention.standing().await.unwrap();
    assert_eq!((left.transactions, left.too_old, left.running), (1, 0, false));
    recorder.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn the_task_forgets_what_is_too_old_of_the_audit_log() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
    let (clock, store) = (Clock::system(), recorder.store());
    let entry = |days: i64| AuditEntry {
        id: clock.transaction_id().0,
        at: Timestamp::from_second(clock.now().as_second() - days * 86_400).unwrap(),
        name: None,
        role: None,
        proof: None,
        method: "POST".into(),
        route: format!("{days} days ago"),
        target: String::new(),
        status: None,
        replica: String::new(),
    };
    store.add_audit(&[entry(1), entry(3), entry(400)]).await.unwrap();
    let kept = async |settings: &[(&str, &str)], expected: &[&str]| {
        let keeper = Keeper::new(&self::settings(settings), store.clone(), clock).unwrap();
        keeper.start(Duration::from_millis(20), &Handle::current());
        let until = async {
            loop {
                let page = store.audit(&AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
                if page.entries.iter().map(|entry| entry.route.as_str()).eq(expected.iter().copied()) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), until).await.unwrap();
        keeper.shutdown(Duration::from_secs(10)).await;
    };
    kept(&[], &["1 days ago", "3 days ago"]).await;
    kept(&[("AUDIT_RETENTION_DAYS", "2")], &["1 days ago"]).await;
    recorder.shutdown(Duration::from_secs(10)).await;
}
