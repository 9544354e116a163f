//! Finds where quotes, substitutions and words end. Keeps its own stack, so that no depth of nesting overflows the thread's.

use crate::limits;

/// What is open while a closing mark is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// `"`.
    Double,
    /// `$(`, `<(`, `(`: commands. Holds how many `case` are open.
    Paren(u32),
    /// `$((`, and parentheses within.
    Arithmetic,
    /// `${`.
    Brace,
    /// A backquote.
    Backquote,
}

/// The place of the mark that closes `open`, whose inside begins at `at`; the end of the text where there is none.
pub(crate) fn close(text: &[u8], at: usize, open: Open) -> usize {
    Scan { text, marks: 0 }.close(at, open)
}

/// The end of the word that begins at `at`.
pub(crate) fn word_end(text: &[u8], at: usize) -> usize {
    Scan { text, marks: 0 }.word_end(at)
}

/// A text, and how many marks of heredocs are open around what is looked at: their words have commands in them, which
/// have heredocs.
#[derive(Clone, Copy)]
struct Scan<'a> {
    text: &'a [u8],
    marks: usize,
}

impl Scan<'_> {
    fn close(self, at: usize, open: Open) -> usize {
        Closer { text: self.text, marks: self.marks, at, stack: vec![open], heredocs: Vec::new() }.run()
    }

    fn word_end(self, mut at: usize) -> usize {
        let text = self.text;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'<' | b'>' | b'=' if text.get(at + 1) == Some(&b'(') => at = self.close(at + 2, Open::Paren(0)) + 1,
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => return at,
                _ => at = self.after(at),
            }
        }
        text.len()
    }

    /// The place behind what begins at `at`: a quoted part, a substitution, an escaped or a plain byte.
    fn after(self, at: usize) -> usize {
        let text = self.text;
        match (text.get(at), text.get(at + 1)) {
            (Some(b'\\'), _) => at + 2,
            (Some(b'\''), _) => single_end(text, at + 1) + 1,
            (Some(b'"'), _) => self.close(at + 1, Open::Double) + 1,
            (Some(b'`'), _) => self.close(at + 1, Open::Backquote) + 1,
            (Some(b'$'), Some(b'\'')) => ansi_end(text, at + 2) + 1,
            (Some(b'$'), Some(b'(')) => self.close(at + 2, Open::Paren(0)) + 1,
            (Some(b'$'), Some(b'{')) => self.close(at + 2, Open::Brace) + 1,
            _ => at + 1,
        }
    }

    fn mark(self, mut at: usize) -> Mark {
        let text = self.text;
        let tabs = text.get(at) == Some(&b'-');
        at += usize::from(tabs);
        while matches!(text.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        // Each mark within a mark is a call of its own on the thread's stack.
        let end = if self.marks < limits::MARKS {
            Self { marks: self.marks + 1, ..self }.word_end(at).min(text.len())
        } else {
            let rest = text.get(at..).unwrap_or_default();
            at + rest.iter().position(|byte| b" \t\n\r;&|()<>".contains(byte)).unwrap_or(rest.len())
        };
        let word = text.get(at..end).unwrap_or_default();
        let quoted = word.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'\\'));
        let delimiter = word.iter().copied().filter(|byte| !matches!(byte, b'\'' | b'"' | b'\\')).collect();
        Mark { delimiter, quoted, tabs, end }
    }
}

/// The place of the next `'`.
pub(crate) fn single_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().position(|&byte| byte == b'\'').map_or(text.len(), |offset| at + offset)
}

/// The place of the `'` that closes `$'`.
pub(crate) fn ansi_end(text: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\'' => return at,
            _ => at += 1,
        }
    }
    text.len()
}

/// A heredoc's mark: its delimiter without quotes, whether it had some, whether tabs are taken off, and where the mark ends.
pub(crate) struct Mark {
    pub(crate) delimiter: Vec<u8>,
    pub(crate) quoted: bool,
    pub(crate) tabs: bool,
    pub(crate) end: usize,
}

/// Reads the mark whose `<<` ends at `at`.
pub(crate) fn mark(text: &[u8], at: usize) -> Mark {
    Scan { text, marks: 0 }.mark(at)
}

