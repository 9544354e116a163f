//! Texts that rules change: literal pairs, then regular expressions, each in order.

use std::borrow::Cow;

use regex::Regex;

/// How a text is changed.
#[derive(Debug)]
pub(super) struct TextEdit {
    pub(super) literal: Vec<(String, String)>,
    pub(super) regex: Vec<(Regex, String)>,
}

impl TextEdit {
    /// The longest text that replacing may make of one.
    const LONGEST: usize = 16 << 20;

    /// The text as it becomes; `None` where it stays. The error says that it would become too long.
    pub(super) fn apply(&self, text: &str) -> Result<Option<String>, String> {
        let mut now = Cow::Borrowed(text);
        for (from, to) in &self.literal {
            if now.contains(from.as_str()) {
                now = Cow::Owned(now.replace(from.as_str(), to));
            }
            Self::bounded(&now)?;
        }
        for (pattern, to) in &self.regex {
            if let Cow::Owned(new) = pattern.replace_all(&now, to.as_str()) {
                now = Cow::Owned(new);
            }
            Self::bounded(&now)?;
        }
        Ok((*now != *text).then(|| now.into_owned()))
    }

    fn bounded(text: &str) -> Result<(), String> {
        if text.len() > Self::LONGEST { Err("the text would become too long".to_owned()) } else { Ok(()) }
    }
}
