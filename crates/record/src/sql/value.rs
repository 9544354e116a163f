//! Values that go into statements. Each knows its type also where there is none of it.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use uuid::Uuid;

use crate::body::Hash;

/// A value, or `NULL` of its type.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Real(Option<f64>),
    Switch(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    /// `UUID`; 16 bytes in SQLite.
    Id(Option<Uuid>),
    /// `timestamptz`; microseconds since 1970 UTC in SQLite.
    Time(Option<Timestamp>),
}

impl Value {
    pub(super) fn add_to_sqlite(self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Integer(value) => arguments.add(value),
            Self::Real(value) => arguments.add(value),
            Self::Switch(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value.map(storable)),
            Self::Bytes(value) => arguments.add(value),
            Self::Id(value) => arguments.add(value.map(|id| id.as_bytes().to_vec())),
            Self::Time(value) => arguments.add(value.map(Timestamp::as_microsecond)),
        }
    }

    pub(super) fn add_to_postgres(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Integer(value) => arguments.add(value),
            Self::Real(value) => arguments.add(value),
            Self::Switch(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value.map(storable)),
            Self::Bytes(value) => arguments.add(value),
            Self::Id(value) => arguments.add(value),
            Self::Time(value) => arguments.add(value.map(|time| micros(time).to_sqlx())),
        }
    }
}

/// The time as finely as both databases keep it.
fn micros(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// PostgreSQL has no text with NUL in it; SQLite would have, and the record is to be the same on both.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// The same of a text of one's own.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

macro_rules! values {
    ($($from:ty => $variant:ident $(, $into:expr)?;)+) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::from(Some(value))
            }
        }
        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value$(.map($into))?)
            }
        }
    )+};
}

values! {
    i64 => Integer;
    u32 => Integer, i64::from;
    u16 => Integer, i64::from;
    f64 => Real;
    bool => Switch;
    String => Text;
    &str => Text, str::to_owned;
    Vec<u8> => Bytes;
    &[u8] => Bytes, <[u8]>::to_vec;
    Hash => Bytes, |hash| hash.to_vec();
    Uuid => Id;
    Timestamp => Time;
}
