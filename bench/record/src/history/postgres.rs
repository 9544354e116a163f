//! A made record in PostgreSQL: rows by `COPY`, the index of words made at the end.

use std::fmt::Write as _;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::made::{Made, REQUEST, Session, Turn};
use crate::Result;

/// Sent at a time.
const BYTES: usize = 4 << 20;

const SESSIONS: &str =
    "COPY sessions (key, name, credential, first_at, last_at, last_started_at, first_turn_at, last_turn_at,
    turns, readable, events, interventions, preview_at, preview) FROM STDIN";
const TAGS: &str = "COPY session_tags (session, kind, value) FROM STDIN";
const TRANSACTIONS: &str =
    "COPY transactions (id, session_key, session, credential, started_at, ended_at, dialect, path, turn,
    user_id, model, streamed, policy, status, http_status, evaluation, event_count, request) FROM STDIN";
const TEXTS: &str = "COPY turn_texts (transaction_id, session, part, words) FROM STDIN";

pub(super) async fn fill(url: &str, made: Made) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let index: String = sqlx::query_scalar("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%USING gin (words)%'")
        .fetch_one(&mut connection)
        .await?;
    let name = index.split_whitespace().nth(2).unwrap_or_default();
    sqlx::query(AssertSqlSafe(format!("DROP INDEX {name}"))).execute(&mut connection).await?;
    let sessions = made.all_sessions();
    let rows: Vec<String> = sessions.iter().map(session).collect();
    copy(&mut connection, SESSIONS, &rows.concat()).await?;
    let rows: Vec<String> = sessions.iter().map(tags).collect();
    copy(&mut connection, TAGS, &rows.concat()).await?;
    let (mut turns, mut texts) = (String::new(), String::new());
    for turn in made {
        add(&turn, &mut turns, &mut texts);
        if texts.len() > BYTES {
            copy(&mut connection, TRANSACTIONS, &turns).await?;
            copy(&mut connection, TEXTS, &texts).await?;
            turns.clear();
            texts.clear();
        }
    }
    copy(&mut connection, TRANSACTIONS, &turns).await?;
    copy(&mut connection, TEXTS, &texts).await?;
    for end in [index, "VACUUM ANALYZE".to_owned()] {
        sqlx::query(AssertSqlSafe(end)).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

async fn copy(connection: &mut PgConnection, statement: &'static str, rows: &str) -> Result<()> {
    let mut into = connection.copy_in_raw(statement).await?;
    into.send(rows.as_bytes()).await?;
    into.finish().await?;
    Ok(())
}

fn session(session: &Session) -> String {
    let Session { key, name, first, last, turns, interventions, preview, .. } = session;
    let events = turns * 5;
    format!(
        "{key}\t{name}\t{CREDENTIAL}\t{first}\t{last}\t{last}\t{first}\t{last}\t{turns}\t{turns}\t{events}\t{interventions}\t{first}\t{preview}\n"
    )
}

fn tags(session: &Session) -> String {
    let Session { key, model, user, .. } = session;
    format!("{key}\tmodel\t{model}\n{key}\tuser\t{user}\n")
}

fn add(turn: &Turn, turns: &mut String, texts: &mut String) {
    let Turn { id, session, session_name, at, ended, user, model, evaluation, words, .. } = turn;
    let _ = writeln!(
        turns,
        "{id}\t{session}\t{session_name}\t{CREDENTIAL}\t{at}\t{ended}\tmessages\t/v1/messages\tt\t{user}\t{model}\tt\tno_op;v1\tcompleted\t200\t{evaluation}\t5\t{}",
        hexadecimal(REQUEST)
    );
    let _ = write!(texts, "{id}\t{session}\t0\t");
    for (place, word) in words.iter().enumerate() {
        let _ = write!(texts, "{word}:{} ", place + 1);
    }
    texts.push('\n');
}

/// What the sessions' keys are in these records.
const CREDENTIAL: &str = "\\\\x07070707070707070707070707070707";

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("\\\\x".to_owned(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
