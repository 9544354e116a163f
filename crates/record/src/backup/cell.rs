//! One value of a row as a backup has it: the same for both databases, whatever they call its type.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use sqlx::{Row as _, TypeInfo as _};
use uuid::Uuid;

use crate::sql::{Row, Value};

/// No value is longer: what says otherwise is damaged.
const LONGEST: u64 = 1 << 31;

/// A value. Switches are 0 and 1, times microseconds since 1970 UTC, ids their 16 bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    /// The value in a row's column.
    pub(super) fn of(row: &Row, index: usize) -> Result<Self, sqlx::Error> {
        let kind = match row {
            Row::Sqlite(row) => kind_of(&row.try_get_raw(index)?),
            Row::Postgres(row) => kind_of(&row.try_get_raw(index)?),
        };
        Ok(match kind.as_str() {
            "NULL" => Self::Null,
            "INTEGER" | "INT8" => Self::Integer(row.get(index)?),
            "BOOL" => Self::Integer(row.get::<bool>(index)?.into()),
            "TIMESTAMPTZ" => Self::Integer(row.get::<Timestamp>(index)?.as_microsecond()),
            "REAL" | "FLOAT8" => Self::Real(row.get(index)?),
            "TEXT" => Self::Text(row.get(index)?),
            "BLOB" | "BYTEA" => Self::Bytes(row.get(index)?),
            "UUID" => Self::Bytes(row.get::<Uuid>(index)?.as_bytes().to_vec()),
            other => {
                return Err(sqlx::Error::Decode(format!("a backup has no place for values of type {other}").into()));
            }
        })
    }

    /// The value for a column of this type; `None` where it does not fit.
    pub(super) fn value(self, kind: Kind) -> Option<Value> {
        Some(match (kind, self) {
            (Kind::Integer, Self::Null) => Value::Integer(None),
            (Kind::Integer | Kind::Any, Self::Integer(number)) => Value::Integer(Some(number)),
            (Kind::Real, Self::Null) => Value::Real(None),
            (Kind::Real | Kind::Any, Self::Real(number)) => Value::Real(Some(number)),
            (Kind::Switch, Self::Null) => Value::Switch(None),
            (Kind::Switch, Self::Integer(number)) => Value::Switch(Some(number != 0)),
            (Kind::Words | Kind::Text | Kind::Any, Self::Null) => Value::Text(None),
            (Kind::Words | Kind::Text | Kind::Any, Self::Text(text)) => Value::Text(Some(text)),
            (Kind::Bytes, Self::Null) => Value::Bytes(None),
            (Kind::Bytes | Kind::Any, Self::Bytes(bytes)) => Value::Bytes(Some(bytes)),
            (Kind::Id, Self::Null) => Value::Id(None),
            (Kind::Id, Self::Bytes(bytes)) => Value::Id(Some(Uuid::from_slice(&bytes).ok()?)),
            (Kind::Time, Self::Null) => Value::Time(None),
            (Kind::Time, Self::Integer(micros)) => Value::Time(Some(Timestamp::from_microsecond(micros).ok()?)),
            _ => return None,
        })
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Null => out.write_all(&[0]),
            Self::Integer(number) => write_tagged(out, 1, &number.to_le_bytes()),
            Self::Real(number) => write_tagged(out, 2, &number.to_le_bytes()),
            Self::Text(text) => write_long(out, 3, text.as_bytes()),
            Self::Bytes(bytes) => write_long(out, 4, bytes),
        }
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        Ok(match read_array(from)? {
            [0] => Self::Null,
            [1] => Self::Integer(i64::from_le_bytes(read_array(from)?)),
            [2] => Self::Real(f64::from_le_bytes(read_array(from)?)),
            [3] => Self::Text(String::from_utf8(read_long(from)?).map_err(|_| damaged())?),
            [4] => Self::Bytes(read_long(from)?),
            _ => return Err(damaged()),
        })
    }
}

/// What a column takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    Switch,
    Text,
    Bytes,
    Id,
    Time,
    /// PostgreSQL's index of words, as text.
    Words,
    /// SQLite's: whatever it is.
    Any,
}

impl Kind {
    /// Of a type by PostgreSQL's name for it.
    pub(super) fn of_postgres(name: &str) -> Option<Self> {
        Some(match name {
            "bigint" => Self::Integer,
            "double precision" => Self::Real,
            "boolean" => Self::Switch,
            "text" => Self::Text,
            "bytea" => Self::Bytes,
            "uuid" => Self::Id,
            "timestamp with time zone" => Self::Time,
            "tsvector" => Self::Words,
            _ => return None,
        })
    }
}

fn kind_of<'r>(value: &impl sqlx::ValueRef<'r>) -> String {
    if value.is_null() { "NULL".into() } else { value.type_info().name().into() }
}

fn write_tagged(out: &mut impl Write, tag: u8, bytes: &[u8]) -> io::Result<()> {
    out.write_all(&[tag])?;
    out.write_all(bytes)
}

fn write_long(out: &mut impl Write, tag: u8, bytes: &[u8]) -> io::Result<()> {
    write_tagged(out, tag, &(bytes.len() as u64).to_le_bytes())?;
    out.write_all(bytes)
}

pub(super) fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_long(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = u64::from_le_bytes(read_array(from)?);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    let read = from.take(length).read_to_end(&mut bytes)?;
    if read as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were_and_half_of_one_is_an_error() {
        let cells = [
            Cell::Null,
            Cell::Integer(i64::MIN),
            Cell::Real(0.1),
            Cell::Text("é\n".into()),
            Cell::Bytes(vec![0, 255]),
            Cell::Bytes(Vec::new()),
        ];
        for cell in cells {
            let mut bytes = Vec::new();
            cell.write(&mut bytes).expect("written");
            assert_eq!(Cell::read(&mut bytes.as_slice()).expect("read"), cell);
            assert!(Cell::read(&mut &bytes[..bytes.len() - 1]).is_err(), "{cell:?}");
        }
        assert!(Cell::read(&mut [9].as_slice()).is_err());
    }

    #[test]
    fn what_does_not_fit_a_column_is_no_value() {
        assert!(Cell::Text("x".into()).value(Kind::Integer).is_none());
        assert!(Cell::Bytes(vec![1]).value(Kind::Id).is_none());
        assert!(Cell::Integer(i64::MAX).value(Kind::Time).is_none());
    }
}
