//! Sessions in SQLite: transactions grouped by session and credential.

use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use crate::store::SessionFilter;

/// A session's row.
#[derive(Clone, Debug)]
pub(crate) struct ListedSession {
    pub(crate) session: String,
    pub(crate) credential: Vec<u8>,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) turns: i64,
    pub(crate) events: i64,
    pub(crate) interventions: i64,
    /// A JSON array.
    pub(crate) models: String,
    /// A JSON array.
    pub(crate) users: String,
    pub(crate) preview: Option<String>,
}

const COLUMNS: &str = "SELECT session, credential, MIN(started_at) AS first, MAX(ended_at) AS last, SUM(turn) AS turns,
    SUM(event_count + (SELECT COUNT(*) FROM late_decisions l WHERE l.transaction_id = t.id)) AS events,
    SUM(turn AND evaluation = 'intervened') AS interventions,
    json_group_array(DISTINCT model) FILTER (WHERE turn AND model <> '') AS models,
    json_group_array(DISTINCT user_id) FILTER (WHERE user_id IS NOT NULL) AS users,
    (SELECT p.preview FROM transactions p WHERE p.session = t.session AND p.credential = t.credential AND p.turn
        AND p.preview IS NOT NULL ORDER BY p.id LIMIT 1) AS preview";

/// The sessions with a turn that `filter` names, latest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    filter: &SessionFilter,
) -> Result<Vec<ListedSession>, sqlx::Error> {
    let mut query = QueryBuilder::new(COLUMNS);
    push_groups(&mut query, filter);
    query.push(" ORDER BY MAX(started_at) DESC, MAX(id) DESC LIMIT ").push_bind(filter.limit);
    query.push(" OFFSET ").push_bind(filter.offset);
    let rows = query.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(ListedSession {
                session: row.try_get("session")?,
                credential: row.try_get("credential")?,
                first: row.try_get("first")?,
                last: row.try_get("last")?,
                turns: row.try_get("turns")?,
                events: row.try_get("events")?,
                interventions: row.try_get("interventions")?,
                models: row.try_get("models")?,
                users: row.try_get("users")?,
                preview: row.try_get("preview")?,
            })
        })
        .collect()
}

/// How many sessions `filter` names.
pub(crate) async fn count(connection: &mut SqliteConnection, filter: &SessionFilter) -> Result<i64, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT COUNT(*) FROM (SELECT 1");
    push_groups(&mut query, filter);
    query.push(")");
    query.build_query_scalar().fetch_one(connection).await
}

fn push_groups(query: &mut QueryBuilder<Sqlite>, filter: &SessionFilter) {
    // A request that could not be read has no model. It can be shown by its id, but nobody has to see a session in it.
    query.push(" FROM transactions t GROUP BY session, credential HAVING SUM(turn AND model <> '') > 0");
    if let Some(user) = &filter.user_id {
        query.push(" AND SUM(turn AND user_id IS ").push_bind(user.clone()).push(") > 0");
    }
    if let Some(model) = &filter.model {
        query.push(" AND SUM(turn AND model = ").push_bind(model.clone()).push(") > 0");
    }
    if let Some(from) = filter.from {
        query.push(" AND SUM(turn AND started_at >= ").push_bind(from.as_microsecond()).push(") > 0");
    }
    if let Some(to) = filter.to {
        query.push(" AND SUM(turn AND started_at < ").push_bind(to.as_microsecond()).push(") > 0");
    }
    if let Some(text) = &filter.q {
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        query.push(" AND SUM(turn AND COALESCE(preview LIKE ").push_bind(format!("%{escaped}%"));
        query.push(" ESCAPE '\\', 0)) > 0");
    }
    match filter.policy_intervention {
        Some(true) => query.push(" AND SUM(turn AND evaluation = 'intervened') > 0"),
        Some(false) => query.push(" AND SUM(turn AND evaluation = 'intervened') = 0"),
        None => query,
    };
}

/// The credentials that used a session's id, the first to use it first.
pub(crate) async fn credentials(connection: &mut SqliteConnection, session: &str) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT credential FROM transactions WHERE session = ? GROUP BY credential ORDER BY MIN(id)")
        .bind(session)
        .fetch_all(connection)
        .await
}
