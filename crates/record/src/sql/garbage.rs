//! Contents and nodes that nothing refers to any more. A node lives while a session or another node refers to it, a content while
//! a session or a node does.

use std::collections::HashSet;

use super::insert::Insert;
use super::state::begin_deletion;
use super::{Query, Sql};
use crate::body::Hash;

/// So many candidates are looked at in one step.
const CANDIDATES: i64 = 256;

/// So many messages of one history go in one step.
const MESSAGES: i64 = 2000;

/// So many values go into one statement.
const AT_ONCE: usize = 500;

/// Notes what has lost a reference.
pub(crate) async fn add(sql: &mut Sql<'_>, mut candidates: Vec<Hash>) -> Result<(), sqlx::Error> {
    candidates.sort_unstable();
    Insert::new("garbage", &["hash"]).run(sql, candidates, |hash, values| values.push(hash.into())).await?;
    Ok(())
}

/// Whether there is anything to look at.
pub(crate) async fn waits(sql: &mut Sql<'_>) -> Result<bool, sqlx::Error> {
    Ok(sql.one(Query::new("SELECT hash FROM garbage LIMIT 1")).await?.is_some())
}

/// One step: deletes what nothing refers to among some candidates, within the current database transaction, of which this is the
/// first work. What is deleted leaves new candidates behind; none are left once [`waits`] says no.
pub(crate) async fn collect(sql: &mut Sql<'_>) -> Result<(), sqlx::Error> {
    begin_deletion(sql).await?;
    let rows = sql.all(Query::new("SELECT hash FROM garbage LIMIT ?").bind(CANDIDATES)).await?;
    let candidates: Vec<Hash> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    if candidates.is_empty() {
        return Ok(());
    }
    let mut looked_at = Query::new("DELETE FROM garbage WHERE hash IN ");
    looked_at.push_list(candidates.iter().copied());
    sql.run(looked_at).await?;
    let nodes = delete_nodes(sql, &candidates).await?;
    let contents: HashSet<Hash> = candidates.into_iter().chain(nodes.contents).collect();
    let contents: Vec<Hash> = contents.into_iter().collect();
    for contents in contents.chunks(AT_ONCE) {
        delete_contents(sql, contents).await?;
    }
    add(sql, nodes.parents.difference(&nodes.deleted).copied().collect()).await
}

/// What became of nodes.
#[derive(Default)]
struct Nodes {
    deleted: HashSet<Hash>,
    /// Their parents, which may have no child any more.
    parents: HashSet<Hash>,
    /// What they referred to.
    contents: HashSet<Hash>,
}

/// Deletes those of the nodes that nothing refers to, and before them what has had no other child.
async fn delete_nodes(sql: &mut Sql<'_>, candidates: &[Hash]) -> Result<Nodes, sqlx::Error> {
    let mut query = Query::new(
        "WITH RECURSIVE dead (step, hash, parent) AS (
            SELECT 1, n.hash, n.parent FROM nodes n WHERE
                NOT EXISTS (SELECT 1 FROM refs r WHERE r.hash = n.hash)
                AND NOT EXISTS (SELECT 1 FROM nodes c WHERE c.parent = n.hash)
                AND n.hash IN ",
    );
    query.push_list(candidates.iter().copied()).push(
        "   UNION ALL
            SELECT d.step + 1, p.hash, p.parent FROM dead d JOIN nodes p ON p.hash = d.parent WHERE
                NOT EXISTS (SELECT 1 FROM refs r WHERE r.hash = p.hash)
                AND NOT EXISTS (SELECT 1 FROM nodes c WHERE c.parent = p.hash AND c.hash <> d.hash)
                AND d.step < ",
    );
    query.push_value(MESSAGES);
    query.push(") DELETE FROM nodes WHERE hash IN (SELECT hash FROM dead) RETURNING hash, parent, content");
    let mut nodes = Nodes::default();
    for row in sql.all(query).await? {
        nodes.deleted.insert(row.get(0)?);
        nodes.parents.extend(row.get::<Option<Hash>>(1)?);
        nodes.contents.extend(row.get::<Option<Hash>>(2)?);
    }
    Ok(nodes)
}

async fn delete_contents(sql: &mut Sql<'_>, candidates: &[Hash]) -> Result<(), sqlx::Error> {
    let mut query = Query::new(
        "DELETE FROM contents WHERE NOT EXISTS (SELECT 1 FROM refs r WHERE r.hash = contents.hash)
            AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.content = contents.hash)
            AND hash IN ",
    );
    query.push_list(candidates.iter().copied());
    sql.run(query).await?;
    Ok(())
}
