//! `luthien export`: recorded sessions as files, read and written turn by turn.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use luthien_record::history::{Export, Format};
use luthien_record::store::Store;

use self::progress::Progress;
use crate::archive::{self, Found};
use crate::args::{ExportArgs, FilterArgs};
use crate::failure::Failure;
use crate::output::{count, say};
use crate::terminal::visible_line;

mod progress;

#[cfg(test)]
mod tests;

/// How many sessions are looked up at a time.
const AT_ONCE: u32 = 1000;

/// Writes what `args` name.
pub(crate) async fn run(args: ExportArgs) -> Result<ExitCode, Failure> {
    if args.session.is_none() && !args.all && args.filter.is_empty() {
        let what = "name a session, or say which: --search, --user, --model, --from, --to, --changed, or --all";
        return Err(Failure::new(what));
    }
    let store = archive::open(&args.record).await?.ok_or_else(|| Failure::new("nothing has been recorded yet"))?;
    let (sessions, format) = match &args.session {
        Some(id) => (vec![session(&store, id).await?], args.format.map_or(Format::Markdown, Into::into)),
        None => (matching(&store, &args.filter).await?, several(&args)?),
    };
    if sessions.is_empty() {
        return Err(Failure::new("no session matches: nothing was written"));
    }
    let mut out = Output::open(args.output.as_deref())?;
    let mut progress = Progress::new(sessions.len(), args.output.is_none());
    let written = write(&store, &sessions, format, &mut out, &mut progress).await;
    progress.end();
    match written.and_then(|()| Ok(out.finish()?)) {
        // A reader that has gone (`luthien export … | head`) has what it wanted.
        Err(Stopped::Unwritable(error)) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(Stopped::Unwritable(error)) => return Err(Failure::new(format!("cannot write the export: {error}"))),
        Err(Stopped::Unreadable(failure)) => return Err(failure),
        Ok(()) => {
            if let Some(file) = &args.output {
                let (sessions, turns) = (count(sessions.len() as u64, "session"), count(progress.turns(), "turn"));
                say(&format!("{sessions} with {turns} written to {}", visible_line(&file.display().to_string())));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Several sessions go into one file line by line.
fn several(args: &ExportArgs) -> Result<Format, Failure> {
    match args.format.map(Format::from) {
        None | Some(Format::Jsonl) => Ok(Format::Jsonl),
        Some(_) => {
            Err(Failure::new("several sessions can only be exported as jsonl; name one session for the other formats"))
        }
    }
}

async fn session(store: &Store, id: &str) -> Result<String, Failure> {
    Ok(match archive::find(store, id).await? {
        Found::Session(id) => id,
        Found::Transaction(call) => call.session_id,
    })
}

/// The ids of all sessions that the filter names, latest first.
async fn matching(store: &Store, filter: &FilterArgs) -> Result<Vec<String>, Failure> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let page = store.sessions(&filter.page(AT_ONCE, u32::try_from(ids.len()).unwrap_or(u32::MAX))).await?;
        let last = page.sessions.len() < AT_ONCE as usize;
        ids.extend(page.sessions.into_iter().map(|session| session.session_id));
        if last {
            // One that moved up between two pages was on both.
            let mut known = std::collections::HashSet::new();
            ids.retain(|id| known.insert(id.clone()));
            return Ok(ids);
        }
    }
}

/// Why an export ended before its end.
enum Stopped {
    Unwritable(io::Error),
    Unreadable(Failure),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Unwritable(error)
    }
}

async fn write(
    store: &Store,
    sessions: &[String],
    format: Format,
    out: &mut Output,
    progress: &mut Progress,
) -> Result<(), Stopped> {
    let unreadable = |error: luthien_record::store::StoreError| Stopped::Unreadable(error.into());
    for id in sessions {
        // One that has been deleted meanwhile is passed over.
        let Some(mut export) = Export::of(store, id, format).await.map_err(unreadable)? else { continue };
        let mut turns = 0;
        while let Some(piece) = export.next().await.map_err(unreadable)? {
            out.write(piece.as_bytes())?;
            progress.add(export.turns() - turns, piece.len());
            turns = export.turns();
        }
        progress.session();
    }
    Ok(())
}

/// Where an export goes. A file has its name only when it is whole.
enum Output {
    Standard(BufWriter<io::Stdout>),
    File { writer: BufWriter<File>, part: PathBuf, name: PathBuf },
}

impl Output {
    fn open(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(name) = file else { return Ok(Self::Standard(BufWriter::new(io::stdout()))) };
        let mut part = name.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let shown = visible_line(&part.display().to_string());
        let file = options.open(&part).map_err(|error| Failure::new(format!("cannot write {shown}: {error}")))?;
        Ok(Self::File { writer: BufWriter::new(file), part, name: name.to_owned() })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.write_all(bytes),
            Self::File { writer, .. } => writer.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Standard(mut out) => out.flush(),
            Self::File { mut writer, part, name } => {
                writer.flush()?;
                writer.get_ref().sync_all()?;
                std::fs::rename(part, name)
            }
        }
    }
}

/// Whether a line may be drawn over: only where a person looks and nothing else is printed.
fn watched(prints: bool) -> bool {
    io::stderr().is_terminal() && !(prints && io::stdout().is_terminal())
}
