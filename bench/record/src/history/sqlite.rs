//! A made record in SQLite: rows in bulk, all in one database transaction.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, QueryBuilder, Sqlite};

use super::made::{Made, Session, Turn};
use crate::Result;

/// Rows of one statement.
const AT_ONCE: usize = 200;

pub(super) async fn fill(url: &str, made: Made) -> Result<()> {
    let file = url.trim_start_matches("sqlite://");
    let options =
        SqliteConnectOptions::new().filename(file).pragma("cache_size", "-262144").pragma("synchronous", "OFF");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut work = connection.begin().await?;
    for sessions in made.all_sessions().chunks(AT_ONCE) {
        add_sessions(&mut work, sessions).await?;
    }
    let mut turns: Vec<Turn> = Vec::with_capacity(AT_ONCE);
    for turn in made {
        turns.push(turn);
        if turns.len() == AT_ONCE {
            add_turns(&mut work, &turns).await?;
            turns.clear();
        }
    }
    if !turns.is_empty() {
        add_turns(&mut work, &turns).await?;
    }
    work.commit().await?;
    for end in ["PRAGMA optimize", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        sqlx::query(AssertSqlSafe(end)).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

async fn add_sessions(connection: &mut SqliteConnection, sessions: &[Session]) -> Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO sessions (key, name, credential, first_at, last_at, last_started_at, first_turn_at, last_turn_at,
            turns, readable, events, interventions, preview_at, preview) ",
    );
    query.push_values(sessions, |mut row, session| {
        let (first, last) = (session.first.as_microsecond(), session.last.as_microsecond());
        row.push_bind(session.key.as_bytes().to_vec()).push_bind(&session.name).push_bind(vec![7_u8; 16]);
        row.push_bind(first).push_bind(last).push_bind(last).push_bind(first).push_bind(last);
        row.push_bind(session.turns)
            .push_bind(session.turns)
            .push_bind(session.turns * 5)
            .push_bind(session.interventions);
        row.push_bind(first).push_bind(&session.preview);
    });
    query.build().execute(&mut *connection).await?;
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO session_tags (session, kind, value) ");
    let tags = sessions.iter().flat_map(|s| [(s.key, "model", s.model), (s.key, "user", s.user.as_str())]);
    query.push_values(tags, |mut row, (key, kind, value)| {
        row.push_bind(key.as_bytes().to_vec()).push_bind(kind).push_bind(value);
    });
    query.build().execute(connection).await?;
    Ok(())
}

async fn add_turns(connection: &mut SqliteConnection, turns: &[Turn]) -> Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO transactions (id, session_key, session, credential, started_at, ended_at, dialect, path, turn, user_id, model,
            streamed, policy, status, http_status, evaluation, event_count, request) ",
    );
    query.push_values(turns, |mut row, turn| {
        row.push_bind(turn.id.as_bytes().to_vec()).push_bind(turn.session.as_bytes().to_vec());
        row.push_bind(&turn.session_name).push_bind(vec![7_u8; 16]);
        row.push_bind(turn.at.as_microsecond()).push_bind(turn.ended.as_microsecond());
        row.push_bind("messages").push_bind("/v1/messages").push_bind(true).push_bind(&turn.user).push_bind(turn.model);
        row.push_bind(true).push_bind("no_op;v1").push_bind("completed").push_bind(200).push_bind(turn.evaluation);
        row.push_bind(5).push_bind(super::made::REQUEST);
    });
    query.build().execute(&mut *connection).await?;
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO turn_texts (number, transaction_id, session, part) ");
    query.push_values(turns, |mut row, turn| {
        row.push_bind(turn.number).push_bind(turn.id.as_bytes().to_vec());
        row.push_bind(turn.session.as_bytes().to_vec()).push_bind(0);
    });
    query.build().execute(&mut *connection).await?;
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO words (rowid, text) ");
    query.push_values(turns, |mut row, turn| {
        row.push_bind(turn.number).push_bind(turn.words.join(" "));
    });
    query.build().execute(connection).await?;
    Ok(())
}
