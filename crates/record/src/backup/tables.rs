//! Which tables a backup holds, as the database itself tells them: new ones are in it without being named here.

use std::collections::HashSet;

use sqlx::error::BoxDynError;

use super::cell::Kind;
use crate::database::migrations;
use crate::sql::{self, Query, Sql};

/// The schema's own, who is at work on the other one, and who is logged in there: a session that has ended must not come back.
const LEFT_OUT: [&str; 4] = ["record_state", "retention", "_sqlx_migrations", "admin_logins"];

/// Which session a transaction is in.
pub(super) const SESSION: &str = "session_key";

/// What follows from the transactions. It is restored as it was to the same kind of database; on the other, where the index of words
/// has another form, all of it is made anew.
pub(super) fn made_anew(table: &str) -> bool {
    matches!(table, "sessions" | "session_tags" | "refs" | "turn_texts" | "word_blocks" | "words_gone")
        || table.starts_with("words_")
}

/// A table to keep.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

/// A column to keep.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Part of the primary key.
    pub(super) key: bool,
    /// Numbered by the database.
    pub(super) numbered: bool,
}

impl Table {
    /// Its columns, to be selected.
    pub(super) fn list(&self) -> String {
        let read = |column: &Column| match column.kind {
            Kind::Words => format!("CAST({} AS TEXT)", column.name),
            _ => column.name.clone(),
        };
        self.columns.iter().map(read).collect::<Vec<_>>().join(", ")
    }

    /// What stands for a value of each column in an insert.
    pub(super) fn places(&self) -> Vec<&'static str> {
        let place = |column: &Column| if column.kind == Kind::Words { "CAST(? AS tsvector)" } else { "?" };
        self.columns.iter().map(place).collect()
    }
}

/// The tables of this database, those that refer to others last.
pub(super) async fn tables(sql: &mut Sql<'_>) -> Result<Vec<Table>, sqlx::Error> {
    let referring = referring(sql).await?;
    let mut tables = by_name(sql).await?;
    tables.sort_by_key(|table| referring.contains(&table.name));
    Ok(tables)
}

/// The tables with rows that need a row of another table.
async fn referring(sql: &mut Sql<'_>) -> Result<HashSet<String>, sqlx::Error> {
    let query = Query::new(match sql.kind() {
        sql::Kind::Sqlite => {
            "SELECT DISTINCT m.name FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
        }
        sql::Kind::Postgres => {
            "SELECT DISTINCT CAST(table_name AS TEXT) FROM information_schema.table_constraints
            WHERE constraint_type = 'FOREIGN KEY' AND table_schema = current_schema()"
        }
    });
    sql.all(query).await?.iter().map(|row| row.get(0)).collect()
}

async fn by_name(sql: &mut Sql<'_>) -> Result<Vec<Table>, sqlx::Error> {
    let columns = match sql.kind() {
        // The index of words is a virtual table; what it holds is in plain ones beside it.
        sql::Kind::Sqlite => {
            "SELECT m.name, c.name, '', CAST(c.pk > 0 AS INTEGER), 0
            FROM sqlite_master m JOIN pragma_table_info(m.name) c
            WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND m.sql NOT LIKE 'CREATE VIRTUAL%'
            ORDER BY m.name, c.cid"
        }
        sql::Kind::Postgres => {
            "SELECT CAST(c.table_name AS TEXT), CAST(c.column_name AS TEXT), CAST(c.data_type AS TEXT),
                CAST(CASE WHEN EXISTS (
                    SELECT 1 FROM information_schema.key_column_usage k
                    JOIN information_schema.table_constraints t USING (constraint_schema, constraint_name)
                    WHERE t.constraint_type = 'PRIMARY KEY' AND k.table_schema = c.table_schema
                    AND k.table_name = c.table_name AND k.column_name = c.column_name
                ) THEN 1 ELSE 0 END AS BIGINT),
                CAST(CASE WHEN c.is_identity = 'YES' THEN 1 ELSE 0 END AS BIGINT)
            FROM information_schema.columns c
            JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
            WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
            AND COALESCE(c.identity_generation, '') <> 'ALWAYS'
            ORDER BY c.table_name COLLATE \"C\", c.ordinal_position"
        }
    };
    // A schema on a server may hold other applications' tables too.
    let ours = match sql.kind() {
        sql::Kind::Sqlite => None,
        sql::Kind::Postgres => Some(migrations::tables()),
    };
    let mut tables: Vec<Table> = Vec::new();
    for row in sql.all(Query::new(columns)).await? {
        let (table, name): (String, String) = (row.get(0)?, row.get(1)?);
        if LEFT_OUT.contains(&table.as_str()) || ours.as_ref().is_some_and(|ours| !ours.contains(&table)) {
            continue;
        }
        let kind = match sql.kind() {
            sql::Kind::Sqlite => Kind::Any,
            sql::Kind::Postgres => {
                let declared: String = row.get(2)?;
                Kind::of_postgres(&declared).ok_or_else(|| unknown(&table, &name, &declared))?
            }
        };
        let (key, numbered) = (row.get::<i64>(3)? != 0, row.get::<i64>(4)? != 0);
        let column = Column { name, kind, key, numbered };
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push(column),
            None => tables.push(Table { name: table, columns: vec![column] }),
        }
    }
    Ok(tables)
}

fn unknown(table: &str, column: &str, kind: &str) -> sqlx::Error {
    let why: BoxDynError = format!("a backup has no place for {table}.{column} of type {kind}").into();
    sqlx::Error::Decode(why)
}
