//! What came of an evaluation for people: tables, rates, and the rows that were got wrong.

use std::fmt::Write as _;
use std::time::Duration;

use luthien_policy::evaluate::{Outcome, Share};

use super::EvalArgs;
use super::condition::Found;
use super::tally::{Counts, Tally, Times, Tried};
use crate::terminal::{Paint, Palette, clip, pad, visible_line};

/// The most points of the scores' curve that are printed; all are in the JSON.
const POINTS: usize = 20;

/// The whole text, in lines of at most `columns` where its parts can be cut.
pub(super) fn text(tally: &Tally, args: &EvalArgs, conditions: &[Found], columns: usize, palette: Palette) -> String {
    let mut out = String::new();
    head(&mut out, tally, palette);
    let rows = tally.labels().into_iter().map(|(label, counts)| (vec![label], counts));
    out.push_str(&table(&["label"], rows.collect(), palette));
    if let Some(field) = &args.group_by {
        let rows = tally.groups().into_iter().map(|((group, label), counts)| (vec![group, label], counts));
        let _ = write!(out, "\n{}", table(&[field, "label"], rows.collect(), palette));
    }
    rates(&mut out, tally);
    if args.scores {
        scores(&mut out, tally, palette);
    }
    let Times { median, p95, max } = tally.times();
    let _ = writeln!(out, "\ntime per decision: median {}, p95 {}, max {}", time(median), time(p95), time(max));
    list(&mut out, "not decided", &tally.failures(), args.misses, columns, palette);
    list(&mut out, "missed", &tally.missed(), args.misses, columns, palette);
    list(&mut out, "false alarms", &tally.false_alarms(), args.misses, columns, palette);
    required(&mut out, conditions, palette);
    out
}

fn head(out: &mut String, tally: &Tally, palette: Palette) {
    let left_out = match tally.left_out {
        0 => String::new(),
        left_out => format!(" ({left_out} left out)"),
    };
    let _ = writeln!(out, "{}: {} rows{left_out}\n", palette.bold(&visible_line(&tally.policy)), tally.tried.len());
}

/// A line for each label or group. Outcomes that never came have no column.
fn table(names: &[&str], rows: Vec<(Vec<String>, Counts)>, palette: Palette) -> String {
    let came: Vec<Outcome> = Outcome::ALL
        .into_iter()
        .filter(|outcome| {
            matches!(outcome, Outcome::Blocked | Outcome::Passed)
                || rows.iter().any(|(_, found)| found.get(*outcome) > 0)
        })
        .collect();
    let mut lines: Vec<Vec<String>> = Vec::new();
    let heads = names.iter().map(|name| visible_line(name)).chain(["rows".to_owned()]);
    let heads = heads.chain(came.iter().map(|outcome| outcome.name().replace('_', " ")));
    lines.push(heads.chain(["caught".to_owned(), "95% interval".to_owned()]).collect());
    for (names, counts) in rows {
        let cells = names.iter().map(|name| visible_line(name)).chain([counts.rows().to_string()]);
        let cells = cells.chain(came.iter().map(|outcome| counts.get(*outcome).to_string()));
        lines.push(cells.chain([rate(counts.caught()), interval(counts.caught())]).collect());
    }
    let columns = lines.first().map_or(0, Vec::len);
    let wide = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column < names.len() { pad(cell, *width) } else { format!("{cell:>width$}") }
        });
        let text = cells.collect::<Vec<_>>().join("  ");
        let _ =
            writeln!(out, "{}", if number == 0 { palette.bold(text.trim_end()) } else { text.trim_end().to_owned() });
    }
    out
}

