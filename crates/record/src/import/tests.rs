//! What an older proxy recorded is in the record afterwards, once.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::DatabaseOptions;
use crate::history;
use crate::model::{Evaluation, Status};
use crate::older::testing::OldDatabase;
use crate::redact::Redactor;
use crate::testing::{Db, Home};

const FIRST: &str = "c3b1a2d4-0000-4000-8000-000000000001";
const SECOND: &str = "01b1a2d4-0000-4000-8000-000000000002";

fn now() -> Timestamp {
    "2025-06-01T00:00:00Z".parse().expect("a time")
}

fn options() -> Options {
    Options { since: None, now: now() }
}

/// Keeps what it is told.
#[derive(Default)]
struct Kept {
    progress: Vec<(u64, u64)>,
    rejected: Vec<Unreadable>,
}

impl Watch for Kept {
    fn progress(&mut self, done: u64, of: u64) {
        self.progress.push((done, of));
    }
    fn rejected(&mut self, what: &Unreadable) -> std::io::Result<()> {
        self.rejected.push(what.clone());
        Ok(())
    }
}

/// A record that others may write to.
struct Here {
    _home: Home,
    into: Target,
}

impl Here {
    async fn new(db: Db) -> Self {
        let home = Home::new(db);
        let config = home.config();
        let importer = Importer::open(&config.database, config.options, config.redactor).await.expect("an importer");
        Self { _home: home, into: Target::Record(Box::new(importer)) }
    }

    fn store(&self) -> &Store {
        match &self.into {
            Target::Record(importer) => importer.store(),
            Target::Nowhere(_) => panic!("a dry run"),
        }
    }

    async fn import(&mut self, from: &OldDatabase, options: Options) -> (Summary, Kept) {
        run(from, &mut self.into, options).await
    }

    async fn found(&self, id: &str) -> Option<crate::store::TransactionDetail> {
        let id = TransactionId(id.parse().expect("an id"));
        self.store().transaction(id).await.expect("a query")
    }
}

async fn run(from: &OldDatabase, into: &mut Target, options: Options) -> (Summary, Kept) {
    let mut kept = Kept::default();
    let mut from = OlderRecord::open(&from.place).await.expect("opened");
    let summary = luthien_proxy(&mut from, into, options, &mut kept).await.expect("imported");
    from.close().await;
    (summary, kept)
}

fn request(texts: &[&str]) -> Value {
    let messages: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"role": if index % 2 == 0 { "user" } else { "assistant" }, "content": text}))
        .collect();
    json!({"model": "claude-x", "max_tokens": 1024, "messages": messages})
}

fn answer(text: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}})
}

/// A body. PostgreSQL's `jsonb` has the members in an order of its own.
fn read(body: &Bytes) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

/// A call with a request and an answer, both as they came and as they left.
async fn whole(from: &mut OldDatabase, id: &str, at: &str, requests: [&Value; 2], answers: [&Value; 2]) {
    from.call(id, "s", at).await;
    let recorded = json!({"original_model": "claude-x", "final_model": "claude-x", "original_request": requests[0], "final_request": requests[1]});
    from.event(id, "transaction.request_recorded", at, &recorded).await;
    let recorded = json!({"original_response": answers[0], "final_response": answers[1]});
    from.event(id, "transaction.non_streaming_response_recorded", at, &recorded).await;
}

