//! What is found by its words: the texts of transactions in the full-text index.

use uuid::Uuid;

use super::insert::Insert;
use super::{Kind, Query, Sql, blocks};
use crate::words::Search;

/// A part of a transaction's text.
#[derive(Clone, Debug)]
pub(crate) struct TextRow {
    pub(crate) transaction: Uuid,
    pub(crate) session: Uuid,
    /// Which part it is, from 0.
    pub(crate) part: i64,
    /// Words with spaces between them.
    pub(crate) words: String,
    /// So many messages of the request are found by an earlier turn, and so many came after them.
    pub(crate) known: usize,
    pub(crate) fresh: usize,
}

/// The statements that store texts.
#[derive(Debug)]
pub(crate) struct TextInserts {
    sqlite: (Insert, Insert),
    postgres: Insert,
}

impl TextInserts {
    pub(crate) fn new() -> Self {
        let columns = ["number", "transaction_id", "session", "part"];
        Self {
            sqlite: (
                Insert::with("turn_texts", &columns, &["?"; 4], ""),
                Insert::with("words", &["rowid", "text"], &["?"; 2], ""),
            ),
            postgres: blocks::insert(),
        }
    }

    /// Stores texts of transactions that have none yet, within a database transaction that writes.
    pub(crate) async fn run(&self, sql: &mut Sql<'_>, rows: Vec<TextRow>) -> Result<(), sqlx::Error> {
        if sql.kind() == Kind::Postgres {
            return blocks::store(&self.postgres, sql, rows).await;
        }
        if rows.is_empty() {
            return Ok(());
        }
        let (numbers, words) = &self.sqlite;
        // Nobody else writes meanwhile, so that the next numbers are known.
        let query = Query::new("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'turn_texts'");
        let next = sql.number(query).await? + 1;
        let (mut given, mut texts) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for (row, number) in rows.into_iter().zip(next..) {
            given.push((number, row.transaction, row.session, row.part));
            texts.push((number, row.words));
        }
        numbers
            .run(sql, given, |(number, transaction, session, part), values| {
                values.extend([number.into(), transaction.into(), session.into(), part.into()]);
            })
            .await?;
        words.run(sql, texts, |(number, text), values| values.extend([number.into(), text.into()])).await?;
        Ok(())
    }
}

/// Removes the texts of transactions that are deleted, while nobody else writes.
pub(crate) async fn remove(sql: &mut Sql<'_>, gone: &[Uuid]) -> Result<(), sqlx::Error> {
    for ids in gone.chunks(500) {
        if sql.kind() == Kind::Sqlite {
            let mut words =
                Query::new("DELETE FROM words WHERE rowid IN (SELECT number FROM turn_texts WHERE transaction_id IN ");
            words.push_list(ids.iter().copied()).push(")");
            sql.run(words).await?;
        }
        let mut texts = Query::new("DELETE FROM turn_texts WHERE transaction_id IN ");
        texts.push_list(ids.iter().copied());
        sql.run(texts).await?;
    }
    if sql.kind() == Kind::Postgres {
        blocks::remove_gone(sql).await?;
    }
    Ok(())
}

/// What a search has found, as far as that had to be known before the query that asks for it.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// Nothing: the database finds it by itself.
    Asked(Search),
    /// These sessions or transactions.
    These(Vec<Uuid>),
}

/// What of a transaction in the index has a search's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Sessions,
    Transactions,
}

impl Wanted {
    fn column(self) -> &'static str {
        match self {
            Self::Sessions => "session",
            Self::Transactions => "transaction_id",
        }
    }
}

/// Pushes the condition that `column` is among what was found.
pub(super) fn push_found(query: &mut Query, kind: Kind, column: &str, found: &Found, wanted: Wanted) {
    match found {
        Found::These(these) => {
            // A query of its own, so that the text is read once and not for each row.
            query.push(column).push(" IN (SELECT UNNEST(CAST(").push_value(blocks::list(these)).push(" AS UUID[])))");
        }
        Found::Asked(search) => {
            query.push(column).push(" IN (");
            push_search(query, kind, search, wanted);
            query.push(")");
        }
    }
}

fn push_search(query: &mut Query, kind: Kind, search: &Search, wanted: Wanted) {
    let what = wanted.column();
    if kind == Kind::Sqlite {
        query
            .push(&format!("SELECT t.{what} FROM words w JOIN turn_texts t ON t.number = w.rowid WHERE w.text MATCH "));
        query.push_value(search.fts5());
        return;
    }
    if wanted == Wanted::Sessions {
        blocks::push_plain(query, search);
        query.push(" UNION ALL ");
    }
    push_older(query, search, wanted);
}

/// What older gateways have stored.
fn push_older(query: &mut Query, search: &Search, wanted: Wanted) {
    query.push(&format!("SELECT {} FROM turn_texts WHERE words @@ CAST(", wanted.column()));
    query.push_value(search.tsquery()).push(" AS tsquery)");
}

/// What older gateways have stored that has what is searched for, on PostgreSQL.
pub(crate) async fn older(sql: &mut Sql<'_>, search: &Search, wanted: Wanted) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut query = Query::new("");
    push_older(&mut query, search, wanted);
    sql.all(query).await?.iter().map(|row| row.get(0)).collect()
}
