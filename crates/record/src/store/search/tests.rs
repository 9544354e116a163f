//! What is found is what was said in one turn, on both databases, and whatever was deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::recorder::Recorder;
use crate::retention::Erasure;
use crate::sql::Query;
use crate::store::SessionFilter;
use crate::testing::{Db, answer, answered, end, id, messages, recorder_on, second, start};

/// What was said in a turn of a session.
struct Said {
    number: u32,
    session: String,
    text: String,
}

/// Some words, other ones for each number.
fn words(number: u32) -> String {
    const WORDS: [&str; 8] = ["ab", "b", "a", "ба", "测", "ab_a", "a,b", "abc"];
    let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        WORDS[usize::try_from(state >> 61).expect("small")]
    };
    let count = usize::try_from(number % 5).expect("small");
    std::iter::repeat_with(word).take(count).collect::<Vec<_>>().join(" ")
}

/// Sessions with so many turns each, whose histories grow; every third turn has cache marks.
async fn filled(recorder: &Recorder, turns: &[u32]) -> Vec<Said> {
    let mut said = Vec::new();
    let mut number = 0;
    for (session, turns) in turns.iter().enumerate() {
        let session = format!("s{session}");
        let mut history: Vec<Value> = Vec::new();
        for turn in 0..*turns {
            number += 1;
            let (asked, reply) = (words(number), words(number + 1_000));
            let mut block = json!({"type": "text", "text": asked});
            history.push(json!({"role": "user", "content": [block]}));
            let mut sent = history.clone();
            if turn % 3 == 0 {
                block["cache_control"] = json!({"type": "ephemeral"});
                sent[usize::try_from(turn).expect("small") * 2]["content"] = json!([block]);
            }
            answered(recorder, start(number, Some(&session), messages(&sent)), &answer(&reply)).finish(end(number));
            history.push(json!({"role": "assistant", "content": reply}));
            said.push(Said { number, session: session.clone(), text: format!("{asked}\n{reply}") });
            // Some alone, some together.
            if number % 4 < 2 {
                recorder.settled().await;
            }
        }
    }
    recorder.settled().await;
    said
}

fn expected(said: &[Said], search: &Search) -> BTreeSet<String> {
    let found = said.iter().filter(|said| {
        let words = parts(&said.text).concat();
        search.fits(&words.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>())
    });
    found.map(|said| said.session.clone()).collect()
}

async fn listed(recorder: &Recorder, search: &Search) -> BTreeSet<String> {
    let filter = SessionFilter { limit: 50, q: Some(search.clone()), ..SessionFilter::default() };
    let page = recorder.store().sessions(&filter).await.expect("a page");
    assert_eq!(page.total, page.sessions.len() as u64);
    page.sessions.into_iter().map(|row| row.session_id).collect()
}

fn check(runtime: &tokio::runtime::Runtime, recorder: &Recorder, said: &[Said], cases: u32) {
    let query = "(-?(ab?c?|b|ба|测|\"a b\"|\"ab a\"|b_ab|\"测 测\"|\"b ab a\")\\*? ){1,3}";
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
    .run(&query, |query| {
        let Ok(search) = Search::parse(&query) else { return Ok(()) };
        proptest::prop_assert_eq!(runtime.block_on(listed(recorder, &search)), expected(said, &search), "{}", query);
        Ok(())
    });
    checked.expect("the same");
}