/// The lines of a heredoc that begin at `at`: where they end, and where the line with the delimiter ends.
pub(crate) fn heredoc(text: &[u8], at: usize, mark: &Mark) -> (usize, usize) {
    let mut start = at;
    while start < text.len() {
        let rest = text.get(start..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let mut line = rest.get(..length).unwrap_or_default();
        if mark.tabs {
            while let [b'\t', inner @ ..] = line {
                line = inner;
            }
        }
        if line == mark.delimiter.as_slice() {
            return (start, start + length);
        }
        start += length + 1;
    }
    (text.len(), text.len())
}

struct Closer<'a> {
    text: &'a [u8],
    marks: usize,
    at: usize,
    stack: Vec<Open>,
    heredocs: Vec<Mark>,
}

impl Closer<'_> {
    fn run(mut self) -> usize {
        while let (Some(&byte), Some(&top)) = (self.text.get(self.at), self.stack.last()) {
            let next = self.text.get(self.at + 1).copied();
            let closes = match top {
                Open::Double => byte == b'"',
                Open::Backquote => byte == b'`',
                Open::Brace => byte == b'}',
                Open::Arithmetic | Open::Paren(0) => byte == b')',
                Open::Paren(_) => false,
            };
            if closes {
                self.stack.pop();
                if self.stack.is_empty() {
                    return self.at;
                }
                self.at += 1;
                continue;
            }
            match (byte, next) {
                (b'\\', _) => self.at += 2,
                (b'$', Some(b'(')) if self.text.get(self.at + 2) == Some(&b'(') => {
                    self.push(Open::Arithmetic, 2);
                    self.push(Open::Arithmetic, 1);
                }
                (b'$', Some(b'(')) => self.push(Open::Paren(0), 2),
                (b'$', Some(b'{')) => self.push(Open::Brace, 2),
                (b'`', _) if top != Open::Backquote => self.push(Open::Backquote, 1),
                _ if matches!(top, Open::Double | Open::Backquote) => self.at += 1,
                (b'\'', _) if !self.within_double() => self.at = single_end(self.text, self.at + 1) + 1,
                (b'"', _) => self.push(Open::Double, 1),
                (b'$', Some(b'\'')) if !self.within_double() => self.at = ansi_end(self.text, self.at + 2) + 1,
                (b'(', _) if top == Open::Arithmetic => self.push(Open::Arithmetic, 1),
                _ => match top {
                    Open::Paren(cases) => self.command(byte, cases),
                    _ => self.at += 1,
                },
            }
        }
        self.text.len()
    }

    fn push(&mut self, open: Open, width: usize) {
        self.stack.push(open);
        self.at += width;
    }

    /// `'` is a plain character in `"${x:-it's}"`.
    fn within_double(&self) -> bool {
        matches!(self.stack.as_slice(), [.., Open::Double, Open::Brace])
    }

    /// A byte among commands, where comments, heredocs and the patterns of `case` hide parentheses.
    fn command(&mut self, byte: u8, cases: u32) {
        let begins = self.at == 0 || self.text.get(self.at - 1).is_none_or(|before| b" \t\n;&|()`".contains(before));
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word = |word: &[u8]| {
            rest.starts_with(word) && rest.get(word.len()).is_none_or(|next| b" \t\n;&|()".contains(next))
        };
        match byte {
            b'#' if begins => self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
            b'<' if rest.starts_with(b"<<<") => self.at += 3,
            b'<' if rest.starts_with(b"<<") => {
                let mark = Scan { text: self.text, marks: self.marks }.mark(self.at + 2);
                self.at = mark.end.max(self.at + 2);
                self.heredocs.push(mark);
            }
            b'\n' => {
                self.at += 1;
                for mark in std::mem::take(&mut self.heredocs) {
                    self.at = (heredoc(self.text, self.at, &mark).1 + 1).min(self.text.len());
                }
            }
            b'c' if begins && word(b"case") => self.set_cases(cases + 1, 4),
            b'e' if begins && word(b"esac") => self.set_cases(cases.saturating_sub(1), 4),
            b'(' => self.push(Open::Paren(0), 1),
            _ => self.at += 1,
        }
    }

    fn set_cases(&mut self, cases: u32, width: usize) {
        if let Some(top) = self.stack.last_mut() {
            *top = Open::Paren(cases);
        }
        self.at += width;
    }
}
