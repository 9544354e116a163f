//! Queries: how they are read, and that SQLite finds by them what they mean.

use proptest::prelude::*;
use rstest::rstest;
use sqlx::{Connection as _, SqliteConnection};

use super::super::parts;
use super::*;

#[rstest]
#[case("hello World", "(\"hello\" AND \"world\"", "('hello') & ('world')")]
#[case("\"rm -rf\" x", "(\"rm rf\" AND \"x\"", "('rm' <-> 'rf') & ('x')")]
#[case("/etc/passwd", "(\"etc passwd\"", "('etc' <-> 'passwd')")]
#[case("pass*", "(\"pass\" *", "('pass':*)")]
#[case("\"open sesa\"*", "(\"open sesa\" *", "('open' <-> 'sesa':*)")]
#[case("\"open sesa*\"", "(\"open sesa\"", "('open' <-> 'sesa')")]
#[case("测试", "(\"测 试\"", "('测' <-> '试')")]
#[case("it's", "(\"it s\"", "('it' <-> 's')")]
#[case("a OR b) NEAR", "(\"a\" AND \"or\" AND \"b\" AND \"near\"", "('a') & ('or') & ('b') & ('near')")]
#[case("open\"a b", "(\"open\" AND \"a b\"", "('open') & ('a' <-> 'b')")]
fn a_query_is_read(#[case] text: &str, #[case] fts5: &str, #[case] tsquery: &str) {
    let search = Search::parse(text).expect("a query");
    assert_eq!((search.fts5(), search.tsquery()), (format!("{fts5})"), tsquery.to_owned()));
}

#[test]
fn what_must_not_be_there_comes_last() {
    let search = Search::parse("-no yes -\"not this\" - --never").expect("a query");
    assert_eq!(search.fts5(), "(\"yes\") NOT \"no\" NOT \"not this\" NOT \"never\"");
    assert_eq!(search.tsquery(), "('yes') & !('no') & !('not' <-> 'this') & !('never')");
}

#[rstest]
#[case("", SearchError::Empty)]
#[case(" *- \"\" !?", SearchError::Empty)]
#[case("-no", SearchError::OnlyWithout)]
#[case(&"a ".repeat(65), SearchError::TooLong)]
fn a_query_without_words_is_an_error(#[case] text: &str, #[case] error: SearchError) {
    assert_eq!(Search::parse(text), Err(error));
}

/// Which of the texts SQLite finds.
async fn found(texts: &[String], search: &Search) -> Vec<usize> {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
    let table = "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='ascii')";
    sqlx::query(table).execute(&mut connection).await.expect("a table");
    for (number, text) in texts.iter().enumerate() {
        let insert = sqlx::query("INSERT INTO words (rowid, text) VALUES (?, ?)");
        let insert = insert.bind(i64::try_from(number).expect("small")).bind(parts(text).concat());
        insert.execute(&mut connection).await.expect("stored");
    }
    let query = sqlx::query_scalar("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid").bind(search.fts5());
    let rows: Vec<i64> = query.fetch_all(&mut connection).await.expect("found");
    rows.into_iter().map(|row| usize::try_from(row).expect("small")).collect()
}

/// What the query means, by the book.
fn meant(texts: &[String], search: &Search) -> Vec<usize> {
    let matches = |text: &String| {
        let words = words(text);
        search.fits(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    texts.iter().enumerate().filter(|(_, text)| matches(text)).map(|(number, _)| number).collect()
}

fn check(texts: &[String], query: &str) -> Result<(), TestCaseError> {
    let Ok(search) = Search::parse(query) else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    prop_assert_eq!(runtime.block_on(found(texts, &search)), meant(texts, &search), "{} {}", query, search.fts5());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_a_query_that_finds_what_it_means(texts in proptest::collection::vec("\\PC{0,40}", 1..4), query in "\\PC{0,40}") {
        check(&texts, &query)?;
    }

    #[test]
    fn words_phrases_beginnings_and_exclusions_mean_what_they_say(
        texts in proptest::collection::vec("([aAbé测]{1,2}[ ,]){0,8}", 1..8),
        query in "(-?([abé测]{1,2}|\"[ab] [abé]\")\\*? ){1,4}",
    ) {
        check(&texts, &query)?;
    }
}

/// Words with their places, as older gateways have stored them.
fn tsvector(part: &str) -> String {
    let words = part.split(' ').filter(|word| !word.is_empty()).enumerate();
    words.map(|(place, word)| format!("{word}:{}", place + 1)).collect::<Vec<_>>().join(" ")
}

#[test]
fn postgres_finds_the_same() {
    let database = luthien_servers::database().expect("a database");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connected = sqlx::PgConnection::connect(database.url());
    let connection = std::cell::RefCell::new(runtime.block_on(connected).expect("a connection"));
    let texts = proptest::collection::vec("([aAbé测]{1,2}[ ,]){0,8}|\\PC{0,40}", 1..8);
    let query = "(-?([abé测]{1,2}|\"[ab] [abé]\")\\*? ){1,4}|\\PC{0,40}";
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let checked = runner.run(&(texts, query), |(texts, query)| {
        let Ok(search) = Search::parse(&query) else { return Ok(()) };
        for (number, text) in texts.iter().enumerate() {
            let vector = parts(text).first().map(|part| tsvector(part)).unwrap_or_default();
            let asked = sqlx::query_scalar("SELECT CAST($1 AS tsvector) @@ CAST($2 AS tsquery)");
            let asked = asked.bind(vector).bind(search.tsquery());
            let found: bool = runtime.block_on(asked.fetch_one(&mut *connection.borrow_mut())).expect("an answer");
            prop_assert_eq!(found, meant(&texts, &search).contains(&number), "{} {}", query, search.tsquery());
        }
        Ok(())
    });
    checked.expect("the same");
}
