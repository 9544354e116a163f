//! What goes from one command to the next.

use crate::{analysis::Word, limits};

/// What a command writes to its standard output, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
    /// The text, where all of it is known.
    pub(crate) text: Option<String>,
    /// What its lines are like, where that is known: the paths that `find` prints.
    pub(crate) words: Option<Vec<Word>>,
    /// The commands that write it.
    pub(crate) from: Vec<usize>,
}

impl Flow {
    /// No output.
    pub(crate) fn nothing() -> Self {
        Self { text: Some(String::new()), ..Self::default() }
    }

    /// Output that is known.
    pub(crate) fn known(text: &str, from: Vec<usize>) -> Self {
        Self { text: (text.len() <= limits::VALUE).then(|| text.to_owned()), words: None, from }
    }

    /// Output of which only the writers are known.
    pub(crate) fn unknown(from: Vec<usize>) -> Self {
        Self { text: None, words: None, from }
    }

    /// This output and what comes after it.
    pub(crate) fn then(mut self, next: Self) -> Self {
        let empty = self.text.as_deref() == Some("");
        self.words = match (self.words, next.words) {
            (Some(mut before), Some(after)) => {
                before.extend(after);
                Some(before)
            }
            (before, None) => before.filter(|_| next.text.as_deref() == Some("")),
            (None, after) => after.filter(|_| empty),
        };
        self.text = match (self.text, next.text) {
            (Some(before), Some(after)) => Some(before + &after).filter(|text| text.len() <= limits::VALUE),
            _ => None,
        };
        self.from.extend(next.from);
        self
    }

    /// This output, or where this one fails the other.
    pub(crate) fn or(self, other: Self) -> Self {
        let from = [self.from.clone(), other.from.clone()].concat();
        let known = |flow: &Self| flow.text.as_deref().is_some_and(|text| !text.is_empty());
        let one = match (known(&self), known(&other)) {
            (true, _) => self,
            (false, true) => other,
            (false, false) => Self::default(),
        };
        Self { from, ..one }
    }

    /// The output as a word, as `$(…)` gives it.
    pub(crate) fn word(self) -> Word {
        let from = self.from;
        match (self.text, self.words) {
            (Some(text), _) => Word { from, ..Word::fixed(text.trim_end_matches('\n')) },
            (None, Some(words)) => {
                let dynamic = words.iter().any(|word| word.dynamic);
                let text = words.into_iter().map(|word| word.text).collect::<Vec<_>>().join(" ");
                Word { from, glob: true, dynamic, ..Word::fixed(text) }
            }
            (None, None) => Word { dynamic: true, from, ..Word::default() },
        }
    }

    /// The output divided at blanks, as `xargs` and `for` take it.
    /// One more than is followed where there are too many.
    pub(crate) fn divided(&self) -> Vec<Word> {
        if let Some(words) = &self.words {
            return words.iter().map(|word| Word { from: self.from.clone(), ..word.clone() }).collect();
        }
        match &self.text {
            Some(text) => text
                .split(|c: char| c.is_ascii_whitespace() || c == '\0')
                .filter(|part| !part.is_empty())
                .map(|part| Word { from: self.from.clone(), ..Word::fixed(part) })
                .collect(),
            None => vec![Word { dynamic: true, from: self.from.clone(), ..Word::default() }],
        }
    }
}
