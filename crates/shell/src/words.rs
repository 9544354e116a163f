//! Expands words as bash would, as far as the text alone tells.

mod ansi;
mod braces;
mod parameters;

use crate::{
    analysis::{Unknown, Word},
    syntax::scan::{self, Open},
    walk::{Context, Walker},
};

pub(crate) use ansi::unescape;

/// Bytes that make a word more than its own text.
const SPECIAL: &[u8] = b"\\'\"$`*?[{<>";

/// How a text is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A word of a command: quotes, and values divided at blanks.
    Words,
    /// A value or a redirection's target: quotes, nothing divided.
    Value,
    /// Within double quotes, or a heredoc.
    Quoted,
}

/// The fields that a word gives.
struct Fields {
    mode: Mode,
    /// Where values are divided, if not at blanks.
    separators: Option<String>,
    done: Vec<Word>,
    current: Word,
    /// Whether there is a current field, if an empty one.
    begun: bool,
}

impl Fields {
    fn literal(&mut self, text: &str) {
        self.current.text.push_str(text);
        self.current.bare.push_str(text);
        self.begun = true;
    }

    /// A part that is only known at run time, as it is written.
    fn unknown(&mut self, source: &str) {
        self.current.text.push_str(source);
        self.current.dynamic = true;
        self.begun = true;
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.done.push(std::mem::take(&mut self.current));
        }
    }

    /// The value of a variable or the output of a command. Where it is unknown it stands as it is written.
    fn value(&mut self, value: &Word, quoted: bool, source: &str) {
        self.current.from.extend_from_slice(&value.from);
        self.current.glob |= value.glob && !quoted;
        self.current.dynamic |= value.dynamic;
        if value.dynamic && value.text.is_empty() {
            self.unknown(source);
            if !value.from.is_empty() {
                self.current.bare.push(Word::MARK);
            }
            return;
        }
        // What stands for an unknown part is not divided: it is one word, whatever it is written like.
        if quoted || value.dynamic || self.mode != Mode::Words {
            self.current.text.push_str(&value.text);
            self.current.bare.push_str(&value.bare);
            self.begun |= quoted || !value.text.is_empty();
            return;
        }
        self.divided(value);
    }

    fn divided(&mut self, value: &Word) {
        let separators = self.separators.clone();
        let blank =
            |c: char| separators.as_deref().map_or(c.is_ascii_whitespace(), |separators| separators.contains(c));
        if !value.text.contains(blank) {
            self.current.text.push_str(&value.text);
            self.current.bare.push_str(&value.bare);
            self.current.glob |= value.text.contains(['*', '?']);
            self.begun |= !value.text.is_empty();
            return;
        }
        if value.text.starts_with(blank) {
            self.end();
        }
        let mut parts = value.text.split(&blank).filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            self.literal(part);
            self.current.glob |= part.contains(['*', '?']);
            if !self.current.from.ends_with(&value.from) {
                self.current.from.extend_from_slice(&value.from);
            }
            if parts.peek().is_some() || value.text.ends_with(&blank) {
                self.end();
            }
        }
    }
}

impl Walker {
    /// The words of a command, braces and values divided.
    pub(crate) fn words(&mut self, raw: &[String], context: &Context) -> Vec<Word> {
        let mut out = Vec::with_capacity(raw.len());
        for raw in raw {
            if !raw.bytes().any(|byte| SPECIAL.contains(&byte)) {
                out.push(Word::fixed(raw.as_str()));
                continue;
            }
            if !self.work(raw.len()) {
                return out;
            }
            let parts = braces::expand(raw);
            if !parts.all {
                self.note(Unknown::TooMuch);
            }
            for part in parts.words {
                let fields = self.expand(&part, Mode::Words, context);
                if !self.spend(fields.iter().map(|word| word.text.len() + 1).sum()) {
                    return out;
                }
                out.extend(fields);
            }
        }
        out
    }

    /// One word that is not divided: a value, a redirection's target.
    pub(crate) fn word(&mut self, raw: &str, context: &Context) -> Word {
        self.single(raw, Mode::Value, context)
    }

    /// A text in which only `$` and backquotes are special: a heredoc's lines.
    pub(crate) fn quoted(&mut self, raw: &str, context: &Context) -> Word {
        self.single(raw, Mode::Quoted, context)
    }

    fn single(&mut self, raw: &str, mode: Mode, context: &Context) -> Word {
        if !raw.bytes().any(|byte| SPECIAL.contains(&byte)) {
            return Word::fixed(raw);
        }
        let word = self.expand(raw, mode, context).into_iter().next().unwrap_or_default();
        if self.spend(word.text.len()) { word } else { Word { dynamic: true, ..Word::default() } }
    }

