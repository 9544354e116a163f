//! `luthien delete`: deletes a session, or all of a user, from the record.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use luthien_gateway::clock::Clock;
use luthien_record::Recorder;
use luthien_record::retention::{Erased, Erasure};
use serde_json::{Value, json};

use crate::admin_client::AdminClient;
use crate::archive;
use crate::args::{DeleteArgs, DeleteCommand};
use crate::assembly::{Loaded, recorder_config};
use crate::audit;
use crate::failure::Failure;
use crate::output::{count, print, say};
use crate::terminal::visible_line;

/// How long it may take where no gateway runs. It can be begun again.
const WITHIN: Duration = Duration::from_hours(24);

/// How long the recorder may take to end.
const FLUSH: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) async fn run(args: DeleteArgs) -> Result<ExitCode, Failure> {
    let (erasure, kind, id) = match &args.whose {
        DeleteCommand::Session { id } => (Erasure::Session(id), "session", id),
        DeleteCommand::User { id } => (Erasure::User(id), "user", id),
    };
    let unknown = || Failure::new(format!("nothing is recorded of the {kind} {}", visible_line(id)));
    let store = archive::open(&args.record).await?.ok_or_else(unknown)?;
    let found = store.would_erase(erasure).await?;
    store.close().await;
    let (transactions, sessions) = found.ok_or_else(unknown)?;
    if !args.yes && !agreed(&question(kind, id, transactions, sessions))? {
        say("nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    let loaded = Loaded::for_record(&args.record)?;
    let told = if loaded.running_gateway().await.is_some() {
        let path = format!("/api/history/{kind}s/{}?deleted_by=luthien%20delete", step(id));
        AdminClient::find(&args.record).await?.delete(&path).await?
    } else {
        let erased = alone(&loaded, erasure).await?.ok_or_else(unknown)?;
        let Erased { transactions, sessions, complete } = erased;
        json!({"kind": kind, "id": id, "transactions": transactions, "sessions": sessions, "complete": complete})
    };
    print(&if args.json { format!("{told:#}\n") } else { in_words(&told) })?;
    Ok(ExitCode::SUCCESS)
}

/// Deletes where no gateway runs. What one left in the journal is recorded first, so that it goes with the rest.
async fn alone(loaded: &Loaded, erasure: Erasure<'_>) -> Result<Option<Erased>, Failure> {
    let folder = loaded.open_folder()?;
    let recorder = Recorder::open(recorder_config(loaded, &folder)?).await.map_err(|e| Failure::new(e.to_string()))?;
    let erased = recorder.store().erase(erasure, Clock::system().now(), WITHIN).await;
    let target = match erasure {
        Erasure::Session(id) => format!("session {id}"),
        Erasure::User(id) => format!("user {id}"),
    };
    audit::note(recorder.store(), "delete", &target).await;
    recorder.shutdown(FLUSH).await;
    Ok(erased?)
}

fn question(kind: &str, id: &str, transactions: u64, sessions: u64) -> String {
    let of = match kind {
        "user" => format!(" in {}", count(sessions, "session")),
        _ => String::new(),
    };
    format!(
        "This deletes {} of the {kind} {}{of}, with all that nothing else refers to. \
         It cannot be undone, and archives and backups are not touched.",
        count(transactions, "transaction"),
        visible_line(id)
    )
}

/// Whether the person at the terminal says yes.
fn agreed(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(format!("{question} Nobody can be asked here; say --yes to go on")));
    }
    say(question);
    let mut err = io::stderr().lock();
    write!(err, "Delete? [y/N] ").and_then(|()| err.flush())?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// A text as one step of a path.
pub(crate) fn step(text: &str) -> String {
    text.bytes().fold(String::new(), |out, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out + char::from(byte).encode_utf8(&mut [0; 4]),
        other => format!("{out}%{other:02X}"),
    })
}

fn in_words(told: &Value) -> String {
    let rest = if told["complete"] == true { "" } else { " The rest is deleted in the background." };
    let counted = |of: &str| count(told[format!("{of}s")].as_u64().unwrap_or_default(), of);
    format!("Deleted {}; of {} nothing is left.{rest}\n", counted("transaction"), counted("session"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_says_what_goes() {
        let asked = question("user", "a\u{1b}b", 12, 3);
        assert!(asked.starts_with("This deletes 12 transactions of the user "), "{asked}");
        assert!(asked.contains(" in 3 sessions, ") && !asked.contains('\u{1b}'), "{asked}");
        assert!(question("session", "s", 1, 1).contains("of the session s, with all"));
    }

    #[test]
    fn an_id_is_one_step_of_a_path() {
        assert_eq!(step("a/b ?\u{e4}-_1"), "a%2Fb%20%3F%C3%A4-_1");
    }

    #[test]
    fn what_was_deleted_is_said() {
        let told = json!({"transactions": 2, "sessions": 1, "complete": true});
        assert_eq!(in_words(&told), "Deleted 2 transactions; of 1 session nothing is left.\n");
        assert!(in_words(&json!({"transactions": 2, "sessions": 0, "complete": false})).contains("in the background"));
    }
}
