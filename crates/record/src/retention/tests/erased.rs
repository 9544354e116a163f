//! Deletion on request.

use super::*;
use crate::recorder::RecorderConfig;
use crate::store::{Search, Spender, Spent, SpentOn};

const AT_ONCE: Duration = Duration::from_mins(1);

#[rstest]
#[tokio::test]
async fn a_session_goes_whole_and_others_with_the_same_words_stay(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    record(&recorder, 1, "a", "same words").await;
    let kept = record(&recorder, 2, "b", "same words").await;
    record(&recorder, 3, "a", "other words").await;
    let store = recorder.store();
    let erased = store.erase(Erasure::Session("a"), second(864_000), AT_ONCE).await.expect("erased");
    assert_eq!(erased, Some(Erased { transactions: 2, sessions: 1, complete: true }));
    assert_eq!(store.session("a").await.expect("read"), None);
    assert_eq!(stored(&recorder, 2).await.expect("stored").request, kept.request);
    assert_eq!(store.erase(Erasure::Session("a"), second(864_000), AT_ONCE).await.expect("none"), None);
    assert_eq!(store.erase(Erasure::Session("unknown"), second(864_000), AT_ONCE).await.expect("none"), None);
    let last = store.erase(Erasure::Session("b"), second(864_000), AT_ONCE).await.expect("erased");
    assert_eq!(last.map(|erased| erased.sessions), Some(1));
    assert!(rows(store, tables(db)).await.iter().all(|count| *count == 0));
}

#[rstest]
#[tokio::test]
async fn a_users_transactions_go_from_every_session(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    for (day, session, user) in [(1, "a", Some("ann")), (2, "a", Some("bob")), (3, "b", Some("ann")), (4, "c", None)] {
        let begun = Start { user_id: user.map(str::to_owned), ..begun(day, session, "words ") };
        answered(&recorder, begun, b"").finish(end(day * 86_400));
    }
    recorder.settled().await;
    let store = recorder.store();
    assert_eq!(store.would_erase(Erasure::User("ann")).await.expect("counted"), Some((2, 2)));
    assert_eq!(store.would_erase(Erasure::Session("a")).await.expect("counted"), Some((2, 1)));
    store.set_label("ann", "Ann", second(1)).await.expect("named");
    let who = Spender { scope: "user".into(), id: "ann".into(), owner: String::new() };
    let used = SpentOn { who, day: 1, spent: Spent { tokens: 1, ..Spent::default() } };
    store.spend(&[used]).await.expect("kept");
    assert_eq!(store.would_erase(Erasure::User("eve")).await.expect("counted"), None);
    assert_eq!(store.would_erase(Erasure::Session("z")).await.expect("counted"), None);
    let erased = store.erase(Erasure::User("ann"), second(864_000), AT_ONCE).await.expect("erased");
    assert_eq!(erased, Some(Erased { transactions: 2, sessions: 1, complete: true }));
    assert_eq!(store.erase(Erasure::User("ann"), second(864_000), AT_ONCE).await.expect("none"), None);
    assert!(stored(&recorder, 2).await.is_some() && stored(&recorder, 4).await.is_some());
    assert_eq!(rows(store, &["transactions", "sessions", "user_labels", "spending"]).await, [2, 2, 0, 0]);
}

#[rstest]
#[tokio::test]
async fn what_was_in_flight_goes_when_it_is_stored_and_what_begins_later_stays(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
) {
    let (home, recorder) = recorder_on(db).await;
    record(&recorder, 1, "a", "words ").await;
    let flight = answered(&recorder, begun(2, "a", "words "), b"");
    let erased = recorder.store().erase(Erasure::Session("a"), second(3 * 86_400), AT_ONCE).await.expect("erased");
    assert_eq!(erased.map(|erased| erased.transactions), Some(1));
    flight.finish(end(2 * 86_400));
    record(&recorder, 4, "a", "words ").await;
    let recorder = again(&home, recorder).await;
    assert!(stored(&recorder, 2).await.is_some());
    let again = recorder.store().erase_again(second(5 * 86_400)).await.expect("erased");
    assert_eq!(again, Erased { transactions: 1, sessions: 0, complete: true });
    assert!(stored(&recorder, 2).await.is_none() && stored(&recorder, 4).await.is_some());
    assert_eq!(rows(recorder.store(), &["erasures"]).await, [1]);
    recorder.store().erase_again(second(40 * 86_400)).await.expect("erased");
    assert_eq!(rows(recorder.store(), &["erasures"]).await, [0]);
}

#[rstest]
#[tokio::test]
async fn what_takes_too_long_is_left_for_later(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    for number in 1..=600 {
        let body = messages(&[json!({"role": "user", "content": "x"})]);
        answered(&recorder, start(number, Some("a"), body), b"").finish(end(number));
    }
    recorder.settled().await;
    let store = recorder.store();
    let erased = store.erase(Erasure::Session("a"), second(1000), Duration::ZERO).await.expect("erased");
    assert_eq!(erased, Some(Erased { transactions: 500, sessions: 0, complete: false }));
    let again = store.erase_again(second(1001)).await.expect("erased");
    assert_eq!(again, Erased { transactions: 100, sessions: 1, complete: true });
    assert!(rows(store, tables(db)).await.iter().all(|count| *count == 0));
}

/// Waits until something of what is in flight is in the journal.
async fn journalled(recorder: &Recorder) {
    let written = async {
        while recorder.health().journal_bytes == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("a journal");
}

#[rstest]
#[tokio::test]
async fn what_a_killed_gateway_left_in_its_journal_goes_after_it_is_recorded(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
) {
    let home = Home::new(db);
    let config = |home: &Home| RecorderConfig { flush_interval: Duration::from_millis(10), ..home.config() };
    let recorder = Recorder::open(config(&home)).await.expect("a recorder");
    record(&recorder, 1, "a", "words ").await;
    let flight = answered(&recorder, begun(2, "a", "words "), b"");
    journalled(&recorder).await;
    recorder.store().erase(Erasure::Session("a"), second(3 * 86_400), AT_ONCE).await.expect("erased");
    let left = home.killed();
    let again = Recorder::open(config(&left)).await.expect("a recorder");
    assert!(stored(&again, 2).await.is_some());
    assert_eq!(again.store().erase_again(second(3 * 86_400)).await.expect("erased").transactions, 1);
    assert!(rows(again.store(), tables(db)).await.iter().all(|count| *count == 0));
    drop((flight, recorder));
}

#[tokio::test]
async fn what_was_deleted_is_in_no_file_once_they_are_shrunk() {
    let (home, recorder) = recorder_on(Db::Sqlite).await;
    for (day, session) in [(1, "a"), (2, "b"), (3, "b")] {
        record(&recorder, day, session, &format!("xylophone{session} ")).await;
    }
    let store = recorder.store();
    store.erase(Erasure::Session("a"), second(864_000), AT_ONCE).await.expect("erased");
    assert!(retention(&recorder, Rule::default()).shrink().await.expect("shrunk"));
    let holds = |word: &str| {
        let files = ["luthien.db", "luthien.db-wal"].map(|name| home.folder.path().join(name));
        let bytes = files.map(|file| std::fs::read(file).unwrap_or_default()).concat();
        bytes.windows(word.len()).any(|found| found == word.as_bytes())
    };
    assert_eq!((holds("xylophoneb"), holds("xylophonea")), (true, false));
    let filter = crate::store::SessionFilter {
        limit: 9,
        q: Some(Search::parse("xylophoneb").expect("words")),
        ..Default::default()
    };
    assert_eq!(store.sessions(&filter).await.expect("a list").total, 1);
}
