//! What the commands need to know of the terminal: colours, width, and text that is safe to print.

use std::borrow::Cow;
use std::io::IsTerminal;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[cfg(test)]
mod tests;

/// Paints text, or leaves it alone when colours are off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    on: bool,
}

/// How a piece of text is painted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

impl Palette {
    /// Colours for standard output: only on a terminal, and not where `NO_COLOR` or a dumb terminal says no.
    pub(crate) fn for_stdout() -> Self {
        Self::decide(std::io::stdout().is_terminal(), |name| std::env::var(name).ok())
    }

    fn decide(terminal: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let refused = env("NO_COLOR").is_some_and(|v| !v.is_empty()) || env("TERM").is_some_and(|v| v == "dumb");
        Self { on: terminal && !refused }
    }

    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { on: false }
    }

    /// `text` painted. The text must be safe to print already.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if self.on { format!("\u{1b}[{}m{text}\u{1b}[0m", paint.code()) } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint(Paint::Bold, text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(Paint::Dim, text)
    }
}

/// The columns of the terminal on standard output, 80 when it is none. `COLUMNS` wins.
pub(crate) fn width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|v| v.parse().ok());
    let real = || {
        let stdout = std::io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col))
    };
    set.or_else(real).filter(|&columns| columns >= 20).unwrap_or(80)
}

/// `text` with everything that a terminal would obey made visible: control characters, escape sequences, and marks that
/// turn the direction of writing around. Line feeds stay, tabs become four spaces.
///
/// Models, tools and clients choose what these texts hold, so none is printed without passing here.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && obeyed(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' if chars.peek() == Some(&'\n') => {}
            c if (c as u32) < 0x20 => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('\u{2421}'),
            c if obeyed(c) => {
                let code = format!("\\u{{{:x}}}", c as u32);
                out.push_str(&code);
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// `visible`, on one line: line feeds are shown as `⏎`.
pub(crate) fn visible_line(text: &str) -> String {
    visible(text).replace('\n', "\u{23ce}")
}

fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` cut to `columns`, with `…` where something was cut.
pub(crate) fn clip(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('\u{2026}');
    out
}

/// `text` filled with spaces to `columns`.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// The lines of `text`, each at most `columns` wide, broken at spaces where there are any.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    text.split('\n').flat_map(|line| wrap_line(line, columns)).collect()
}

fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    let mut used = 0;
    for c in line.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > columns {
            let rest = match current.rfind(' ').filter(|&at| at > columns / 3) {
                Some(at) => {
                    let rest = current.split_off(at + 1);
                    current.truncate(at);
                    rest
                }
                None => String::new(),
            };
            out.push(std::mem::replace(&mut current, rest));
            used = current.width();
        }
        current.push(c);
        used += wide;
    }
    out.push(current);
    out
}
