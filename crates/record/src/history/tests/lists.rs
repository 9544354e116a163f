//! The list of sessions: its order, titles and filters.

use rstest::rstest;
use serde_json::json;

use super::{assistant, blocked, user};
use crate::history::{Sessions, session, sessions};
use crate::model::{Evaluation, Start};
use crate::recorder::Recorder;
use crate::store::{Search, SessionFilter, Store, StoredPolicy};
use crate::testing::{Db, answer, answered, end, id, messages as body, recorder_on, second, start};

fn page() -> SessionFilter {
    SessionFilter { limit: 50, ..SessionFilter::default() }
}

async fn list(store: &Store, filter: SessionFilter) -> Sessions {
    sessions(store, &filter).await.expect("a query")
}

fn names(page: &Sessions) -> Vec<&str> {
    page.sessions.iter().map(|session| session.session_id.as_str()).collect()
}

async fn talk(recorder: &Recorder) {
    let probe = json!({"model": "claude-x", "max_tokens": 1, "messages": [user("quota")]}).to_string();
    answered(recorder, start(1, Some("a"), probe), &answer("x")).finish(end(1));
    let titles =
        json!({"model": "small", "max_tokens": 9000, "system": "Write a title.", "messages": [user("100% done")]})
            .to_string();
    answered(recorder, start(2, Some("a"), titles), &answer("{}")).finish(end(2));
    let first = Start { user_id: Some("ada".into()), ..start(3, Some("a"), body(&[user("100% done")])) };
    answered(recorder, first, &answer("fine")).finish(end(3));
    blocked(recorder, start(4, Some("a"), body(&[user("100% done"), assistant("fine"), user("next")])));
    let count = Start { conversation: false, ..start(5, Some("a"), body(&[user("counted")])) };
    answered(recorder, count, b"{}").finish(end(5));
    let other = Start { model: "claude-y".into(), ..start(6, Some("b"), body(&[user("1000 done")])) };
    answered(recorder, other, &answer("fine")).finish(end(6));
    answered(recorder, start(7, None, body(&[user("alone")])), &answer("fine")).finish(end(7));
    let unread = Start { model: String::new(), ..start(8, None, "[]".to_owned()) };
    answered(recorder, unread, b"{}").finish(end(8));
    recorder.settled().await;
}

#[rstest]
#[tokio::test]
async fn sessions_are_listed_latest_first_without_what_was_no_turn(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    talk(&recorder).await;
    let all = list(recorder.store(), page()).await;
    let alone = id(7).to_string();
    assert_eq!(names(&all), [alone.as_str(), "b", "a"]);
    assert_eq!((all.total, all.has_more), (3, false));
    let a = &all.sessions[2];
    assert_eq!((a.turn_count, a.policy_interventions), (2, 1));
    assert_eq!((a.first_timestamp, a.last_timestamp), (second(1), second(6)));
    assert_eq!(a.preview_message.as_deref(), Some("100% done"));
    assert_eq!((&a.models_used[..], &a.user_ids[..]), (&["claude-x".to_owned()][..], &["ada".to_owned()][..]));
    assert_eq!(all.sessions[0].preview_message.as_deref(), Some("alone"));
    let shown = session(recorder.store(), "a").await.expect("a query").expect("a session");
    assert_eq!(shown.turns.len(), 2);
    assert_eq!(shown.turns[1].new_from, 2);
    let unread = session(recorder.store(), &id(8).to_string()).await.expect("a query");
    assert!(unread.is_some(), "what could not be read is still shown by its id");
    let one = list(recorder.store(), SessionFilter { limit: 1, offset: 1, ..page() }).await;
    assert_eq!((names(&one), one.total, one.offset, one.has_more), (vec!["b"], 3, 1, true));
}

#[rstest]
#[tokio::test]
async fn sessions_are_filtered(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    talk(&recorder).await;
    let alone = id(7).to_string();
    let cases: [(SessionFilter, &[&str]); 8] = [
        (SessionFilter { user_id: Some("ada".into()), ..page() }, &["a"]),
        (SessionFilter { model: Some("claude-y".into()), ..page() }, &["b"]),
        (SessionFilter { model: Some("small".into()), ..page() }, &[]),
        (SessionFilter { from: Some(second(6)), ..page() }, &[&alone, "b"]),
        (SessionFilter { to: Some(second(4)), ..page() }, &["a"]),
        (SessionFilter { q: Search::parse("100% don*").ok(), ..page() }, &["a"]),
        (SessionFilter { policy_intervention: Some(true), ..page() }, &["a"]),
        (SessionFilter { policy_intervention: Some(false), ..page() }, &[&alone, "b"]),
    ];
    for (filter, expected) in cases {
        let found = list(recorder.store(), filter.clone()).await;
        assert_eq!(names(&found), expected, "{filter:?}");
        assert_eq!(found.total, expected.len() as u64, "{filter:?}");
    }
}

#[rstest]
#[tokio::test]
async fn the_same_session_id_of_another_credential_is_another_session(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    answered(&recorder, start(1, Some("s"), body(&[user("mine")])), &answer("x")).finish(end(1));
    let other = Start { credential: Some([0xab; 16]), ..start(2, Some("s"), body(&[user("not mine")])) };
    answered(&recorder, other, &answer("x")).finish(end(2));
    recorder.settled().await;
    let all = list(recorder.store(), page()).await;
    assert_eq!(names(&all), ["s@abababab", "s"]);
    for (name, number) in [("s", 1), ("s@abababab", 2)] {
        let found = recorder.store().session(name).await.expect("a query").expect("a session");
        let ids: Vec<_> = found.transactions.iter().map(|call| call.id).collect();
        assert_eq!(ids, [id(number)]);
        assert_eq!((found.session_id.as_str(), found.transactions[0].session_id.as_str()), (name, name));
    }
    assert!(recorder.store().session("s@00000000").await.expect("a query").is_none());
}

#[rstest]
#[tokio::test]
async fn policies_are_kept_with_their_exact_configuration(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let store = recorder.store();
    assert_eq!(store.current_policy().await.expect("a query"), None);
    let policy = |class: &str, mode: Option<&str>| StoredPolicy {
        class_ref: class.into(),
        config: json!({"z": [1, 2.50, {"b": null, "a": "é"}], "a": true}),
        mode: mode.map(Into::into),
        enabled_at: second(5),
        enabled_by: "api".into(),
    };
    assert_eq!(store.set_policy(&policy("one", None)).await.expect("set"), 1);
    assert_eq!(store.set_policy(&policy("two", Some("shadow"))).await.expect("set"), 2);
    let (version, current) = store.current_policy().await.expect("a query").expect("a policy");
    assert_eq!((version, &current), (2, &policy("two", Some("shadow"))));
    assert_eq!(current.config.to_string(), policy("two", None).config.to_string());
    assert_eq!(Evaluation::from_name("failed_open"), Some(Evaluation::FailedOpen));
}

#[rstest]
#[tokio::test]
async fn a_session_is_titled_by_its_user_though_the_agent_added_a_word(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let added = json!({"role": "system", "content": "# Environment"});
    answered(&recorder, start(1, Some("a"), body(&[user("mend it"), added])), &answer("fine")).finish(end(1));
    recorder.settled().await;
    let all = list(recorder.store(), page()).await;
    assert_eq!(all.sessions[0].preview_message.as_deref(), Some("mend it"));
}