    fn expand(&mut self, raw: &str, mode: Mode, context: &Context) -> Vec<Word> {
        let separators = self.separators();
        let mut fields = Fields { mode, separators, done: Vec::new(), current: Word::default(), begun: false };
        if self.enter() {
            self.parts(raw, mode == Mode::Quoted, &mut fields, context);
            self.leave();
        } else {
            fields.unknown(raw);
        }
        fields.end();
        fields.done
    }

    /// Adds what `raw` gives to the fields.
    fn parts(&mut self, raw: &str, quoted: bool, fields: &mut Fields, context: &Context) {
        if !self.work(raw.len()) {
            return fields.unknown(raw);
        }
        let bytes = raw.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let next = bytes.get(at + 1).copied();
            let start = at;
            match (byte, next) {
                (b'\\', Some(b'\n')) => at += 2,
                (b'\\', Some(escaped)) if !quoted || b"$`\"\\".contains(&escaped) => {
                    at = char_end(raw, at + 1);
                    fields.literal(raw.get(start + 1..at).unwrap_or_default());
                }
                (b'\'', _) if !quoted => {
                    let end = scan::single_end(bytes, at + 1);
                    fields.literal(raw.get(at + 1..end).unwrap_or_default());
                    at = end + 1;
                }
                (b'"', _) if !quoted => {
                    let end = scan::close(bytes, at + 1, Open::Double);
                    fields.begun = true;
                    self.nested(raw.get(at + 1..end).unwrap_or_default(), fields, context);
                    at = end + 1;
                }
                (b'$', Some(b'\'')) if !quoted => {
                    let end = scan::ansi_end(bytes, at + 2);
                    fields.literal(&unescape(raw.get(at + 2..end).unwrap_or_default()));
                    at = end + 1;
                }
                (b'$', Some(b'"')) if !quoted => at += 1,
                (b'$', Some(_)) => at = self.dollar(raw, at, quoted, fields, context),
                (b'`', _) => {
                    let end = scan::close(bytes, at + 1, Open::Backquote);
                    let script = raw
                        .get(at + 1..end)
                        .unwrap_or_default()
                        .replace("\\`", "`")
                        .replace("\\$", "$")
                        .replace("\\\\", "\\");
                    let value = self.substitute(&script, context);
                    at = (end + 1).min(bytes.len());
                    fields.value(&value, quoted, raw.get(start..at).unwrap_or_default());
                }
                (b'<' | b'>', Some(b'(')) if !quoted => {
                    let end = scan::close(bytes, at + 2, Open::Paren(0));
                    let script = raw.get(at + 2..end).unwrap_or_default();
                    at = (end + 1).min(bytes.len());
                    self.process(script, byte == b'>', raw.get(start..at).unwrap_or_default(), fields, context);
                }
                _ => {
                    at = plain_end(raw, at, quoted);
                    let text = raw.get(start..at).unwrap_or_default();
                    fields.current.glob |=
                        !quoted && (text.contains(['*', '?']) || (text.contains('[') && text.contains(']')));
                    fields.literal(text);
                }
            }
        }
    }

    /// The inside of double quotes.
    fn nested(&mut self, inside: &str, fields: &mut Fields, context: &Context) {
        if self.enter() {
            self.parts(inside, true, fields, context);
            self.leave();
        } else {
            fields.unknown(inside);
        }
    }

    /// `<(…)` and `>(…)`: a file's name whose content the commands give or take.
    fn process(&mut self, script: &str, into: bool, source: &str, fields: &mut Fields, context: &Context) {
        let before = self.commands();
        let value = self.substitute(script, context);
        fields.unknown(source);
        if into {
            self.taking.extend(before..self.commands());
        } else {
            fields.current.from.extend(value.from);
            if !value.dynamic {
                self.given = Some(value.text);
            }
        }
    }
}

/// The end of the character that begins at `at`.
fn char_end(text: &str, at: usize) -> usize {
    let mut end = at + 1;
    while end < text.len() && !text.is_char_boundary(end) {
        end += 1;
    }
    end.min(text.len())
}

/// The end of the run of plain text that begins at `at`; at least one character.
fn plain_end(text: &str, at: usize, quoted: bool) -> usize {
    let first = char_end(text, at);
    let stops: &[u8] = if quoted { b"\\$`" } else { b"\\'\"$`<>" };
    let rest = text.as_bytes().get(first..).unwrap_or_default();
    rest.iter().position(|byte| stops.contains(byte)).map_or(text.len(), |offset| first + offset)
}
