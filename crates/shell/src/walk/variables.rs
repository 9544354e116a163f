//! Variables and positional parameters.

use super::{Context, Walker};
use crate::{
    analysis::{Assignment, Via, Word},
    limits,
};

impl Walker {
    /// The value of a variable, or of a special parameter. Unknown ones are dynamic and have no text.
    pub(crate) fn variable(&mut self, name: &str) -> Word {
        if let Some(values) = self.variables.get(name) {
            self.choices = self.choices.max(values.len());
            let at = self.choice.min(values.len().saturating_sub(1));
            let value = values.get(at).cloned().unwrap_or_default();
            let known = self.work(value.text.len() + 16);
            return if known { value } else { Word { dynamic: true, ..Word::default() } };
        }
        let unknown = || Word { dynamic: true, ..Word::default() };
        let parameters = self.parameters.as_ref().map_or(0, Vec::len);
        if !self.work(16 * (1 + if matches!(name, "@" | "*") { parameters } else { 0 })) {
            return unknown();
        }
        match name {
            "HOME" => Word::fixed("~"),
            "IFS" => Word::fixed(" "),
            "0" if self.zero.is_some() => self.zero.clone().unwrap_or_default(),
            "SHELL" | "BASH" | "0" => Word::fixed("/bin/bash"),
            "PWD" => self.folder.clone().map_or_else(|| Word::fixed("."), Word::fixed),
            "@" | "*" => match &self.parameters {
                Some(words) => joined(words),
                None => unknown(),
            },
            "#" => self.parameters.as_ref().map_or_else(unknown, |words| Word::fixed(words.len().to_string())),
            _ => match (name.parse::<usize>(), &self.parameters) {
                (Ok(number), Some(words)) => {
                    number.checked_sub(1).and_then(|at| words.get(at)).cloned().unwrap_or_default()
                }
                _ => unknown(),
            },
        }
    }

    /// The characters at which values are divided, where the script sets them.
    pub(crate) fn separators(&self) -> Option<String> {
        let value = self.variables.get("IFS")?.last()?;
        (!value.dynamic && !value.text.is_empty()).then(|| value.text.clone())
    }

    /// Sets a variable; where it is not known whether this runs, the value is one more that it may have.
    pub(crate) fn assign(&mut self, name: &str, value: Word, context: &Context) {
        self.hooked(name, &value, context);
        if self.maybe > 0 {
            self.assign_maybe(name, value, context);
        } else {
            self.variables.insert(name.to_owned(), vec![value]);
        }
    }

    /// Follows the values that a program runs.
    pub(super) fn hooked(&mut self, name: &str, value: &Word, context: &Context) {
        const RUN: &[&str] = &[
            "PROMPT_COMMAND",
            "PS4",
            "GIT_SSH_COMMAND",
            "GIT_EDITOR",
            "GIT_PAGER",
            "GIT_SEQUENCE_EDITOR",
            "GIT_EXTERNAL_DIFF",
            "PAGER",
            "MANPAGER",
            "EDITOR",
            "VISUAL",
            "RSYNC_RSH",
        ];
        if RUN.contains(&name) && !value.dynamic {
            self.script(&value.text, &context.inside(Via::Hook));
        }
    }

    pub(super) fn assign_maybe(&mut self, name: &str, value: Word, _: &Context) {
        let values = self.variables.entry(name.to_owned()).or_default();
        if values.contains(&value) {
            return;
        }
        let mut values = std::mem::take(values);
        values.push(value);
        self.at_most(&mut values, limits::LOOP);
        self.variables.insert(name.to_owned(), values);
    }

    /// The values of assignments in front of a command.
    pub(super) fn assignments(&mut self, raw: &[(String, String)], context: &Context) -> Vec<Assignment> {
        let mut out = Vec::with_capacity(raw.len());
        for (name, raw) in raw {
            let value = match raw.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
                Some(items) => joined(&self.array(items, context)),
                None => self.word(raw, context),
            };
            out.push(Assignment { name: name.clone(), value });
        }
        out
    }

    /// The items of `(a b c)`.
    fn array(&mut self, items: &str, context: &Context) -> Vec<Word> {
        let bytes = items.as_bytes();
        let mut raw = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                at += 1;
                continue;
            }
            let end = crate::syntax::scan::word_end(bytes, at).min(bytes.len()).max(at + 1);
            if let Some(word) = items.get(at..end) {
                raw.push(word.to_owned());
            }
            at = end;
        }
        self.words(&raw, context)
    }
}

/// Words as one text.
pub(crate) fn joined(words: &[Word]) -> Word {
    let mut out = Word::default();
    for word in words {
        if !out.text.is_empty() {
            out.text.push(' ');
            out.bare.push(' ');
        }
        out.text.push_str(&word.text);
        out.bare.push_str(&word.bare);
        out.dynamic |= word.dynamic;
        out.glob |= word.glob;
        out.from.extend(&word.from);
    }
    out
}

/// Pieces of code, one on each line.
pub(crate) fn joined_lines(words: &[Word]) -> Word {
    let mut out = joined(words);
    out.text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join("\n");
    out
}
