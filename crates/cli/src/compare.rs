//! Two texts beside each other: what came, and what left.

use similar::{DiffOp, TextDiff};

use crate::terminal::{Paint, Palette, pad, visible, wrap};

#[cfg(test)]
mod tests;

/// From this many columns on the two stand side by side; below, one after the other with `-` and `+`.
const WIDE: usize = 100;

/// The lines to print for `original` beside `changed`, on a terminal of `width` columns. Makes both safe to print.
pub(crate) fn beside(original: &str, changed: &str, width: usize, palette: Palette) -> Vec<String> {
    let (original, changed) = (visible(original), visible(changed));
    let old: Vec<&str> = original.split('\n').collect();
    let new: Vec<&str> = changed.split('\n').collect();
    let diff = TextDiff::from_slices(&old, &new);
    let mut out = Vec::new();
    if width >= WIDE {
        let column = (width - 3) / 2;
        let (left, right) = (pad("original", column), "final");
        out.push(palette.dim(&format!("{left} \u{2502} {right}")));
        for op in diff.ops() {
            columns(*op, &old, &new, column, palette, &mut out);
        }
    } else {
        for op in diff.ops() {
            signs(*op, &old, &new, width, palette, &mut out);
        }
    }
    out
}

fn columns(op: DiffOp, old: &[&str], new: &[&str], column: usize, palette: Palette, out: &mut Vec<String>) {
    let same = matches!(op, DiffOp::Equal { .. });
    let left = wrapped(&old[op.old_range()], column);
    let right = wrapped(&new[op.new_range()], column);
    for row in 0..left.len().max(right.len()) {
        let l = pad(left.get(row).map_or("", String::as_str), column);
        let r = right.get(row).map_or("", String::as_str);
        let line = if same {
            palette.dim(&format!("{l} \u{2502} {r}"))
        } else {
            format!("{} \u{2502} {}", palette.paint(Paint::Red, &l), palette.paint(Paint::Green, r))
        };
        out.push(line.trim_end().to_owned());
    }
}

fn signs(op: DiffOp, old: &[&str], new: &[&str], width: usize, palette: Palette, out: &mut Vec<String>) {
    let column = width.saturating_sub(2);
    if matches!(op, DiffOp::Equal { .. }) {
        out.extend(wrapped(&old[op.old_range()], column).iter().map(|line| palette.dim(&format!("  {line}"))));
        return;
    }
    let minus = wrapped(&old[op.old_range()], column);
    out.extend(minus.iter().map(|line| palette.paint(Paint::Red, &format!("- {line}"))));
    let plus = wrapped(&new[op.new_range()], column);
    out.extend(plus.iter().map(|line| palette.paint(Paint::Green, &format!("+ {line}"))));
}

fn wrapped(lines: &[&str], column: usize) -> Vec<String> {
    lines.iter().flat_map(|line| wrap(line, column)).collect()
}
