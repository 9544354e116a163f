//! Sessions: a row each, kept by whoever stores transactions, and what is asked of them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::insert::Insert;
use super::texts::{Found, Wanted, push_found};
use super::transactions::TransactionRow;
use super::value::without_nul;
use super::{Kind, Query, Row, Sql, Value};
use crate::store::SessionFilter;

/// The key of the session that a client names so and begins with this credential.
pub(crate) fn session_key(name: &str, credential: &[u8]) -> Uuid {
    // The name as it is stored, by which it is asked for.
    let name = without_nul(name);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(credential);
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Uuid::from_bytes(key)
}

/// A model or user as it stands in an index: clients choose them, and may choose a novel.
fn tag(value: &str) -> String {
    value.chars().take(256).collect()
}

/// What some transactions add to their session. Adding is the same in any order.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    pub(crate) key: Uuid,
    pub(crate) name: String,
    pub(crate) credential: Vec<u8>,
    /// Of all transactions.
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) last_started_at: Timestamp,
    /// Of turns.
    pub(crate) first_turn_at: Option<Timestamp>,
    pub(crate) last_turn_at: Option<Timestamp>,
    pub(crate) turns: i64,
    /// Turns whose request could be read.
    pub(crate) readable: i64,
    pub(crate) events: i64,
    pub(crate) interventions: i64,
    pub(crate) preview: Option<(Timestamp, String)>,
    pub(crate) models: BTreeSet<String>,
    pub(crate) users: BTreeSet<String>,
}

impl SessionRow {
    /// What one transaction adds.
    pub(crate) fn of(row: &TransactionRow) -> Self {
        let turn = |holds: bool| i64::from(row.turn && holds);
        let turn_at = row.turn.then_some(row.started_at);
        let preview = row.preview.clone().filter(|_| row.turn);
        Self {
            key: row.session_key,
            name: row.session.clone(),
            credential: row.credential.clone(),
            first_at: row.started_at,
            last_at: row.ended_at,
            last_started_at: row.started_at,
            first_turn_at: turn_at,
            last_turn_at: turn_at,
            turns: turn(true),
            readable: turn(!row.model.is_empty()),
            events: row.event_count,
            interventions: turn(row.evaluation == "intervened"),
            preview: preview.map(|preview| (row.started_at, preview)),
            models: Some(tag(&row.model)).filter(|model| row.turn && !model.is_empty()).into_iter().collect(),
            users: row.user_id.as_deref().map(tag).into_iter().collect(),
        }
    }

    /// What changes nothing of a session that is there, of which the row has name, credential and times.
    fn as_it_is(key: Uuid, row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            key,
            name: row.get(2)?,
            credential: row.get(3)?,
            first_at: row.get(4)?,
            last_at: row.get(5)?,
            last_started_at: row.get(6)?,
            first_turn_at: None,
            last_turn_at: None,
            turns: 0,
            readable: 0,
            events: 0,
            interventions: 0,
            preview: None,
            models: BTreeSet::new(),
            users: BTreeSet::new(),
        })
    }

    /// What both add.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
        self.last_started_at = self.last_started_at.max(other.last_started_at);
        self.first_turn_at = [self.first_turn_at, other.first_turn_at].into_iter().flatten().min();
        self.last_turn_at = self.last_turn_at.max(other.last_turn_at);
        self.turns += other.turns;
        self.readable += other.readable;
        self.events += other.events;
        self.interventions += other.interventions;
        self.preview = [self.preview, other.preview].into_iter().flatten().min();
        self.models.extend(other.models);
        self.users.extend(other.users);
        self
    }
}

const COLUMNS: [&str; 14] = [
    "key",
    "name",
    "credential",
    "first_at",
    "last_at",
    "last_started_at",
    "first_turn_at",
    "last_turn_at",
    "turns",
    "readable",
    "events",
    "interventions",
    "preview_at",
    "preview",
];

/// The statements that keep sessions.
#[derive(Debug)]
pub(crate) struct SessionInserts {
    sessions: Insert,
    tags: Insert,
}

