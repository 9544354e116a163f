//! How often something of a topic was changed.

use super::{Query, Sql};

/// All topics that were ever changed, each with how often.
pub(crate) async fn all(sql: &mut Sql<'_>) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sql.all(Query::new("SELECT topic, number FROM revisions")).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Counts a change. To be done first in the database transaction that makes it: changes of a topic take turns then.
pub(crate) async fn raise(sql: &mut Sql<'_>, topic: &str) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO revisions (topic, number) VALUES (?, 1)
        ON CONFLICT (topic) DO UPDATE SET number = revisions.number + 1",
    );
    sql.run(query.bind(topic)).await?;
    Ok(())
}
