//! A made record in PostgreSQL: rows by `COPY`, the index of words made at the end.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::made::{Made, Session, Turn};
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
const BLOCKS: &str = "COPY word_blocks (session, entries, words, turns) FROM STDIN";

/// So many turns of a session are joined to one block, as the recorder does.
const JOINED: usize = 8;

pub(super) async fn fill(url: &str, made: Made) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let index: String = sqlx::query_scalar("SELECT indexdef FROM pg_indexes WHERE indexname = 'word_blocks_by_words'")
        .fetch_one(&mut connection)
        .await?;
    let name = index.split_whitespace().nth(2).unwrap_or_default();
    sqlx::query(AssertSqlSafe(format!("DROP INDEX {name}"))).execute(&mut connection).await?;
    let sessions = made.all_sessions();
    let rows: Vec<String> = sessions.iter().map(session).collect();
    copy(&mut connection, SESSIONS, &rows.concat()).await?;
    let rows: Vec<String> = sessions.iter().map(tags).collect();
    copy(&mut connection, TAGS, &rows.concat()).await?;
    let (mut turns, mut blocks) = (String::new(), String::new());
    let mut block: Vec<Turn> = Vec::new();
    for turn in made {
        add(&turn, &mut turns);
        if block.first().is_some_and(|first| first.session != turn.session) {
            block.drain(..).for_each(|turn| add_block(&[turn], &mut blocks));
        }
        block.push(turn);
        if block.len() == JOINED {
            add_block(&block, &mut blocks);
            block.clear();
        }
        if blocks.len() > BYTES {
            copy(&mut connection, TRANSACTIONS, &turns).await?;
            copy(&mut connection, BLOCKS, &blocks).await?;
            turns.clear();
            blocks.clear();
        }
    }
    block.drain(..).for_each(|turn| add_block(&[turn], &mut blocks));
    copy(&mut connection, TRANSACTIONS, &turns).await?;
    copy(&mut connection, BLOCKS, &blocks).await?;
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

fn add(turn: &Turn, turns: &mut String) {
    let Turn { id, session, session_name, at, ended, user, model, evaluation, .. } = turn;
    let _ = writeln!(
        turns,
        "{id}\t{session}\t{session_name}\t{CREDENTIAL}\t{at}\t{ended}\tmessages\t/v1/messages\tt\t{user}\t{model}\tt\tno_op;v1\tcompleted\t200\t{evaluation}\t5\t{}",
        hexadecimal(&turn.request())
    );
}

/// Words of turns of one session as the record keeps them: not packed, how many turns there are, each with its id, and which of them has
/// which word.
fn add_block(turns: &[Turn], blocks: &mut String) {
    let words: BTreeSet<&str> = turns.iter().flat_map(|turn| &turn.words).map(String::as_str).collect();
    let mut stored = vec![0, u8::try_from(turns.len()).unwrap_or_default()];
    for turn in turns {
        stored.extend_from_slice(turn.id.as_bytes());
        // The first part, no message known, one new.
        stored.extend_from_slice(&[0, 0, 1]);
    }
    if turns.len() > 1 {
        let mut bits = vec![0_u8; (words.len() * turns.len()).div_ceil(8)];
        let pairs =
            words.iter().flat_map(|word| turns.iter().map(move |turn| turn.words.iter().any(|said| said == word)));
        for (at, _) in pairs.enumerate().filter(|(_, has)| *has) {
            bits[at / 8] |= 1 << (at % 8);
        }
        stored.extend_from_slice(&bits);
    }
    let words: Vec<&str> = words.into_iter().collect();
    if let Some(first) = turns.first() {
        let _ = writeln!(blocks, "{}\t{}\t{}\t{}", first.session, turns.len(), words.join(" "), hexadecimal(&stored));
    }
}

/// What the sessions' keys are in these records.
const CREDENTIAL: &str = "\\\\x07070707070707070707070707070707";

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("\\\\x".to_owned(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