impl SessionInserts {
    pub(crate) fn new() -> Self {
        let least = |column: &str, than: &str| {
            format!(
                "{column} = CASE WHEN sessions.{column} IS NULL OR excluded.{column} {than} sessions.{column}
                THEN excluded.{column} ELSE sessions.{column} END"
            )
        };
        let sum = |column: &str| format!("{column} = sessions.{column} + excluded.{column}");
        let earlier = "CASE WHEN excluded.preview IS NOT NULL AND (sessions.preview IS NULL
            OR excluded.preview_at < sessions.preview_at
            OR (excluded.preview_at = sessions.preview_at AND excluded.preview < sessions.preview))";
        let sets = [
            least("first_at", "<"),
            least("last_at", ">"),
            least("last_started_at", ">"),
            least("first_turn_at", "<"),
            least("last_turn_at", ">"),
            sum("turns"),
            sum("readable"),
            sum("events"),
            sum("interventions"),
            format!("preview = {earlier} THEN excluded.preview ELSE sessions.preview END"),
            format!("preview_at = {earlier} THEN excluded.preview_at ELSE sessions.preview_at END"),
        ];
        let tail = format!("ON CONFLICT (key) DO UPDATE SET {}", sets.join(", "));
        Self {
            sessions: Insert::with("sessions", &COLUMNS, &["?"; COLUMNS.len()], &tail),
            tags: Insert::new("session_tags", &["session", "kind", "value"]),
        }
    }

    /// Adds to the sessions, which are in the order of their keys, so that two writers never wait for each other in a circle.
    pub(crate) async fn run(&self, sql: &mut Sql<'_>, rows: BTreeMap<Uuid, SessionRow>) -> Result<(), sqlx::Error> {
        let mut tags = Vec::new();
        for row in rows.values() {
            tags.extend(row.models.iter().map(|model| (row.key, "model", model.clone())));
            tags.extend(row.users.iter().map(|user| (row.key, "user", user.clone())));
        }
        self.sessions.run(sql, rows.into_values().collect(), bind).await?;
        self.tags
            .run(sql, tags, |(key, kind, value), values| values.extend([key.into(), kind.into(), value.into()]))
            .await?;
        Ok(())
    }
}

fn bind(row: SessionRow, values: &mut Vec<Value>) {
    let (preview_at, preview) = row.preview.unzip();
    values.extend([
        row.key.into(),
        row.name.into(),
        row.credential.into(),
        row.first_at.into(),
        row.last_at.into(),
        row.last_started_at.into(),
        row.first_turn_at.into(),
        row.last_turn_at.into(),
        row.turns.into(),
        row.readable.into(),
        row.events.into(),
        row.interventions.into(),
        preview_at.into(),
        preview.into(),
    ]);
}

/// Adds events of transactions that are stored to what is added to their sessions: one for each id.
pub(crate) async fn add_events(
    sql: &mut Sql<'_>,
    added: &mut BTreeMap<Uuid, SessionRow>,
    transactions: &[Uuid],
) -> Result<(), sqlx::Error> {
    let mut events = BTreeMap::<Uuid, i64>::new();
    for id in transactions {
        *events.entry(*id).or_default() += 1;
    }
    let ids: Vec<_> = events.keys().copied().collect();
    for some in ids.chunks(500) {
        let mut query = Query::new(
            "SELECT t.id, t.session_key, s.name, s.credential, s.first_at, s.last_at, s.last_started_at
            FROM transactions t LEFT JOIN sessions s ON s.key = t.session_key WHERE t.session_key IS NOT NULL AND t.id IN ",
        );
        query.push_list(some.iter().copied());
        for row in sql.all(query).await? {
            let (id, key): (Uuid, Uuid) = (row.get(0)?, row.get(1)?);
            let session = match added.entry(key) {
                Entry::Occupied(session) => session.into_mut(),
                Entry::Vacant(_) if row.get::<Option<String>>(2)?.is_none() => continue,
                Entry::Vacant(session) => session.insert(SessionRow::as_it_is(key, &row)?),
            };
            session.events += events.get(&id).copied().unwrap_or_default();
        }
    }
    Ok(())
}

/// A session in a list.
#[derive(Clone, Debug)]
pub(crate) struct ListedSession {
    pub(crate) key: Uuid,
    pub(crate) session: String,
    pub(crate) credential: Vec<u8>,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) turns: i64,
    pub(crate) events: i64,
    pub(crate) interventions: i64,
    pub(crate) preview: Option<String>,
}

