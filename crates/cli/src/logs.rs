//! `luthien logs`: the log of the gateway in the background, as lines for a person or as they are written.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use luthien_gateway::data_dir::{DataDir, Kept};
use serde_json::Value;

use crate::args::LogsArgs;
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::logfile;
use crate::output::{print, say};
use crate::process::Standing;
use crate::signals::Stop;
use crate::terminal::{Paint, Palette, visible_line};
use crate::when;

/// How often is looked whether something was added.
const LOOK: Duration = Duration::from_millis(200);

/// How much of a log is read at once, and at most for its last lines.
const MOST: u64 = 4 << 20;

/// The levels, the worst first.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/// How lines are chosen and printed.
struct Shown {
    /// The least level, as a place in [`LEVELS`].
    level: usize,
    raw: bool,
    zone: TimeZone,
    palette: Palette,
}

/// Runs the command.
pub(crate) async fn run(args: &LogsArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_keeping(&args.record)?;
    let path = loaded.folder().join(logfile::NAME);
    let elsewhere = elsewhere(&loaded);
    if !path.is_file() {
        return Err(Failure::new(elsewhere.unwrap_or_else(|| {
            format!("there is no log at {}: it is written by a gateway that `luthien up` started", path.display())
        })));
    }
    if let Some(elsewhere) = elsewhere {
        say(&format!("luthien: {elsewhere}; this is the log of an earlier one"));
    }
    let wanted = args.level.as_deref().unwrap_or("trace").to_ascii_uppercase();
    let level = LEVELS.iter().position(|level| *level == wanted).unwrap_or(LEVELS.len());
    let shown = Shown { level, raw: args.json, zone: TimeZone::system(), palette: Palette::for_stdout() };
    let failed = |e: std::io::Error| Failure::new(format!("cannot read {}: {e}", path.display()));
    let (mut last, mut at) = last_lines(&path).map_err(failed)?;
    let before = logfile::aside(&path, 1);
    if last.iter().filter(|line| shown.takes(line)).count() < args.lines && before.is_file() {
        let (mut earlier, _) = last_lines(&before).map_err(failed)?;
        earlier.append(&mut last);
        last = earlier;
    }
    let chosen: Vec<&String> = last.iter().filter(|line| shown.takes(line)).collect();
    let from = chosen.len().saturating_sub(args.lines);
    print(&chosen[from..].iter().map(|line| shown.line(line)).collect::<String>())?;
    if args.follow {
        let mut stop = Stop::listen()?;
        tokio::select! {
            followed = follow(&path, &mut at, &shown) => followed?,
            () = stop.asked() => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the log of the gateway that runs is, if it is not in the file.
fn elsewhere(loaded: &Loaded) -> Option<String> {
    let note = DataDir::at(&loaded.folder()).running()?;
    if matches!(Standing::of(&note), Standing::Gone) {
        return None;
    }
    match note.started?.kept {
        Kept::Service { unit } => Some(format!(
            "the gateway that runs is kept by systemd, which has its log: journalctl -u {}",
            visible_line(&unit.unwrap_or_else(|| "UNIT".to_owned()))
        )),
        Kept::Caller => Some("the gateway that runs was started by hand, and its log is where that was".to_owned()),
        Kept::Agent | Kept::Up { .. } => None,
    }
}

/// The last lines of a file, and where it ends.
fn last_lines(path: &Path) -> std::io::Result<(Vec<String>, Place)> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    let from = about.len().saturating_sub(MOST);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(about.len() - from).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let text = String::from_utf8_lossy(&bytes[..whole]);
    // The first line may have lost its beginning.
    let lines = text.lines().skip(usize::from(from > 0)).map(str::to_owned).collect();
    Ok((lines, Place { file: about.ino(), at: from + whole as u64 }))
}

/// How far a log was read.
struct Place {
    /// Which file it was.
    file: u64,
    at: u64,
}

impl Place {
    /// The whole lines that were added.
    fn read_on(&mut self, path: &Path) -> std::io::Result<Vec<String>> {
        let mut lines = Vec::new();
        let Ok(about) = std::fs::metadata(path) else { return Ok(lines) };
        if about.ino() != self.file {
            // It was put aside: what it got last is there.
            let old: PathBuf = logfile::aside(path, 1);
            if std::fs::metadata(&old).is_ok_and(|old| old.ino() == self.file) {
                self.rest_of(&old, &mut lines)?;
            }
            *self = Self { file: about.ino(), at: 0 };
        }
        self.rest_of(path, &mut lines)?;
        Ok(lines)
    }

    fn rest_of(&mut self, path: &Path, lines: &mut Vec<String>) -> std::io::Result<()> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        lines.extend(String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned));
        self.at += whole as u64;
        Ok(())
    }
}