#[rstest]
#[tokio::test]
async fn a_call_becomes_a_transaction(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut from = OldDatabase::new(db).await;
    let (asked, edited) = (request(&["my key is 1"]), request(&["my key is x"]));
    let (came, went) = (answer("fine"), answer("FINE"));
    from.call(FIRST, "s", "2025-01-02 03:04:05").await;
    from.run("UPDATE conversation_calls SET completed_at = '2025-01-02 03:04:09'").await;
    from.event(FIRST, "pipeline.client_request", "2025-01-02 03:04:06.5", &json!({"payload": asked})).await;
    let recorded = json!({"original_model": "claude-x", "final_model": "claude-x", "original_request": asked, "final_request": edited});
    from.event(FIRST, "transaction.request_recorded", "2025-01-02 03:04:07", &recorded).await;
    let told = json!({"summary": "shouted"});
    from.event(FIRST, "policy.all_caps.content_transformed", "2025-01-02T03:04:08+00:00", &told).await;
    let recorded = json!({"original_response": came, "final_response": went});
    from.event(FIRST, "transaction.non_streaming_response_recorded", "2025-01-02 03:04:08", &recorded).await;
    from.event(FIRST, "pipeline.client_response", "2025-01-02 03:04:08.25", &json!({})).await;

    let mut here = Here::new(db).await;
    let (summary, kept) = here.import(&from, options()).await;
    assert_eq!(summary, Summary { calls: 1, imported: 1, ..Summary::default() });
    assert_eq!((kept.progress, kept.rejected), (vec![(1, 1)], Vec::new()));

    let found = here.found(FIRST).await.expect("imported");
    assert_eq!(
        (found.session_id.as_str(), found.user_id.as_deref(), found.model.as_str()),
        ("s", Some("ada"), "claude-x")
    );
    assert_eq!((found.path.as_str(), found.dialect, found.streamed), ("/v1/messages", Dialect::Messages, false));
    assert_eq!(found.at.to_string(), "2025-01-02T03:04:06.5Z");
    assert_eq!(found.ended.to_string(), "2025-01-02T03:04:08.25Z");
    assert_eq!(
        (found.status, found.http_status, found.evaluation),
        (Status::Completed, Some(200), Evaluation::Intervened)
    );
    assert_eq!(read(&found.request), asked);
    let sent = found.upstream_request.clone().expect("sent");
    assert_eq!((sent.upstream.as_str(), read(&sent.body)), ("anthropic", edited));
    assert_eq!(read(&found.upstream_response), came);
    assert_eq!(read(found.client_response()), went);
    let told: Vec<_> = found.events.iter().map(|event| (event.event_type.as_str(), &event.data)).collect();
    let from = json!({"from": "luthien-proxy", "call_id": FIRST});
    assert_eq!(
        told,
        [("policy.all_caps.content_transformed", &json!({"summary": "shouted"})), ("record.imported", &from)]
    );

    let session = history::session(here.store(), "s").await.expect("a query").expect("a session");
    let turn = &session.turns[0];
    assert!(turn.had_policy_intervention && turn.request_was_modified && turn.response_was_modified);
    assert_eq!(turn.response_messages[0].content, "FINE");
}

#[rstest]
#[tokio::test]
async fn a_second_import_changes_nothing(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut from = OldDatabase::new(db).await;
    let (asked, said) = (request(&["one"]), answer("yes"));
    whole(&mut from, FIRST, "2025-01-02 03:04:05", [&asked, &asked], [&said, &said]).await;
    whole(&mut from, "call-7", "2025-01-02 03:04:06", [&asked, &asked], [&said, &said]).await;
    let mut here = Here::new(db).await;
    let (summary, _) = here.import(&from, options()).await;
    assert_eq!(summary, Summary { calls: 2, imported: 2, ..Summary::default() });
    let before = here.store().session("s").await.expect("a query");
    let (summary, _) = here.import(&from, Options { now: now() + SignedDuration::from_hours(1), ..options() }).await;
    assert_eq!(summary, Summary { calls: 2, already: 2, ..Summary::default() });
    assert_eq!(here.store().session("s").await.expect("a query"), before);
    assert_eq!(before.expect("a session").transactions.len(), 2);
}

#[rstest]
#[tokio::test]
async fn turns_keep_their_order_whatever_their_ids(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut from = OldDatabase::new(db).await;
    let said = answer("yes");
    let (one, two) = (request(&["one"]), request(&["one", "yes", "two"]));
    whole(&mut from, FIRST, "2025-01-02 03:04:05", [&one, &one], [&said, &said]).await;
    whole(&mut from, SECOND, "2025-01-02 03:05:05", [&two, &two], [&said, &said]).await;
    let mut here = Here::new(db).await;
    here.import(&from, options()).await;
    let session = history::session(here.store(), "s").await.expect("a query").expect("a session");
    let turns: Vec<_> = session.turns.iter().map(|turn| (turn.call_id.as_str(), turn.new_from)).collect();
    assert_eq!(turns, [(FIRST, 0), (SECOND, 2)]);
    let calls = history::calls(here.store(), 1).await.expect("a query").calls;
    assert_eq!(calls[0].call_id, SECOND);
}

#[rstest]
#[tokio::test]
async fn a_streamed_call_has_one_answer_and_that_is_said(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut from = OldDatabase::new(db).await;
    let (asked, said) = (request(&["one"]), answer("yes"));
    from.call(FIRST, "s", "2025-01-02 03:04:05").await;
    let recorded = json!({"final_request": asked, "final_model": "claude-x"});
    from.event(FIRST, "transaction.request_recorded", "2025-01-02 03:04:06", &recorded).await;
    let recorded = json!({"original_response": said, "final_response": said});
    from.event(FIRST, "transaction.streaming_response_recorded", "2025-01-02 03:04:07", &recorded).await;
    let mut here = Here::new(db).await;
    let (summary, _) = here.import(&from, options()).await;
    assert_eq!(summary, Summary { calls: 1, imported: 1, one_answer: 1, ..Summary::default() });
    let found = here.found(FIRST).await.expect("imported");
    assert_eq!((found.streamed, found.evaluation, found.own_response), (true, Evaluation::None, None));
    assert_eq!(found.ended.to_string(), "2025-01-02T03:04:07Z");
}

