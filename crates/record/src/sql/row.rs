//! Rows that statements give, read by the place or the name of a column.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Row as _, ValueRef as _};
use uuid::Uuid;

use crate::body::Hash;

/// A row.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value in a column.
    pub(crate) fn get<T: Column>(
        &self,
        column: impl ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    ) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => T::of_sqlite(row, column.index(row)?),
            Self::Postgres(row) => T::of_postgres(row, column.index(row)?),
        }
    }
}

/// What a column may hold.
pub(crate) trait Column: Sized {
    fn of_sqlite(row: &SqliteRow, index: usize) -> Result<Self, sqlx::Error>;
    fn of_postgres(row: &PgRow, index: usize) -> Result<Self, sqlx::Error>;
}

impl<T: Column> Column for Option<T> {
    fn of_sqlite(row: &SqliteRow, index: usize) -> Result<Self, sqlx::Error> {
        if row.try_get_raw(index)?.is_null() { Ok(None) } else { T::of_sqlite(row, index).map(Some) }
    }

    fn of_postgres(row: &PgRow, index: usize) -> Result<Self, sqlx::Error> {
        if row.try_get_raw(index)?.is_null() { Ok(None) } else { T::of_postgres(row, index).map(Some) }
    }
}

macro_rules! alike {
    ($($type:ty),+) => {$(
        impl Column for $type {
            fn of_sqlite(row: &SqliteRow, index: usize) -> Result<Self, sqlx::Error> {
                row.try_get(index)
            }

            fn of_postgres(row: &PgRow, index: usize) -> Result<Self, sqlx::Error> {
                row.try_get(index)
            }
        }
    )+};
}

alike!(i64, f64, bool, String, Vec<u8>);

impl Column for Uuid {
    fn of_sqlite(row: &SqliteRow, index: usize) -> Result<Self, sqlx::Error> {
        Self::from_slice(row.try_get(index)?).map_err(|error| sqlx::Error::Decode(error.into()))
    }

    fn of_postgres(row: &PgRow, index: usize) -> Result<Self, sqlx::Error> {
        row.try_get(index)
    }
}

impl Column for Timestamp {
    fn of_sqlite(row: &SqliteRow, index: usize) -> Result<Self, sqlx::Error> {
        Self::from_microsecond(row.try_get(index)?).map_err(|error| sqlx::Error::Decode(error.into()))
    }

    fn of_postgres(row: &PgRow, index: usize) -> Result<Self, sqlx::Error> {
        Ok(row.try_get::<jiff_sqlx::Timestamp, _>(index)?.to_jiff())
    }
}

impl Column for Hash {
    fn of_sqlite(row: &SqliteRow, index: usize) -> Result<Self, sqlx::Error> {
        hash(row.try_get(index)?)
    }

    fn of_postgres(row: &PgRow, index: usize) -> Result<Self, sqlx::Error> {
        hash(row.try_get(index)?)
    }
}

fn hash(bytes: &[u8]) -> Result<Hash, sqlx::Error> {
    bytes.try_into().map_err(|_| sqlx::Error::Decode("a hash of the wrong length".into()))
}
