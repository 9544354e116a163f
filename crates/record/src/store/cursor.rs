//! A session's transactions one after the other: what is in memory does not grow with the session.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use super::rebuild::{Pieces, Rebuild};
use super::{SessionRow, Store, StoreError, TransactionDetail, names};
use crate::sql;
use crate::sql::transactions::TransactionRow;

/// How many rows are read at a time.
const ROWS_AT_ONCE: usize = 50;

/// Reads the transactions that a session had when this was made, in the order of their start.
#[derive(Debug)]
pub struct Cursor {
    store: Store,
    session: SessionRow,
    /// Still to be read.
    ids: VecDeque<Uuid>,
    rows: VecDeque<TransactionRow>,
    pieces: Pieces,
}

impl Store {
    /// Begins to read the session with this id; none if it is unknown.
    pub async fn cursor(&self, id: &str) -> Result<Option<Cursor>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut sql = connection.sql();
        let Some((name, credential)) = names::find(&mut sql, id).await? else { return Ok(None) };
        let key = sql::sessions::session_key(&name, &credential);
        let Some(row) = sql::sessions::one(&mut sql, key).await? else { return Ok(None) };
        let ids = sql::transactions::ids_of_session(&mut sql, key).await?.into();
        let session = Self::listed(&mut sql, vec![row]).await?.pop();
        Ok(session.map(|session| Cursor {
            store: self.clone(),
            session,
            ids,
            rows: VecDeque::new(),
            pieces: Pieces::default(),
        }))
    }
}

impl Cursor {
    /// The session as the list has it.
    pub fn session(&self) -> &SessionRow {
        &self.session
    }

    /// The next transaction; none at the end. One that has been deleted meanwhile is passed over.
    pub async fn next(&mut self) -> Result<Option<TransactionDetail>, StoreError> {
        if self.rows.is_empty() && self.ids.is_empty() {
            return Ok(None);
        }
        let mut connection = self.store.readers.acquire().await?;
        let mut sql = connection.sql();
        while self.rows.is_empty() && !self.ids.is_empty() {
            let most = self.ids.len().min(ROWS_AT_ONCE);
            let ids: Vec<Uuid> = self.ids.drain(..most).collect();
            let found = sql::transactions::several(&mut sql, &ids).await?;
            let mut found: HashMap<Uuid, TransactionRow> = found.into_iter().map(|row| (row.id, row)).collect();
            self.rows.extend(ids.iter().filter_map(|id| found.remove(id)));
        }
        let Some(row) = self.rows.pop_front() else { return Ok(None) };
        Rebuild::new(&mut sql, &mut self.pieces).detail(row, self.session.session_id.clone()).await.map(Some)
    }
}
