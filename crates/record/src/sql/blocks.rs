//! What is found by its words on PostgreSQL: blocks of turns of a session, joined as they become many.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::insert::Insert;
use super::texts::TextRow;
use super::{Query, Row, Sql};
use crate::body::pack::Packer;
use crate::words::{Entry, Search, WordBlock};

/// So many blocks of a size become one.
const JOINED: usize = 8;

/// A block of so many turns, or with so many bytes of words, is not joined with others: PostgreSQL holds 1 MB of words in one value.
const WHOLE: i64 = 64;
const WHOLE_BYTES: i64 = 64 << 10;

/// A new block has at most so many bytes of text.
const MOST_BYTES: usize = 512 << 10;

/// So many blocks are read at a time.
const AT_ONCE: i64 = 256;

/// So many texts of older gateways are brought over at a time.
const OLDER_AT_ONCE: i64 = 64;

const COLUMNS: [&str; 4] = ["session", "entries", "words", "turns"];

/// The words of a block, in the order that they have in it.
const WORDS: &str = "ARRAY_TO_STRING(TSVECTOR_TO_ARRAY(words), ' ')";

/// The statement that stores blocks.
pub(super) fn insert() -> Insert {
    Insert::with("word_blocks", &COLUMNS, &["?", "?", "CAST(? AS tsvector)", "?"], "")
}

/// A block as it is stored.
#[derive(Debug)]
struct StoredBlock {
    session: Uuid,
    number: i64,
    block: WordBlock,
}

fn read(row: &Row) -> Result<StoredBlock, sqlx::Error> {
    let (words, turns): (String, Vec<u8>) = (row.get(2)?, row.get(3)?);
    let damaged = || sqlx::Error::Decode("a block of words is damaged".into());
    let block = WordBlock::unpacked(&words, &turns).ok_or_else(damaged)?;
    Ok(StoredBlock { session: row.get(0)?, number: row.get(1)?, block })
}

/// Stores texts of turns.
pub(super) async fn store(insert: &Insert, sql: &mut Sql<'_>, rows: Vec<TextRow>) -> Result<(), sqlx::Error> {
    let mut sessions = BTreeMap::<Uuid, Vec<TextRow>>::new();
    for row in rows {
        sessions.entry(row.session).or_default().push(row);
    }
    let blocks = sessions.iter().flat_map(|(session, rows)| stretches(rows).map(|some| (*session, of(some)))).collect();
    add(insert, sql, blocks).await?;
    let sessions: Vec<Uuid> = sessions.into_keys().collect();
    for sessions in sessions.chunks(500) {
        join(insert, sql, sessions).await?;
    }
    Ok(())
}

/// Rows that fit into a block.
fn stretches(rows: &[TextRow]) -> impl Iterator<Item = &[TextRow]> {
    let most = usize::try_from(WHOLE).unwrap_or(1);
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |row: &&TextRow| {
            bytes += row.words.len();
            bytes <= MOST_BYTES
        };
        let count = rest.iter().take(most).take_while(fits).count().max(1).min(rest.len());
        let (some, after) = rest.split_at(count);
        rest = after;
        (!some.is_empty()).then_some(some)
    })
}

fn of(rows: &[TextRow]) -> WordBlock {
    let entry = |row: &TextRow| Entry {
        transaction: row.transaction,
        part: row.part.unsigned_abs(),
        known: row.known as u64,
        fresh: row.fresh as u64,
    };
    WordBlock::of(&rows.iter().map(|row| (entry(row), row.words.as_str())).collect::<Vec<_>>())
}

async fn add(insert: &Insert, sql: &mut Sql<'_>, blocks: Vec<(Uuid, WordBlock)>) -> Result<(), sqlx::Error> {
    let mut packer = Packer::new();
    let blocks: Vec<_> = blocks
        .into_iter()
        .map(|(session, block)| {
            (session, i64::try_from(block.entries.len()).unwrap_or(WHOLE), block.words(), block.packed(&mut packer))
        })
        .collect();
    insert
        .run(sql, blocks, |(session, entries, words, turns), values| {
            values.extend([session.into(), entries.into(), words.into(), turns.into()]);
        })
        .await?;
    Ok(())
}

