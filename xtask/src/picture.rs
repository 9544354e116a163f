//! `cargo xtask picture`: the README's picture, made from what `luthien demo` prints.

use std::fmt::Write as _;
use std::process::Command;

use crate::places::Places;
use crate::{Failure, command, say};

#[cfg(test)]
mod tests;

/// The first and the last line that are shown.
const FIRST: &str = "── turn 1";
const LAST: &str = "Checked: ";

/// The width that the demo is played in, which is also that of the tests.
const COLUMNS: &str = "100";

const LINE: usize = 20;
const LETTER: usize = 8;
const MARGIN: usize = 24;

/// Plays the demo and writes `docs/demo.svg`.
pub(crate) fn run() -> Result<(), Failure> {
    let places = Places::find()?;
    command::run(command::cargo(&places.root).args(["build", "--package", "luthien"]))?;
    let printed = command::output(Command::new(places.gateway()).arg("demo").env("COLUMNS", COLUMNS))?;
    let lines = scene(&printed).ok_or("`luthien demo` printed something else than a scene")?;
    let file = places.root.join("docs/demo.svg");
    std::fs::write(&file, drawn(&lines)).map_err(|error| format!("could not write {}: {error}", file.display()))?;
    say(format_args!("wrote {}", file.display()));
    Ok(())
}

/// The lines from the first to the last that are shown.
fn scene(printed: &str) -> Option<Vec<&str>> {
    let lines: Vec<&str> = printed.lines().collect();
    let first = lines.iter().position(|line| *line == FIRST)?;
    let last = lines.iter().position(|line| line.starts_with(LAST))?;
    lines.get(first..=last).map(<[&str]>::to_vec)
}

/// The lines as an SVG that looks like a terminal. Each line is a text element; empty ones are left out.
fn drawn(lines: &[&str]) -> String {
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let (width, height) = (columns * LETTER + 2 * MARGIN, lines.len() * LINE + 2 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\" xml:space=\"preserve\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#15181e\"/>\n"
    );
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let y = MARGIN + number * LINE + 14;
        let _ = writeln!(out, "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"#c9d1d9\">{}</text>", painted(line));
    }
    out + "</svg>\n"
}

/// A line in the colours that a terminal shows.
fn painted(line: &str) -> String {
    if line == FIRST || line.starts_with("── ") {
        return span("#ffffff", line);
    }
    if line.starts_with(LAST) {
        return span("#7ee787", line);
    }
    let colour = match line.split_whitespace().next() {
        Some("user" | "agent") => "#79c0ff",
        Some("gateway") if line.contains("BLOCKED") => "#ff7b72",
        Some("model" | "gateway") => "#7ee787",
        Some("tool") => "#8b949e",
        _ => return escaped(line),
    };
    // Two spaces, then who: a continued line begins with more of them.
    let who = if line.starts_with("   ") { 0 } else { 11 };
    let (who, rest) = line.split_at_checked(who).unwrap_or((line, ""));
    span(colour, who) + &escaped(rest)
}

fn span(colour: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<tspan fill=\"{colour}\">{}</tspan>", escaped(text)) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
