//! `luthien show`: a recorded conversation, with what was changed beside what came.

use std::process::ExitCode;

use jiff::tz::TimeZone;
use luthien_record::history::{self, Conversation};
use luthien_record::store::{Store, TransactionDetail};

use crate::archive::{self, Found};
use crate::args::ShowArgs;
use crate::failure::Failure;
use crate::output::print;
use crate::terminal::{Palette, visible, width};

mod raw;
mod turn;

#[cfg(test)]
mod tests;

/// How a conversation is to look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) zone: TimeZone,
    pub(crate) width: usize,
    pub(crate) palette: Palette,
}

impl Look {
    /// As the terminal has it.
    pub(crate) fn of_terminal() -> Self {
        Self { zone: TimeZone::system(), width: width(), palette: Palette::for_stdout() }
    }
}

/// Prints what `args` names.
pub(crate) async fn run(args: ShowArgs) -> Result<ExitCode, Failure> {
    let nothing = || {
        Failure::new("nothing has been recorded yet; start the gateway with `luthien` and send something through it")
    };
    let store = archive::open(&args.record).await?.ok_or_else(nothing)?;
    let text = match archive::find(&store, &args.id).await? {
        Found::Session(_) if args.raw => {
            return Err(Failure::new("--raw prints the bodies of one transaction; this is the id of a session"));
        }
        Found::Transaction(call) if args.raw => raw::bodies(&call),
        Found::Session(id) if args.json => json(&conversation(&store, &id).await?)?,
        Found::Transaction(call) if args.json => match one_turn(&store, &call).await? {
            Some((conversation, _)) => json(&conversation)?,
            None => return Err(Failure::new("this call is no turn of a conversation; look at it with --raw")),
        },
        Found::Session(id) => session(&store, &id, &Look::of_terminal()).await?,
        Found::Transaction(call) => transaction(&store, &call, &Look::of_terminal()).await?,
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A session as text.
pub(crate) async fn session(store: &Store, id: &str, look: &Look) -> Result<String, Failure> {
    let whole = conversation(store, id).await?;
    let recorded = store.session(id).await?;
    let calls = recorded.map(|session| session.transactions).unwrap_or_default();
    Ok(turn::conversation(&whole, 1, &calls, look))
}

/// A transaction as text: its turn, or its bodies where it is no turn.
pub(crate) async fn transaction(store: &Store, call: &TransactionDetail, look: &Look) -> Result<String, Failure> {
    Ok(match one_turn(store, call).await? {
        Some((whole, number)) => turn::conversation(&whole, number, std::slice::from_ref(call), look),
        None => raw::bodies(call),
    })
}

async fn conversation(store: &Store, id: &str) -> Result<Conversation, Failure> {
    let found = history::session(store, id).await?;
    found.ok_or_else(|| Failure::new(format!("the session {} is not in the record", visible(id))))
}

/// The session of `call` with that turn alone, and the turn's number; none if the call is no turn of it.
async fn one_turn(store: &Store, call: &TransactionDetail) -> Result<Option<(Conversation, usize)>, Failure> {
    let mut whole = conversation(store, &call.session_id).await?;
    let id = call.id.to_string();
    let Some(at) = whole.turns.iter().position(|turn| turn.call_id == id) else { return Ok(None) };
    whole.turns = vec![whole.turns.swap_remove(at)];
    Ok(Some((whole, at + 1)))
}

fn json(conversation: &Conversation) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(conversation).map_err(|e| Failure::new(e.to_string()))?;
    Ok(text + "\n")
}
