//! What statements to a database do: whether data is lost, and whether the server runs a program.

/// What a statement does besides being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Deletes,
    RunsPrograms,
}

/// Phrases after which data or a structure is gone. Words are divided by one blank.
const DELETES: &[&str] = &[
    "DROP DATABASE",
    "DROP SCHEMA",
    "DROP TABLE",
    "DROP INDEX",
    "DROP VIEW",
    "DROP MATERIALIZED VIEW",
    "DROP COLUMN",
    "DROP KEYSPACE",
    "DROP USER",
    "DROP ROLE",
    "DROP OWNED",
    "DROP COLLECTION",
    "DROP TYPE",
    "DROP SEQUENCE",
    "DROP FUNCTION",
    "DROP TRIGGER",
    "DROP EXTENSION",
    "DROP TABLESPACE",
    "DROP CLUSTER",
    "DROP PARTITION",
    "DROP PUBLICATION",
    "DROP MEASUREMENT",
    "DROP SERIES",
    "DROP CONSTRAINT",
    "DROP BUCKET",
    "TRUNCATE",
    "DETACH DELETE",
    "FLUSHALL",
    "FLUSHDB",
    "DROPDATABASE(",
    "DROPUSER(",
    "DROPALLUSERS",
    ".DROP(",
    "DROPINDEXES(",
    "DELETEMANY({})",
    "DELETEMANY()",
    "REMOVE({})",
    "SCRIPT FLUSH",
    "SHUTDOWN",
    "RESET MASTER",
    "PURGE BINARY LOGS",
    "SWAPDB",
];
/// Phrases with which a server runs programs or writes files.
const PROGRAMS: &[&str] = &[
    "TO PROGRAM",
    "FROM PROGRAM",
    "XP_CMDSHELL",
    "INTO OUTFILE",
    "INTO DUMPFILE",
    "LOAD_EXTENSION(",
    "SYS_EXEC(",
    "LO_EXPORT(",
    "MODULE LOAD",
];

/// What a text of statements does.
pub(super) fn does(text: &str) -> Vec<Does> {
    let plain = plain(text);
    let holds = |phrases: &[&str]| {
        phrases.iter().any(|phrase| plain.match_indices(phrase).any(|(at, _)| begins(&plain, at, phrase)))
    };
    let mut out = Vec::new();
    if holds(DELETES) || plain.split(';').any(everything) {
        out.push(Does::Deletes);
    }
    if holds(PROGRAMS)
        || text.lines().any(|line| {
            line.trim_start().starts_with("\\!")
                || line.trim_start().starts_with(".shell")
                || line.trim_start().starts_with(".system")
        })
    {
        out.push(Does::RunsPrograms);
    }
    out
}

/// Whether a statement changes all rows: nothing says which.
fn everything(statement: &str) -> bool {
    let statement = statement.trim();
    let changes =
        statement.starts_with("DELETE FROM ") || (statement.starts_with("UPDATE ") && statement.contains(" SET "));
    changes && !statement.contains(" WHERE ")
}

fn begins(text: &str, at: usize, phrase: &str) -> bool {
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    let after = text.get(at + phrase.len()..).and_then(|after| after.chars().next());
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let ends_in_word = phrase.ends_with(|c: char| c.is_alphanumeric());
    (phrase.starts_with('.') || !word(before)) && !(ends_in_word && word(after))
}

/// The text in capitals, without comments, with single blanks.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("/*") {
            rest = after.split_once("*/").map_or("", |(_, after)| after);
        } else if rest.starts_with("--") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            if !first.is_whitespace() {
                out.extend(first.to_uppercase());
                continue;
            }
        }
        if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}
