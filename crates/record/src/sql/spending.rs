//! What keys, sessions and users have used, by the day.

use super::insert::Insert;
use super::{Query, Row, Sql, Value};

/// Whose: scope, id, and the key that a session belongs to.
pub(crate) type Whose = (String, String, String);

/// How much: tokens, nanodollars, judge calls.
pub(crate) type Amounts = [i64; 3];

/// A row: whose, of which day, how much.
pub(crate) type SpendingRow = (Whose, i64, Amounts);

/// More is nobody's: the sums of many days stay far from the largest number that there is.
const MOST: i64 = 1 << 56;

/// Adds to what was used. No number passes the largest that there is.
pub(crate) async fn add(sql: &mut Sql<'_>, rows: Vec<SpendingRow>) -> Result<(), sqlx::Error> {
    const COLUMNS: [&str; 7] = ["scope", "id", "owner", "day", "tokens", "nanodollars", "judge_calls"];
    let sum = |name: &str| {
        format!(
            "{name} = CASE WHEN spending.{name} >= {MOST} THEN spending.{name} ELSE spending.{name} + excluded.{name} END"
        )
    };
    let tail = format!(
        "ON CONFLICT (scope, id, owner, day) DO UPDATE SET {}, {}, {}",
        sum("tokens"),
        sum("nanodollars"),
        sum("judge_calls")
    );
    let bind = |((scope, id, owner), day, amounts): SpendingRow, values: &mut Vec<Value>| {
        values.extend([scope.into(), id.into(), owner.into(), day.into()]);
        values.extend(amounts.map(|amount| Value::from(amount.clamp(0, MOST))));
    };
    Insert::with("spending", &COLUMNS, &["?"; 7], &tail).run(sql, rows, bind).await?;
    Ok(())
}

/// What these have used on a day, and on all days.
pub(crate) async fn totals(
    sql: &mut Sql<'_>,
    scope: &str,
    ids: &[String],
    day: i64,
) -> Result<Vec<(Whose, Amounts, Amounts)>, sqlx::Error> {
    let mut query = Query::new(SUMS).bind(day).bind(day).bind(day);
    query.push(" WHERE scope = ").push_value(scope).push(" AND id IN ").push_list(ids.iter().cloned());
    query.push(" GROUP BY scope, id, owner");
    sql.all(query).await?.iter().map(read).collect()
}

/// The same of those that used something since another day, at most so many.
pub(crate) async fn latest(
    sql: &mut Sql<'_>,
    since: i64,
    day: i64,
    most: u32,
) -> Result<Vec<(Whose, Amounts, Amounts)>, sqlx::Error> {
    let mut query = Query::new(SUMS).bind(day).bind(day).bind(day);
    query
        .push(" WHERE (scope, id, owner) IN (SELECT DISTINCT scope, id, owner FROM spending WHERE day >= ")
        .push_value(since);
    query.push(" LIMIT ").push_value(most).push(") GROUP BY scope, id, owner");
    sql.all(query).await?.iter().map(read).collect()
}

const SUMS: &str = "SELECT scope, id, owner,
    CAST(SUM(CASE WHEN day = ? THEN tokens ELSE 0 END) AS BIGINT),
    CAST(SUM(CASE WHEN day = ? THEN nanodollars ELSE 0 END) AS BIGINT),
    CAST(SUM(CASE WHEN day = ? THEN judge_calls ELSE 0 END) AS BIGINT),
    CAST(SUM(tokens) AS BIGINT), CAST(SUM(nanodollars) AS BIGINT), CAST(SUM(judge_calls) AS BIGINT)
    FROM spending";

fn read(row: &Row) -> Result<(Whose, Amounts, Amounts), sqlx::Error> {
    let whose = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok((whose, [row.get(3)?, row.get(4)?, row.get(5)?], [row.get(6)?, row.get(7)?, row.get(8)?]))
}

/// Forgets what was used before a day.
pub(crate) async fn drop_before(sql: &mut Sql<'_>, day: i64) -> Result<(), sqlx::Error> {
    sql.run(Query::new("DELETE FROM spending WHERE day < ?").bind(day)).await?;
    Ok(())
}

/// Forgets what one has used.
pub(crate) async fn forget(sql: &mut Sql<'_>, (scope, id, owner): Whose) -> Result<(), sqlx::Error> {
    let query = Query::new("DELETE FROM spending WHERE scope = ? AND id = ? AND owner = ?");
    sql.run(query.bind(scope).bind(id).bind(owner)).await?;
    Ok(())
}
