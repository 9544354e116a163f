//! The names of sessions. A client chooses its session's id, so two credentials may use the same one: whoever used it first
//! has the bare name, others get `<id>@<start of the credential's hash>`.

use std::fmt::Write as _;

use crate::sql::Sql;
use crate::sql::sessions::credentials;

/// How many bytes of the hash are in a name.
const BYTES: usize = 4;

/// The name by which [`find`] finds a session.
pub(super) async fn public(sql: &mut Sql<'_>, session: &str, credential: &[u8]) -> Result<String, sqlx::Error> {
    let first = credentials(sql, session).await?.into_iter().next();
    if first.is_none_or(|first| first == credential) {
        return Ok(session.to_owned());
    }
    Ok(format!("{session}@{}", digits(credential, BYTES)))
}

/// The session and credential of a name.
pub(crate) async fn find(sql: &mut Sql<'_>, name: &str) -> Result<Option<(String, Vec<u8>)>, sqlx::Error> {
    if let Some(first) = credentials(sql, name).await?.into_iter().next() {
        return Ok(Some((name.to_owned(), first)));
    }
    let Some((session, wanted)) = name.rsplit_once('@') else { return Ok(None) };
    let found = credentials(sql, session).await?.into_iter().find(|credential| digits(credential, BYTES) == wanted);
    Ok(found.map(|credential| (session.to_owned(), credential)))
}

/// The first `bytes` of a hash in hexadecimal digits.
pub(super) fn digits(credential: &[u8], bytes: usize) -> String {
    let mut out = String::new();
    for byte in credential.iter().take(bytes) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
