//! Rows in bulk: statements of a few fixed sizes, so that they stay prepared and a batch takes few round trips.

use super::{Query, Row, Sql, Value};

/// How many rows one statement takes, largest first.
const SIZES: [usize; 4] = [128, 32, 8, 1];

/// An insert into one table.
#[derive(Debug)]
pub(crate) struct Insert {
    statements: [String; SIZES.len()],
}

impl Insert {
    /// Into `table` with these columns; rows that are there already are left as they are.
    pub(crate) fn new(table: &str, columns: &[&str]) -> Self {
        Self::with(table, columns, &vec!["?"; columns.len()], "ON CONFLICT DO NOTHING")
    }

    /// Into `table`: `values` is what stands for each column, `?` or an expression with one, `tail` what follows the rows.
    pub(crate) fn with(table: &str, columns: &[&str], values: &[&str], tail: &str) -> Self {
        let row = format!("({})", values.join(", "));
        let columns = columns.join(", ");
        let statements = SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(", ");
            format!("INSERT INTO {table} ({columns}) VALUES {rows} {tail}")
        });
        Self { statements }
    }

    /// Inserts the rows; `bind` adds one row's values. Gives what the statements give.
    pub(crate) async fn run<T>(
        &self,
        sql: &mut Sql<'_>,
        rows: Vec<T>,
        bind: impl Fn(T, &mut Vec<Value>),
    ) -> Result<Vec<Row>, sqlx::Error> {
        let (mut left, mut given) = (rows.len(), Vec::new());
        let mut rows = rows.into_iter();
        for (size, statement) in SIZES.into_iter().zip(&self.statements) {
            while left >= size {
                let mut values = Vec::new();
                for row in rows.by_ref().take(size) {
                    bind(row, &mut values);
                }
                given.extend(sql.all(Query::with_values(statement.clone(), values)).await?);
                left -= size;
            }
        }
        Ok(given)
    }
}