fn rates(out: &mut String, tally: &Tally) {
    let confusion = tally.confusion();
    let [bad, good] = [true, false].map(|bad| Counts::of(tally.side(bad)));
    let _ = writeln!(
        out,
        "\ntrue positives {}, false negatives {}, false positives {}, true negatives {}, not decided {}",
        confusion.tp,
        confusion.fn_,
        confusion.fp,
        confusion.tn,
        Counts::of(&tally.tried).failed(),
    );
    let line = |out: &mut String, name: &str, share: Share| {
        if share.of > 0 {
            let (rate, interval) = (rate(share), interval(share));
            let _ = writeln!(out, "{}  {rate:>6}  ({interval})  {} of {}", pad(name, 20), share.count, share.of);
        }
    };
    line(out, "bad rows caught", bad.caught());
    line(out, "false alarms", good.caught());
    line(out, "precision", tally.precision());
    if let Some((bad, good)) = tally.shadow() {
        line(out, "in shadow: caught", bad);
        line(out, "in shadow: alarms", good);
    }
    let failed = Counts::of(&tally.tried).failed();
    let apart = if failed > 0 { " Rows that were not decided count as not caught." } else { "" };
    let _ = writeln!(out, "Intervals are Wilson's, 95%.{apart}");
}

fn scores(out: &mut String, tally: &Tally, palette: Palette) {
    let (points, auc) = tally.scores();
    let Some(auc) = auc else {
        let _ = writeln!(out, "\nThere are no scores to compare: the policy gives none, or all rows are of one side.");
        return;
    };
    let _ = writeln!(out, "\n{}  area under the curve {auc:.3}", palette.bold("scores"));
    let _ = writeln!(out, "{}", palette.bold("from   bad caught  false alarms"));
    let step = points.len().div_ceil(POINTS).max(1);
    for (at, point) in points.iter().enumerate() {
        if at % step == 0 || at + 1 == points.len() {
            let (caught, alarms) = (point.caught * 100.0, point.false_alarms * 100.0);
            let _ = writeln!(out, "{:<5.3}  {caught:>9.1}%  {alarms:>11.1}%", point.threshold);
        }
    }
}

fn list(out: &mut String, title: &str, tried: &[&Tried], most: usize, columns: usize, palette: Palette) {
    if tried.is_empty() || most == 0 {
        return;
    }
    let shown = tried.len().min(most);
    let _ = writeln!(out, "\n{}", palette.bold(&format!("{title} ({shown} of {})", tried.len())));
    for one in tried.iter().take(most) {
        let verdict = &one.verdict;
        let score = verdict.score.map(|score| format!("  score {score:.2}")).unwrap_or_default();
        let label = one.row.label.as_ref().map(|label| format!("  {}", visible_line(label))).unwrap_or_default();
        let word = if verdict.outcome == Outcome::Passed { "" } else { verdict.outcome.name() };
        let word = if word.is_empty() { String::new() } else { format!("  {}", word.replace('_', " ")) };
        let _ = writeln!(out, "  {}", palette.dim(&format!("{}{label}{word}{score}", visible_line(&one.row.place))));
        let _ = writeln!(out, "    {}", clip(&visible_line(one.row.case.shown()), columns.saturating_sub(4)));
        if let Some(reason) = &verdict.reason {
            let by = verdict.policy.map(|policy| format!("{policy}: ")).unwrap_or_default();
            let _ = writeln!(
                out,
                "    {}",
                palette.dim(&clip(&visible_line(&format!("{by}{reason}")), columns.saturating_sub(4)))
            );
        }
    }
}

fn required(out: &mut String, conditions: &[Found], palette: Palette) {
    if !conditions.is_empty() {
        let _ = writeln!(out);
    }
    for found in conditions {
        let word = if found.holds { palette.paint(Paint::Green, "met") } else { palette.paint(Paint::Red, "NOT MET") };
        let of = found.of.map(|of| format!(" of {of}")).unwrap_or_default();
        let failed = match (found.failed, found.holds) {
            (0, _) | (_, true) => String::new(),
            (failed, false) => format!(", and {failed} not decided"),
        };
        let _ = writeln!(out, "{word}  {}: {:.4}{of}{failed}", visible_line(&found.condition), found.value);
    }
}

fn rate(share: Share) -> String {
    share.rate().map_or_else(|| "-".to_owned(), |rate| format!("{:.1}%", rate * 100.0))
}

fn interval(share: Share) -> String {
    share.interval().map_or_else(|| "-".to_owned(), |(low, high)| format!("{:.1}-{:.1}%", low * 100.0, high * 100.0))
}

fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 10.0 { format!("{micros:.1} µs") } else { format!("{micros:.0} µs") }
}