#[rstest]
#[case::under_way("2025-05-31 23:30:00", Summary { calls: 1, under_way: 1, ..Summary::default() }, None)]
#[case::left("2025-05-31 22:30:00", Summary { calls: 1, imported: 1, ..Summary::default() }, Some(Status::Interrupted))]
#[tokio::test]
async fn a_call_without_an_end_waits_for_an_hour(
    #[case] at: &str,
    #[case] expected: Summary,
    #[case] status: Option<Status>,
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
) {
    let mut from = OldDatabase::new(db).await;
    from.call(FIRST, "s", at).await;
    from.event(FIRST, "transaction.request_recorded", at, &json!({"final_request": request(&["one"])})).await;
    let mut here = Here::new(db).await;
    let (summary, _) = here.import(&from, options()).await;
    assert_eq!(summary, expected);
    assert_eq!(here.found(FIRST).await.map(|found| found.status), status);
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_the_rest_is_imported() {
    let mut from = OldDatabase::new(Db::Sqlite).await;
    let (asked, said) = (request(&["one"]), answer("yes"));
    whole(&mut from, FIRST, "2025-01-02 03:04:05", [&asked, &asked], [&said, &said]).await;
    from.raw_event(FIRST, "policy.x.y", "2025-01-02 03:04:06", "{\"a\": NaN").await;
    from.call("lost", "s", "once").await;
    from.event("nowhere", "policy.x.y", "2025-01-02 03:04:06", &json!({})).await;
    let mut here = Here::new(Db::Sqlite).await;
    let (summary, kept) = here.import(&from, options()).await;
    let expected = Summary { calls: 2, imported: 1, rejected: 1, events_rejected: 1, orphans: 1, ..Summary::default() };
    assert_eq!(summary, expected);
    let named: Vec<_> = kept.rejected.iter().map(|what| (what.call_id.as_str(), what.event_type.as_deref())).collect();
    assert_eq!(named, [(FIRST, Some("policy.x.y")), ("lost", None)]);
    assert!(kept.rejected[0].why.contains("no JSON"), "{:?}", kept.rejected);
    assert_eq!(kept.rejected[1].why, "nothing says when it was");
    assert_eq!(here.found(FIRST).await.expect("imported").upstream_response, said.to_string());
}

#[rstest]
#[tokio::test]
async fn only_calls_since_a_time_are_taken_where_one_is_given(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut from = OldDatabase::new(db).await;
    let (asked, said) = (request(&["one"]), answer("yes"));
    whole(&mut from, FIRST, "2025-01-02 03:04:05", [&asked, &asked], [&said, &said]).await;
    whole(&mut from, SECOND, "2025-02-02 03:04:05", [&asked, &asked], [&said, &said]).await;
    let mut here = Here::new(db).await;
    let since = "2025-01-15T00:00:00Z".parse().ok();
    let (summary, _) = here.import(&from, Options { since, ..options() }).await;
    assert_eq!(summary, Summary { calls: 2, imported: 1, before: 1, ..Summary::default() });
    assert!(here.found(FIRST).await.is_none() && here.found(SECOND).await.is_some());
}

#[rstest]
#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut from = OldDatabase::new(db).await;
    let (asked, said) = (request(&["one"]), answer("yes"));
    whole(&mut from, FIRST, "2025-01-02 03:04:05", [&asked, &asked], [&said, &said]).await;
    let (summary, _) = run(&from, &mut Target::Nowhere(None), options()).await;
    assert_eq!(summary, Summary { calls: 1, imported: 1, ..Summary::default() });
}

#[rstest]
#[tokio::test]
async fn many_calls_are_read_page_by_page(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut from = OldDatabase::new(db).await;
    let time = from.time();
    from.run(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
        INSERT INTO conversation_calls (call_id, created_at, session_id)
        SELECT 'call-' || i, CAST('2025-01-02 03:04:05' AS {time}), 's' || (i % 7) FROM n"
    ))
    .await;
    let mut here = Here::new(db).await;
    let (summary, kept) = here.import(&from, options()).await;
    assert_eq!(summary, Summary { calls: 1101, imported: 1101, ..Summary::default() });
    assert_eq!(kept.progress.last(), Some(&(1101, 1101)));
    assert_eq!(history::calls(here.store(), 1).await.expect("a query").total, 1101);
}

