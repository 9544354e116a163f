//! Rows in bulk: statements of a few fixed sizes, so that they stay prepared and a batch takes few round trips.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, SqliteConnection};

/// How many rows one statement takes, largest first.
const SIZES: [usize; 4] = [128, 32, 8, 1];

/// An insert into one table.
#[derive(Debug)]
pub(super) struct Insert {
    statements: [Arc<str>; SIZES.len()],
}

impl Insert {
    /// Into `table` with these columns; rows that are there already are left as they are.
    pub(super) fn new(table: &str, columns: &[&str]) -> Self {
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let statements = SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(", ");
            let columns = columns.join(", ");
            Arc::from(format!("INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT DO NOTHING"))
        });
        Self { statements }
    }

    /// Inserts the rows; `bind` adds one row's values in the order of the columns.
    pub(super) async fn run<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: Vec<T>,
        bind: impl Fn(T, &mut SqliteArguments) -> Result<(), BoxDynError>,
    ) -> Result<(), sqlx::Error> {
        let mut left = rows.len();
        let mut rows = rows.into_iter();
        for (size, statement) in SIZES.into_iter().zip(&self.statements) {
            while left >= size {
                let mut values = SqliteArguments::default();
                for row in rows.by_ref().take(size) {
                    bind(row, &mut values).map_err(sqlx::Error::Encode)?;
                }
                let sql = AssertSqlSafe(Arc::clone(statement));
                sqlx::query_with(sql, values).execute(&mut *connection).await?;
                left -= size;
            }
        }
        Ok(())
    }
}
