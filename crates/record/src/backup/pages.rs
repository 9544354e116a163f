//! The rows of a table, page by page, out of one snapshot.

use super::cell::Cell;
use super::tables::Table;
use crate::sql::{Kind, Query, Row, Sql};

/// So many rows are in memory at a time: one may hold a large picture.
const ROWS: usize = 64;

/// Reads a table to its end.
pub(super) struct Pages<'t> {
    table: &'t Table,
    /// SQLite: what the rows are read in the order of, and the last one's.
    order: Vec<String>,
    last: Option<Vec<Cell>>,
    /// PostgreSQL: the cursor is open. Each table has one of its own name, since statements are remembered with their columns.
    open: bool,
}

impl<'t> Pages<'t> {
    pub(super) async fn new(sql: &mut Sql<'_>, table: &'t Table) -> Result<Self, sqlx::Error> {
        let mut order: Vec<String> = Vec::new();
        if sql.kind() == Kind::Sqlite {
            let declared = Query::new("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?");
            let declared: String =
                sql.one(declared.bind(table.name.as_str())).await?.ok_or(sqlx::Error::RowNotFound)?.get(0)?;
            if declared.to_ascii_uppercase().contains("WITHOUT ROWID") {
                order.extend(table.columns.iter().filter(|column| column.key).map(|column| column.name.clone()));
            } else {
                // As they lie on the disk.
                order.push("rowid".into());
            }
        }
        Ok(Self { table, order, last: None, open: false })
    }

    /// The next rows; empty at the end.
    pub(super) async fn next(&mut self, sql: &mut Sql<'_>) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
        match sql.kind() {
            Kind::Sqlite => self.next_of_sqlite(sql).await,
            Kind::Postgres => self.next_of_postgres(sql).await,
        }
    }

    async fn next_of_sqlite(&mut self, sql: &mut Sql<'_>) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
        let order = self.order.join(", ");
        let columns = self.table.list();
        let mut query = Query::new(format!("SELECT {columns}, {order} FROM {}", self.table.name));
        if let Some(last) = self.last.take() {
            query.push(&format!(" WHERE ({order}) > "));
            let values = last.into_iter().filter_map(|cell| cell.value(super::cell::Kind::Any));
            query.push_list(values);
        }
        query.push(&format!(" ORDER BY {order} LIMIT {ROWS}"));
        let width = self.table.columns.len();
        let mut rows = cells(&sql.all(query).await?, width + self.order.len())?;
        for row in &mut rows {
            self.last = Some(row.split_off(width));
        }
        Ok(rows)
    }

    async fn next_of_postgres(&mut self, sql: &mut Sql<'_>) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
        if !self.open {
            let (list, name) = (self.table.list(), &self.table.name);
            let declare = format!("DECLARE backup_{name} NO SCROLL CURSOR FOR SELECT {list} FROM {name}");
            sql.run(Query::new(declare)).await?;
            self.open = true;
        }
        let rows = cells(
            &sql.all(Query::new(format!("FETCH {ROWS} FROM backup_{}", self.table.name))).await?,
            self.table.columns.len(),
        )?;
        if rows.is_empty() {
            sql.run(Query::new(format!("CLOSE backup_{}", self.table.name))).await?;
        }
        Ok(rows)
    }
}

fn cells(rows: &[Row], width: usize) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
    rows.iter().map(|row| (0..width).map(|index| Cell::of(row, index)).collect()).collect()
}