const LISTED: &str =
    "SELECT s.key, s.name, s.credential, s.first_at, s.last_at, s.turns, s.events, s.interventions, s.preview";

/// The session of this key; none if there is none.
pub(crate) async fn one(sql: &mut Sql<'_>, key: Uuid) -> Result<Option<ListedSession>, sqlx::Error> {
    let row = sql.one(Query::new(format!("{LISTED} FROM sessions s WHERE s.key = ?")).bind(key)).await?;
    row.as_ref().map(read).transpose()
}

/// The sessions with a turn that `filter` names, latest first, and how many there are in all. `found` is what its search has found.
pub(crate) async fn list(
    sql: &mut Sql<'_>,
    filter: &SessionFilter,
    found: Option<&Found>,
) -> Result<(Vec<ListedSession>, i64), sqlx::Error> {
    // A search is the dear part: it is done once for both.
    let search = found.is_some();
    let mut query = Query::new(LISTED);
    query.push(if search { ", COUNT(*) OVER ()" } else { "" });
    push_filter(&mut query, sql.kind(), filter, found);
    query.push(" ORDER BY s.last_started_at DESC, s.key DESC LIMIT ").push_value(filter.limit);
    query.push(" OFFSET ").push_value(filter.offset);
    let rows = sql.all(query).await?;
    let total = match rows.first() {
        Some(row) if search => row.get(9)?,
        None if filter.offset == 0 => 0,
        _ => count(sql, filter, found).await?,
    };
    Ok((rows.iter().map(read).collect::<Result<_, _>>()?, total))
}

fn read(row: &Row) -> Result<ListedSession, sqlx::Error> {
    Ok(ListedSession {
        key: row.get(0)?,
        session: row.get(1)?,
        credential: row.get(2)?,
        first: row.get(3)?,
        last: row.get(4)?,
        turns: row.get(5)?,
        events: row.get(6)?,
        interventions: row.get(7)?,
        preview: row.get(8)?,
    })
}

/// The models and users of sessions: `(session, kind, value)`, values in their order.
pub(crate) async fn tags(sql: &mut Sql<'_>, keys: &[Uuid]) -> Result<Vec<(Uuid, String, String)>, sqlx::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = Query::new("SELECT session, kind, value FROM session_tags WHERE session IN ");
    query.push_list(keys.iter().copied());
    let rows = sql.all(query).await?;
    let mut tags: Vec<(Uuid, String, String)> =
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect::<Result<_, sqlx::Error>>()?;
    tags.sort_unstable();
    Ok(tags)
}

/// How many sessions `filter` names.
async fn count(sql: &mut Sql<'_>, filter: &SessionFilter, found: Option<&Found>) -> Result<i64, sqlx::Error> {
    let mut query = Query::new("SELECT COUNT(*)");
    push_filter(&mut query, sql.kind(), filter, found);
    sql.number(query).await
}

fn push_filter(query: &mut Query, kind: Kind, filter: &SessionFilter, found: Option<&Found>) {
    // A request that could not be read has no model. It can be shown by its id, but nobody has to see a session in it.
    query.push(" FROM sessions s WHERE s.readable > 0");
    for (tagged, value) in [("user", &filter.user_id), ("model", &filter.model)] {
        if let Some(value) = value {
            query.push(" AND s.key IN (SELECT session FROM session_tags WHERE kind = ").push_value(tagged);
            query.push(" AND value = ").push_value(tag(value)).push(")");
        }
    }
    if let Some(from) = filter.from {
        query.push(" AND s.last_turn_at >= ").push_value(from);
    }
    if let Some(to) = filter.to {
        query.push(" AND s.first_turn_at < ").push_value(to);
    }
    if let Some(found) = found {
        query.push(" AND ");
        push_found(query, kind, "s.key", found, Wanted::Sessions);
    }
    match filter.policy_intervention {
        Some(true) => query.push(" AND s.interventions > 0"),
        Some(false) => query.push(" AND s.interventions = 0"),
        None => query,
    };
}

/// The credentials that used a session's id, the first to use it first.
pub(crate) async fn credentials(sql: &mut Sql<'_>, session: &str) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    let query = Query::new("SELECT credential FROM sessions WHERE name = ? ORDER BY first_at, credential");
    sql.all(query.bind(session)).await?.iter().map(|row| row.get(0)).collect()
}
