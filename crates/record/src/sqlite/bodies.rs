//! Contents and nodes in SQLite: what bodies are made of.

use sqlx::{Arguments as _, Row as _, SqliteConnection};

use super::insert::Insert;
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

    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        contents: Vec<ContentRow>,
        nodes: Vec<NodeRow>,
    ) -> Result<(), sqlx::Error> {
        self.contents
            .run(connection, contents, |row, values| {
                values.add(row.hash.to_vec())?;
                values.add(row.data)
            })
            .await?;
        self.nodes
            .run(connection, nodes, |row, values| {
                let (content, data) = match row.bytes {
                    NodeBytes::Content(hash, marks) => (Some(hash.to_vec()), (!marks.is_empty()).then_some(marks)),
                    NodeBytes::Inline(data) => (None, Some(data)),
                };
                values.add(row.hash.to_vec())?;
                values.add(row.parent.map(|hash| hash.to_vec()))?;
                values.add(row.identity.to_vec())?;
                values.add(content)?;
                values.add(data)
            })
            .await
    }
}

/// A content as it is stored (packed).
pub(crate) async fn content(connection: &mut SqliteConnection, hash: &Hash) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT data FROM contents WHERE hash = ?").bind(&hash[..]).fetch_optional(connection).await
}

/// A node and those before it, the last first, at most `most`.
pub(crate) async fn chain(
    connection: &mut SqliteConnection,
    last: &Hash,
    most: u32,
) -> Result<Vec<NodeRow>, sqlx::Error> {
    let rows = sqlx::query(
        "WITH RECURSIVE chain (step, hash, parent, identity, content, data) AS (
            SELECT 1, hash, parent, identity, content, data FROM nodes WHERE hash = ?
            UNION ALL
            SELECT step + 1, n.hash, n.parent, n.identity, n.content, n.data
            FROM chain JOIN nodes n ON n.hash = chain.parent WHERE step < ?
        ) SELECT hash, parent, identity, content, data FROM chain ORDER BY step",
    )
    .bind(&last[..])
    .bind(most)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let content: Option<Vec<u8>> = row.try_get(3)?;
            let data = row.try_get::<Option<Vec<u8>>, _>(4)?.unwrap_or_default();
            let bytes = match content {
                Some(hash) => NodeBytes::Content(to_hash(&hash)?, data),
                None => NodeBytes::Inline(data),
            };
            let parent: Option<Vec<u8>> = row.try_get(1)?;
            let parent = parent.map(|hash| to_hash(&hash)).transpose()?;
            Ok(NodeRow { hash: to_hash(row.try_get(0)?)?, parent, identity: to_hash(row.try_get(2)?)?, bytes })
        })
        .collect()
}

fn to_hash(bytes: &[u8]) -> Result<Hash, sqlx::Error> {
    bytes.try_into().map_err(|_| sqlx::Error::Decode("a hash of the wrong length".into()))
}
