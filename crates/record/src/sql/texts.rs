//! What is found by its words: the texts of transactions in the full-text index.

use uuid::Uuid;

use super::insert::Insert;
use super::{Kind, Query, Sql};
use crate::words::{Search, tsvector};

/// A part of a transaction's text.
#[derive(Clone, Debug)]
pub(crate) struct TextRow {
    pub(crate) transaction: Uuid,
    pub(crate) session: Uuid,
    /// Which part it is, from 0.
    pub(crate) part: i64,
    /// Words with spaces between them.
    pub(crate) words: String,
}

/// The statements that store texts.
#[derive(Debug)]
pub(crate) struct TextInserts {
    sqlite: (Insert, Insert),
    postgres: Insert,
}

impl TextInserts {
    pub(crate) fn new() -> Self {
        let columns = ["transaction_id", "session", "part"];
        Self {
            sqlite: (
                Insert::with("turn_texts", &columns, &["?"; 3], "RETURNING number"),
                Insert::with("words", &["rowid", "text"], &["?"; 2], ""),
            ),
            postgres: Insert::with(
                "turn_texts",
                &["transaction_id", "session", "part", "words"],
                &["?", "?", "?", "CAST(? AS tsvector)"],
                "",
            ),
        }
    }

    /// Stores texts of transactions that have none yet.
    pub(crate) async fn run(&self, sql: &mut Sql<'_>, rows: Vec<TextRow>) -> Result<(), sqlx::Error> {
        if sql.kind() == Kind::Postgres {
            self.postgres
                .run(sql, rows, |row, values| {
                    let words = tsvector(&row.words);
                    values.extend([row.transaction.into(), row.session.into(), row.part.into(), words.into()]);
                })
                .await?;
            return Ok(());
        }
        let (numbers, words) = &self.sqlite;
        // One row at a time: which number is whose must be certain.
        let mut texts = Vec::with_capacity(rows.len());
        for row in rows {
            let (transaction, session, part) = (row.transaction, row.session, row.part);
            let given = numbers
                .run(sql, vec![()], |(), values| values.extend([transaction.into(), session.into(), part.into()]))
                .await?;
            let number: i64 = given.first().ok_or(sqlx::Error::RowNotFound)?.get(0)?;
            texts.push((number, row.words));
        }
        words.run(sql, texts, |(number, text), values| values.extend([number.into(), text.into()])).await?;
        Ok(())
    }
}

/// Pushes the query for the sessions with a turn that has what is searched for.
pub(super) fn push_search(query: &mut Query, kind: Kind, search: &Search) {
    match kind {
        Kind::Sqlite => {
            query.push("SELECT t.session FROM words w JOIN turn_texts t ON t.number = w.rowid WHERE w.text MATCH ");
            query.push_value(search.fts5());
        }
        Kind::Postgres => {
            query.push("SELECT t.session FROM turn_texts t WHERE t.words @@ CAST(").push_value(search.tsquery());
            query.push(" AS tsquery)");
        }
    }
}