/// Joins the blocks of these sessions where there are many of a size. Those that another gateway joins are left to it.
async fn join(insert: &Insert, sql: &mut Sql<'_>, sessions: &[Uuid]) -> Result<(), sqlx::Error> {
    let mut query = Query::new("SELECT session, number, entries FROM word_blocks WHERE entries < ");
    query.push_value(WHOLE).push(" AND PG_COLUMN_SIZE(words) < ").push_value(WHOLE_BYTES);
    query.push(" AND session IN ").push_list(sessions.iter().copied()).push(" ORDER BY session, number");
    let mut alike = BTreeMap::<(Uuid, bool), Vec<i64>>::new();
    for row in sql.all(query).await? {
        let (session, number, entries): (Uuid, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        alike
            .entry((session, usize::try_from(entries).is_ok_and(|entries| entries >= JOINED)))
            .or_default()
            .push(number);
    }
    for ((session, _), numbers) in alike {
        for numbers in numbers.chunks_exact(JOINED) {
            let blocks = these(sql, session, numbers).await?;
            if blocks.len() == numbers.len() {
                delete(sql, session, numbers).await?;
                let blocks: Vec<WordBlock> = blocks.into_iter().map(|stored| stored.block).collect();
                add(insert, sql, vec![(session, WordBlock::joined(&blocks))]).await?;
            }
        }
    }
    Ok(())
}

/// These blocks, as far as nobody else has them at hand.
async fn these(sql: &mut Sql<'_>, session: Uuid, numbers: &[i64]) -> Result<Vec<StoredBlock>, sqlx::Error> {
    let mut query = Query::new(format!("SELECT session, number, {WORDS}, turns FROM word_blocks WHERE session = "));
    query.push_value(session).push(" AND number IN ").push_list(numbers.iter().copied());
    query.push(" ORDER BY number FOR UPDATE SKIP LOCKED");
    sql.all(query).await?.iter().map(read).collect()
}

async fn delete(sql: &mut Sql<'_>, session: Uuid, numbers: &[i64]) -> Result<(), sqlx::Error> {
    let mut query = Query::new("DELETE FROM word_blocks WHERE session = ");
    query.push_value(session).push(" AND number IN ").push_list(numbers.iter().copied());
    sql.run(query).await?;
    Ok(())
}

/// Whether words of deleted transactions are still to be removed.
pub(crate) async fn are_gone(sql: &mut Sql<'_>) -> Result<bool, sqlx::Error> {
    Ok(sql.one(Query::new("SELECT transaction_id FROM words_gone LIMIT 1")).await?.is_some())
}

/// Removes the words of the transactions that were deleted, by whomever, while nobody else writes.
pub(crate) async fn remove_gone(sql: &mut Sql<'_>) -> Result<(), sqlx::Error> {
    loop {
        let query = Query::new("SELECT session, transaction_id FROM words_gone ORDER BY session LIMIT ?");
        let rows = sql.all(query.bind(AT_ONCE)).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut sessions = BTreeMap::<Uuid, HashSet<Uuid>>::new();
        for row in &rows {
            sessions.entry(row.get(0)?).or_default().insert(row.get(1)?);
        }
        for (session, gone) in &sessions {
            remove(sql, *session, gone).await?;
        }
        let mut done = Query::new("DELETE FROM words_gone WHERE transaction_id IN ");
        done.push_list(sessions.into_values().flatten());
        sql.run(done).await?;
    }
}

/// Removes transactions from a session's blocks.
async fn remove(sql: &mut Sql<'_>, session: Uuid, gone: &HashSet<Uuid>) -> Result<(), sqlx::Error> {
    let insert = insert();
    let mut after = i64::MIN;
    loop {
        let query = format!(
            "SELECT session, number, {WORDS}, turns FROM word_blocks WHERE session = ? AND number > ? ORDER BY number LIMIT ?"
        );
        let rows = sql.all(Query::new(query).bind(session).bind(after).bind(AT_ONCE)).await?;
        let blocks: Vec<StoredBlock> = rows.iter().map(read).collect::<Result<_, _>>()?;
        let Some(last) = blocks.last() else { return Ok(()) };
        after = last.number;
        let touched =
            |stored: &&StoredBlock| stored.block.entries.iter().any(|entry| gone.contains(&entry.transaction));
        let touched: Vec<_> = blocks.iter().filter(touched).collect();
        if !touched.is_empty() {
            delete(sql, session, &touched.iter().map(|stored| stored.number).collect::<Vec<_>>()).await?;
            let left = touched.iter().filter_map(|stored| Some((session, stored.block.without(gone)?)));
            add(&insert, sql, left.collect()).await?;
        }
    }
}

/// Takes some transactions whose texts older gateways have stored away from there.
pub(crate) async fn take_older(sql: &mut Sql<'_>) -> Result<Vec<Uuid>, sqlx::Error> {
    let query = Query::new("SELECT transaction_id FROM turn_texts ORDER BY number LIMIT ? FOR UPDATE SKIP LOCKED");
    let rows = sql.all(query.bind(OLDER_AT_ONCE)).await?;
    let mut ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    ids.dedup();
    if !ids.is_empty() {
        let mut query = Query::new("DELETE FROM turn_texts WHERE transaction_id IN ");
        query.push_list(ids.iter().copied());
        sql.run(query).await?;
    }
    Ok(ids)
}

/// Pushes the query for the sessions with a turn that has a single word.
pub(super) fn push_plain(query: &mut Query, search: &Search) {
    query.push("SELECT session FROM word_blocks WHERE words @@ CAST(");
    query.push_value(search.tsquery_of_words()).push(" AS tsquery)");
}

/// Which blocks have the words that are searched for, in any of their turns: sessions and numbers.
pub(crate) async fn with_words(sql: &mut Sql<'_>, search: &Search) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    let mut query = Query::new("SELECT session, number FROM word_blocks WHERE words @@ CAST(");
    query.push_value(search.tsquery_of_words()).push(" AS tsquery) ORDER BY session, number");
    sql.all(query).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// These blocks, as far as they are still there.
pub(crate) async fn blocks(sql: &mut Sql<'_>, places: &[(Uuid, i64)]) -> Result<Vec<(Uuid, WordBlock)>, sqlx::Error> {
    let query = Query::new(format!(
        "SELECT session, number, {WORDS}, turns FROM word_blocks
        JOIN UNNEST(CAST(? AS UUID[]), CAST(? AS BIGINT[])) AS wanted (session, number) USING (session, number)"
    ));
    let (sessions, numbers): (Vec<_>, Vec<_>) = places.iter().copied().unzip();
    let rows = sql.all(query.bind(list(&sessions)).bind(list(&numbers))).await?;
    rows.iter().map(|row| read(row).map(|stored| (stored.session, stored.block))).collect()
}

/// These as the text of a PostgreSQL array: one value, however many they are.
pub(super) fn list<T: std::fmt::Display>(these: &[T]) -> String {
    let these: Vec<String> = these.iter().map(T::to_string).collect();
    format!("{{{}}}", these.join(","))
}