#[rstest]
#[case(Db::Sqlite, 0)]
#[case(Db::Postgres, 64)]
fn what_is_found_was_said_in_one_turn(#[case] db: Db, #[case] joined: i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (_home, recorder) = runtime.block_on(recorder_on(db));
    let mut said = runtime.block_on(filled(&recorder, &[1, 2, 30, 150, 9, 3, 12]));
    if db == Db::Postgres {
        let most = runtime.block_on(async {
            let mut connection = recorder.store().readers().acquire().await.expect("a connection");
            connection.sql().number(Query::new("SELECT MAX(entries) FROM word_blocks")).await.expect("a number")
        });
        assert!(most >= joined, "blocks of {most} turns");
    }
    check(&runtime, &recorder, &said, 60);
    // What began before the eightieth is removed: of some sessions nothing, a part or all.
    let keeper = crate::retention::Retention {
        store: recorder.store().clone(),
        rule: crate::retention::Rule { max_age: Some(Duration::from_secs(1_000 - 80)), max_bytes: None },
        archive: None,
        now: || -> Timestamp { second(1_000) },
    };
    runtime.block_on(keeper.run(Uuid::from_u128(1))).expect("a run");
    said.retain(|said| said.number >= 80);
    check(&runtime, &recorder, &said, 60);
    runtime.block_on(recorder.shutdown(Duration::from_secs(10)));
}

/// Puts the words of all turns where older gateways have them, with their places.
async fn as_older_gateways_store(recorder: &Recorder, said: &[Said]) {
    let mut work = recorder.store().editor().begin().await.expect("begun");
    work.sql().run(Query::new("DELETE FROM word_blocks")).await.expect("forgotten");
    for said in said {
        let words = parts(&said.text).concat();
        let places = words.split(' ').filter(|word| !word.is_empty()).enumerate();
        let places: Vec<_> = places.map(|(place, word)| format!("{word}:{}", place + 1)).collect();
        let insert = "INSERT INTO turn_texts (transaction_id, session, part, words)
            SELECT id, session_key, 0, CAST(? AS tsvector) FROM transactions WHERE id = ?";
        work.sql().run(Query::new(insert).bind(places.join(" ")).bind(id(said.number.into()).0)).await.expect("stored");
    }
    work.commit().await.expect("kept");
}

#[test]
fn what_older_gateways_stored_is_found_and_brought_over() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (_home, recorder) = runtime.block_on(recorder_on(Db::Postgres));
    let mut said = runtime.block_on(filled(&recorder, &[3, 20, 1]));
    runtime.block_on(as_older_gateways_store(&recorder, &said));
    check(&runtime, &recorder, &said, 30);
    let store = recorder.store().clone();
    let erased = store.erase(Erasure::Session("s2"), second(1_000), Duration::from_mins(1));
    assert_eq!(runtime.block_on(erased).expect("erased").map(|erased| erased.transactions), Some(1));
    said.retain(|said| said.session != "s2");
    assert_eq!(runtime.block_on(store.bring_words_over()).expect("brought over"), 23);
    assert_eq!(runtime.block_on(store.bring_words_over()).expect("nothing left"), 0);
    check(&runtime, &recorder, &said, 30);
    runtime.block_on(recorder.shutdown(Duration::from_secs(10)));
}

#[tokio::test]
async fn words_of_what_an_older_gateway_deletes_go_too() {
    let (_home, recorder) = recorder_on(Db::Postgres).await;
    for (number, session, text) in [(1, "s", "lighthouse"), (2, "s", "keeper"), (3, "other", "lighthouse")] {
        let said = messages(&[json!({"role": "user", "content": text})]);
        answered(&recorder, start(number, Some(session), said), &answer("fine")).finish(end(number));
    }
    recorder.settled().await;
    let search = Search::parse("lighthouse").expect("a query");
    assert_eq!(listed(&recorder, &search).await, ["other", "s"].map(str::to_owned).into());
    let mut work = recorder.store().editor().begin().await.expect("begun");
    work.sql().run(Query::new("DELETE FROM transactions WHERE id = ?").bind(id(1).0)).await.expect("deleted");
    work.commit().await.expect("kept");
    assert_eq!(recorder.store().bring_words_over().await.expect("done"), 0);
    assert_eq!(listed(&recorder, &search).await, ["other".to_owned()].into());
    let mut connection = recorder.store().readers().acquire().await.expect("a connection");
    for (query, expected) in
        [("SELECT COUNT(*) FROM words_gone", 0), ("SELECT CAST(SUM(entries) AS BIGINT) FROM word_blocks", 2)]
    {
        assert_eq!(connection.sql().number(Query::new(query)).await.expect("a number"), expected, "{query}");
    }
}
