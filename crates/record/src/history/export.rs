//! A session as a file, piece by piece: however long it is, hardly more than one turn of it is in memory.

use std::collections::BTreeMap;

use super::reader::Reader;
use super::session::Turn;
use crate::store::{SessionRow, Store, StoreError};

mod json;
mod markdown;

/// The form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For reading: what is new in each turn, answers, and what policies changed, original beside final.
    Markdown,
    /// One JSON document, the same as the session's detail.
    Json,
    /// JSON lines: one turn a line, each with its session.
    Jsonl,
}

impl Format {
    /// The ending of the file's name.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
        }
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Json => "application/json",
            Self::Jsonl => "application/x-ndjson",
        }
    }
}

/// A session on its way into a file.
#[derive(Debug)]
pub struct Export {
    format: Format,
    reader: Reader,
    /// The names that were given to its users.
    labels: BTreeMap<String, String>,
    turns: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Turns,
    Ended,
}

impl Export {
    /// Of the session with this id; none if it is unknown.
    pub async fn of(store: &Store, id: &str, format: Format) -> Result<Option<Self>, StoreError> {
        let Some(reader) = Reader::open(store, id).await? else { return Ok(None) };
        let labels = store.labels_of(&reader.session().users).await?;
        Ok(Some(Self { format, reader, labels, turns: 0, stage: Stage::Head }))
    }

    /// The session as the list has it.
    pub fn session(&self) -> &SessionRow {
        self.reader.session()
    }

    /// How many turns have been given.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// The next piece of the file; none at its end. After an error there is no more to come: the file is not whole.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        match self.stage {
            Stage::Head => {
                self.stage = Stage::Turns;
                Ok(Some(self.head()))
            }
            Stage::Turns => {
                if let Some(turn) = self.reader.next().await? {
                    self.turns += 1;
                    return self.turn(&turn).map(Some);
                }
                self.stage = Stage::Ended;
                self.tail().map(Some)
            }
            Stage::Ended => Ok(None),
        }
    }

    fn turn(&self, turn: &Turn) -> Result<String, StoreError> {
        match self.format {
            Format::Markdown => Ok(markdown::turn(turn, self.turns, &self.labels)),
            Format::Json => json::element(turn, self.turns),
            Format::Jsonl => json::line(turn, &self.session().session_id, &self.labels),
        }
    }

    fn head(&self) -> String {
        match self.format {
            Format::Markdown => markdown::head(self.session(), &self.labels),
            Format::Json => json::head(self.session()),
            Format::Jsonl => String::new(),
        }
    }

    fn tail(&self) -> Result<String, StoreError> {
        match self.format {
            Format::Json => json::tail(&self.reader.summary(), &self.labels),
            Format::Markdown | Format::Jsonl => Ok(String::new()),
        }
    }
}
