//! Contents and nodes: what bodies are made of.

use super::insert::Insert;
use super::{Query, Sql};
use crate::body::Hash;

/// A content to store.
#[derive(Debug)]
pub(crate) struct ContentRow {
    pub(crate) hash: Hash,
    pub(crate) data: Vec<u8>,
}

/// A node: to store, or as stored.
#[derive(Clone, Debug)]
pub(crate) struct NodeRow {
    pub(crate) hash: Hash,
    /// `None` for the first of a chain.
    pub(crate) parent: Option<Hash>,
    pub(crate) identity: Hash,
    pub(crate) bytes: NodeBytes,
}

/// Where a node's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum NodeBytes {
    /// In a content, without the marks that were cut out of it (packed; empty if there were none).
    Content(Hash, Vec<u8>),
    /// Here, packed.
    Inline(Vec<u8>),
}

/// The statements that store contents and nodes.
#[derive(Debug)]
pub(crate) struct BodyInserts {
    contents: Insert,
    nodes: Insert,
}

impl BodyInserts {
    pub(crate) fn new() -> Self {
        Self {
            contents: Insert::new("contents", &["hash", "data"]),
            nodes: Insert::new("nodes", &["hash", "parent", "identity", "content", "data"]),
        }
    }

    /// Stores what is not there yet. In the order of the hashes, so that two writers never wait for each other in a circle.
    pub(crate) async fn run(
        &self,
        sql: &mut Sql<'_>,
        mut contents: Vec<ContentRow>,
        mut nodes: Vec<NodeRow>,
    ) -> Result<(), sqlx::Error> {
        contents.sort_unstable_by_key(|row| row.hash);
        nodes.sort_unstable_by_key(|row| row.hash);
        self.contents.run(sql, contents, |row, values| values.extend([row.hash.into(), row.data.into()])).await?;
        self.nodes
            .run(sql, nodes, |row, values| {
                let (content, data) = match row.bytes {
                    NodeBytes::Content(hash, marks) => (Some(hash), (!marks.is_empty()).then_some(marks)),
                    NodeBytes::Inline(data) => (None, Some(data)),
                };
                values.extend([row.hash.into(), row.parent.into(), row.identity.into(), content.into(), data.into()]);
            })
            .await?;
        Ok(())
    }
}

/// A content as it is stored (packed).
pub(crate) async fn content(sql: &mut Sql<'_>, hash: &Hash) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let row = sql.one(Query::new("SELECT data FROM contents WHERE hash = ?").bind(*hash)).await?;
    row.map(|row| row.get(0)).transpose()
}

/// A node and those before it, the last first, at most `most`.
pub(crate) async fn chain(sql: &mut Sql<'_>, last: &Hash, most: u32) -> Result<Vec<NodeRow>, sqlx::Error> {
    let query = Query::new(
        "WITH RECURSIVE chain (step, hash, parent, identity, content, data) AS (
            SELECT 1, hash, parent, identity, content, data FROM nodes WHERE hash = ?
            UNION ALL
            SELECT step + 1, n.hash, n.parent, n.identity, n.content, n.data
            FROM chain JOIN nodes n ON n.hash = chain.parent WHERE step < ?
        ) SELECT hash, parent, identity, content, data FROM chain ORDER BY step",
    );
    let rows = sql.all(query.bind(*last).bind(most)).await?;
    rows.into_iter()
        .map(|row| {
            let data = row.get::<Option<Vec<u8>>>(4)?.unwrap_or_default();
            let bytes = match row.get(3)? {
                Some(hash) => NodeBytes::Content(hash, data),
                None => NodeBytes::Inline(data),
            };
            Ok(NodeRow { hash: row.get(0)?, parent: row.get(1)?, identity: row.get(2)?, bytes })
        })
        .collect()
}