/// Prints what is added, for ever.
async fn follow(path: &Path, at: &mut Place, shown: &Shown) -> Result<(), Failure> {
    loop {
        let lines = at.read_on(path)?;
        print(&lines.iter().filter(|line| shown.takes(line)).map(|line| shown.line(line)).collect::<String>())?;
        tokio::time::sleep(LOOK).await;
    }
}

impl Shown {
    fn takes(&self, line: &str) -> bool {
        if self.level + 1 >= LEVELS.len() {
            return true;
        }
        let read: Value = serde_json::from_str(line).unwrap_or_default();
        let level = LEVELS.iter().position(|level| read["level"] == *level);
        level.is_none_or(|level| level <= self.level)
    }

    /// A line with its end.
    fn line(&self, line: &str) -> String {
        if self.raw {
            return format!("{line}\n");
        }
        let Ok(Value::Object(members)) = serde_json::from_str(line) else { return format!("{}\n", visible_line(line)) };
        let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
        let at = text("timestamp").parse::<Timestamp>();
        let at = at.map_or_else(|_| visible_line(text("timestamp")), |at| when::second(at, &self.zone));
        let level = text("level");
        let paint = match level {
            "ERROR" => Paint::Red,
            "WARN" => Paint::Yellow,
            _ => Paint::Dim,
        };
        let known = ["timestamp", "level", "message", "target"];
        let others: Vec<String> = members
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .map(|(name, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!(" {}={}", visible_line(name), visible_line(&value))
            })
            .collect();
        let level = self.palette.paint(paint, &format!("{:<5}", visible_line(level)));
        format!("{} {level} {}{}\n", self.palette.dim(&at), visible_line(text("message")), others.concat())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn shown(level: &str) -> Shown {
        let level = LEVELS.iter().position(|known| *known == level).unwrap();
        Shown { level, raw: false, zone: TimeZone::UTC, palette: Palette::plain() }
    }

    #[test]
    fn a_line_is_read_by_a_person() {
        let line = r#"{"timestamp":"2026-11-20T14:05:09.123Z","level":"WARN","message":"it \u001b[2J","why":"a b","n":3,"target":"x"}"#;
        let text = shown("TRACE").line(line);
        assert_eq!(text, "2026-11-20 14:05:09 WARN  it \u{241b}[2J why=a b n=3\n");
        assert_eq!(shown("TRACE").line("plain"), "plain\n");
        assert!(shown("WARN").takes(line) && !shown("ERROR").takes(line) && shown("ERROR").takes("a panic"));
    }

    #[test]
    fn a_log_is_followed_over_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(logfile::NAME);
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let (lines, mut place) = last_lines(&path).unwrap();
        assert_eq!(lines, ["one", "two"]);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"ee\n").unwrap();
        assert_eq!(place.read_on(&path).unwrap(), ["three"]);
        file.write_all(b"four\n").unwrap();
        std::fs::rename(&path, logfile::aside(&path, 1)).unwrap();
        std::fs::write(&path, "five\n").unwrap();
        assert_eq!(place.read_on(&path).unwrap(), ["four", "five"]);
        assert!(place.read_on(&path).unwrap().is_empty());
    }
}
