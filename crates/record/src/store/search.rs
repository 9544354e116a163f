//! What a search finds. SQLite answers by itself; PostgreSQL's index tells which turns have the words, and where they have to follow each
//! other, what these turns said is read again.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::rebuild::{Pieces, Rebuild};
use super::{Store, StoreError};
use crate::recorder::complete::{histories, said, words_of};
use crate::sql::blocks::{are_gone, blocks, remove_gone, take_older, with_words};
use crate::sql::state::{begin_deletion, epoch_for_batch};
use crate::sql::texts::{Found, TextInserts, Wanted, older};
use crate::sql::transactions::{TransactionRow, several};
use crate::sql::{Kind, Sql};
use crate::words::{Entry, Search, parts};

/// So many blocks are looked at together.
const AT_ONCE: usize = 256;

impl Store {
    /// Brings the words that older gateways have stored into the form of this version, and removes those of transactions that they
    /// have deleted, in small steps; gives of how many transactions words were brought over. They are found before as after.
    pub async fn bring_words_over(&self) -> Result<u64, StoreError> {
        let (inserts, mut histories, mut count) = (TextInserts::new(), histories(), 0);
        loop {
            let mut work = self.editor().begin().await?;
            let mut sql = work.sql();
            if sql.kind() == Kind::Sqlite {
                return Ok(0);
            }
            if are_gone(&mut sql).await? {
                begin_deletion(&mut sql).await?;
                remove_gone(&mut sql).await?;
                work.commit().await?;
                continue;
            }
            // They are not deleted meanwhile.
            epoch_for_batch(&mut sql).await?;
            let ids = take_older(&mut sql).await?;
            if ids.is_empty() {
                return Ok(count);
            }
            count += ids.len() as u64;
            let mut rows: HashMap<_, _> = several(&mut sql, &ids).await?.into_iter().map(|row| (row.id, row)).collect();
            let mut texts = Vec::new();
            for row in ids.iter().filter_map(|id| rows.remove(id)).collect::<Vec<_>>() {
                texts.extend(words_of(&mut sql, row, &mut histories).await?);
            }
            inserts.run(&mut sql, texts).await?;
            work.commit().await?;
        }
    }
}

/// What a search finds, or how the database is asked for it.
pub(super) async fn found(sql: &mut Sql<'_>, search: &Search, wanted: Wanted) -> Result<Found, StoreError> {
    if sql.kind() == Kind::Sqlite || (wanted == Wanted::Sessions && search.is_plain()) {
        return Ok(Found::Asked(search.clone()));
    }
    let mut these: HashSet<Uuid> = older(sql, search, wanted).await?.into_iter().collect();
    let mut pieces = Pieces::default();
    for places in with_words(sql, search).await?.chunks(AT_ONCE) {
        let mut places = places.to_vec();
        // In the order of sessions, of which one block is enough.
        places.retain(|(session, _)| wanted == Wanted::Transactions || !these.contains(session));
        let mut perhaps = Vec::new();
        for (session, block) in blocks(sql, &places).await? {
            for (entry, certain) in block.fitting(search) {
                let found = if wanted == Wanted::Sessions { session } else { entry.transaction };
                if certain {
                    these.insert(found);
                } else {
                    perhaps.push((found, entry));
                }
            }
        }
        perhaps.retain(|(found, _)| !these.contains(found));
        look(sql, &mut pieces, search, perhaps, &mut these).await?;
    }
    Ok(Found::These(these.into_iter().collect()))
}

/// Adds what turns out to be found.
async fn look(
    sql: &mut Sql<'_>,
    pieces: &mut Pieces,
    search: &Search,
    perhaps: Vec<(Uuid, Entry)>,
    these: &mut HashSet<Uuid>,
) -> Result<(), StoreError> {
    for some in perhaps.chunks(AT_ONCE) {
        let ids: Vec<Uuid> = some.iter().map(|(_, entry)| entry.transaction).collect();
        let mut rows: HashMap<Uuid, TransactionRow> =
            several(sql, &ids).await?.into_iter().map(|row| (row.id, row)).collect();
        for (found, entry) in some.iter().filter(|(found, _)| !these.contains(found)).copied().collect::<Vec<_>>() {
            let Some(row) = rows.remove(&entry.transaction) else { continue };
            let said = match texts(sql, pieces, row, &entry).await {
                // It is shown as damaged by whoever asks for it.
                Err(StoreError::Damaged { .. }) => continue,
                said => said?,
            };
            let part = usize::try_from(entry.part).ok().and_then(|part| said.get(part));
            if part.is_some_and(|part| search.fits(&part.split(' ').collect::<Vec<_>>())) {
                these.insert(found);
            }
        }
    }
    Ok(())
}

/// The words of a turn's parts, in their order, as they were put into the index.
async fn texts(
    sql: &mut Sql<'_>,
    pieces: &mut Pieces,
    row: TransactionRow,
    entry: &Entry,
) -> Result<Vec<String>, StoreError> {
    let mut rebuild = Rebuild::new(sql, pieces);
    if entry.known == 0 {
        let (id, session) = (row.id, row.session_key);
        let detail = rebuild.detail(row, String::new()).await?;
        return Ok(said(&detail, 0, id, session).into_iter().map(|row| row.words).collect());
    }
    let fresh = u32::try_from(entry.fresh).unwrap_or(u32::MAX);
    Ok(parts(&rebuild.fresh(&row, fresh).await?))
}

#[cfg(test)]
mod tests;
