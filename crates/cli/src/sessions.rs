//! `luthien sessions`: what was recorded, one line a session.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use luthien_record::history::{self, SessionSummary, Sessions};
use unicode_width::UnicodeWidthStr;

use crate::archive;
use crate::args::SessionsArgs;
use crate::failure::Failure;
use crate::output::print;
use crate::terminal::{Paint, Palette, clip, pad, visible_line, width};
use crate::when;

#[cfg(test)]
mod tests;

/// Prints the list.
pub(crate) async fn run(args: SessionsArgs) -> Result<ExitCode, Failure> {
    let page = match archive::open(&args.record).await? {
        Some(store) => history::sessions(&store, &args.filter.page(args.limit, args.offset)).await?,
        None => Sessions { sessions: Vec::new(), total: 0, offset: 0, has_more: false },
    };
    if args.json {
        let text = serde_json::to_string_pretty(&page).map_err(|e| Failure::new(e.to_string()))?;
        print(&format!("{text}\n"))?;
    } else if page.sessions.is_empty() {
        print(nothing(&args, page.total))?;
    } else {
        print(&table(&page, &TimeZone::system(), width(), Palette::for_stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Why there is nothing in the list.
fn nothing(args: &SessionsArgs, total: u64) -> &'static str {
    if total > 0 {
        "There are no more sessions: --offset is beyond the last.\n"
    } else if args.filter.is_empty() {
        "Nothing has been recorded yet. Start the gateway with `luthien` and send something through it, or run `luthien claude`.\n"
    } else {
        "No session matches.\n"
    }
}

const GAP: &str = "  ";
const HEADS: [&str; 5] = ["LAST", "TURNS", "CHANGED", "MODEL", "SESSION"];

/// The table, as wide as `columns` allow; the title gets what is left.
fn table(page: &Sessions, zone: &TimeZone, columns: usize, palette: Palette) -> String {
    let rows: Vec<[String; 5]> = page.sessions.iter().map(|s| cells(s, zone)).collect();
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|i| rows.iter().map(|row| row[i].width()).chain([HEADS[i].width()]).max().unwrap_or(0))
        .collect();
    let taken: usize = widths.iter().map(|w| w + GAP.len()).sum();
    let left = columns.saturating_sub(taken).max(20);
    let mut out = String::new();
    let heads: Vec<String> = HEADS.iter().zip(&widths).map(|(head, &w)| pad(head, w)).collect();
    out.push_str(&palette.dim(&format!("{}{GAP}TITLE", heads.join(GAP))));
    out.push('\n');
    for (row, session) in rows.iter().zip(&page.sessions) {
        let mut line: Vec<String> = row.iter().zip(&widths).map(|(cell, &w)| pad(cell, w)).collect();
        if session.policy_interventions > 0 {
            line[2] = palette.paint(Paint::Yellow, &line[2]);
        }
        let title = session.preview_message.as_deref().unwrap_or("(no title)");
        let _ = writeln!(out, "{}{GAP}{}", line.join(GAP), clip(&visible_line(title), left));
    }
    if page.has_more {
        let shown = page.offset + page.sessions.len() as u64;
        out.push_str(&palette.dim(&format!("{shown} of {}; more with --limit or --offset", page.total)));
        out.push('\n');
    }
    out.push_str(&palette.dim("Look at one with: luthien show SESSION"));
    out.push('\n');
    out
}

fn cells(session: &SessionSummary, zone: &TimeZone) -> [String; 5] {
    let model = match session.models_used.as_slice() {
        [] => "-".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    };
    [
        when::minute(session.last_timestamp, zone),
        session.turn_count.to_string(),
        session.policy_interventions.to_string(),
        clip(&visible_line(&model), 28),
        visible_line(&session.session_id),
    ]
}