#[rstest]
#[tokio::test]
async fn the_policy_and_what_is_left_out_are_told(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut old = OldDatabase::new(db).await;
    old.run(
        "INSERT INTO current_policy VALUES (1, 'luthien_proxy.policies.all_caps_policy:AllCapsPolicy', '{\"a\": 1}',
        '2025-01-02 03:04:05', 'ada')",
    )
    .await;
    old.run("INSERT INTO server_credentials (name) VALUES ('main')").await;
    old.run("INSERT INTO user_labels VALUES ('u1', 'Ada')").await;
    let mut from = OlderRecord::open(&old.place).await.expect("opened");
    let policy = from.policy().await.expect("a query").expect("a policy");
    assert_eq!(policy.class_ref, "luthien_proxy.policies.all_caps_policy:AllCapsPolicy");
    assert_eq!((policy.config, policy.enabled_by.as_deref()), (json!({"a": 1}), Some("ada")));
    assert_eq!(from.labels().await.expect("a query"), [("u1".to_owned(), "Ada".to_owned())]);
    let left = from.left_out().await.expect("a query");
    assert_eq!(
        left.iter().map(|left| (left.table.as_str(), left.rows)).collect::<Vec<_>>(),
        [("server_credentials", 1)]
    );
}

#[rstest]
#[tokio::test]
async fn another_database_is_refused(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut old = OldDatabase::new(db).await;
    old.run("DROP TABLE conversation_events").await;
    let refused = OlderRecord::open(&old.place).await.expect_err("refused").to_string();
    assert_eq!(refused, "this is no database of luthien-proxy: the table `conversation_events` is missing");
    let refused = OlderRecord::open("/nowhere/old.db").await.expect_err("refused").to_string();
    assert!(refused.starts_with("there is no database at `/nowhere/old.db`"), "{refused}");
}

#[tokio::test]
async fn a_record_is_kept_beside_an_older_proxys_on_the_same_server() {
    let mut from = OldDatabase::new(Db::Postgres).await;
    // In the way of tables of this record.
    from.run("CREATE TABLE policies (name TEXT PRIMARY KEY)").await;
    let (asked, said) = (request(&["one"]), answer("yes"));
    whole(&mut from, FIRST, "2025-01-02 03:04:05", [&asked, &asked], [&said, &said]).await;
    let importer =
        Importer::open(&from.place, DatabaseOptions::default(), Redactor::default()).await.expect("an importer");
    let mut into = Target::Record(Box::new(importer));
    let (summary, _) = run(&from, &mut into, options()).await;
    assert_eq!(summary, Summary { calls: 1, imported: 1, ..Summary::default() });
    let again = Store::open(&from.place, DatabaseOptions::default()).await.expect("opened");
    assert_eq!(again.calls(10).await.expect("a query").total, 1);
    assert_eq!(again.current_policy().await.expect("a query"), None);
}

#[tokio::test]
async fn an_older_proxys_file_is_not_recorded_to() {
    let from = OldDatabase::new(Db::Sqlite).await;
    let url = format!("sqlite://{}", from.place);
    let refused =
        Importer::open(&url, DatabaseOptions::default(), Redactor::default()).await.expect_err("refused").to_string();
    assert!(refused.contains(&format!("luthien import luthien-proxy {}", from.place)), "{refused}");
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_not_imported_either() {
    let mut from = OldDatabase::new(Db::Sqlite).await;
    let (asked, said) = (request(&["my canary-12345"]), answer("a canary-12345"));
    whole(&mut from, FIRST, "2025-01-02 03:04:05", [&asked, &asked], [&said, &said]).await;
    from.event(FIRST, "policy.x.y", "2025-01-02 03:04:05", &json!({"said": "canary-12345"})).await;
    let home = Home::new(Db::Sqlite);
    let redactor = Redactor::new([("canary", r"\bcanary-\w{4,}")]).expect("a pattern");
    let importer = Importer::open(&home.config().database, home.config().options, redactor).await.expect("an importer");
    let mut here = Here { _home: home, into: Target::Record(Box::new(importer)) };
    here.import(&from, options()).await;
    let found = format!("{:?}", here.found(FIRST).await.expect("imported"));
    assert!(!found.contains("canary-12345") && found.contains("my "), "{found}");
}
