//! Texts as words: lower case, letters and digits only, the same for both databases.

/// Longer words are cut to so many characters.
const LONGEST_WORD: usize = 64;

/// A run of characters of encodings that is longer than this is encoded data and has no words.
const LONGEST_RUN: usize = 256;

/// A part has at most so many words.
const PART_WORDS: usize = 16_000;

/// And at most so many bytes: PostgreSQL holds 1 MB in one value.
const PART_BYTES: usize = 200 * 1024;

/// The words of `text`, joined by single spaces, in parts that either database can index: at most 16 000 words and 200 KiB
/// each, at most [`super::MOST`] bytes in all. Empty where there are no words.
///
/// A word is a longest run of letters and digits, in lower case, cut to its first 64 characters. Characters of scripts that
/// put no spaces between words are a word each. Runs of more than 256 characters as encodings have them are left out.
pub(crate) fn parts(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut part = String::new();
    let (mut words, mut bytes) = (0, 0);
    each(text, |word| {
        let room = bytes + word.len() < super::MOST;
        bytes += word.len() + 1;
        if !room {
            return false;
        }
        if words == PART_WORDS || part.len() + word.len() >= PART_BYTES {
            out.push(std::mem::take(&mut part));
            words = 0;
        }
        if !part.is_empty() {
            part.push(' ');
        }
        part.push_str(word);
        words += 1;
        true
    });
    if !part.is_empty() {
        out.push(part);
    }
    out
}

/// The words of a query's term, in order.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    each(text, |word| {
        out.push(word.to_owned());
        true
    });
    out
}

/// Calls `take` with each word until it says no.
fn each(text: &str, mut take: impl FnMut(&str) -> bool) {
    let mut word = Word::default();
    for (run, encoded) in runs(text) {
        if encoded {
            // What stands before it ends there.
            if !word.end(&mut take) {
                return;
            }
            continue;
        }
        for c in run.chars() {
            if !c.is_alphanumeric() {
                if !word.end(&mut take) {
                    return;
                }
            } else if alone(c) {
                if !word.end(&mut take) {
                    return;
                }
                word.push(c);
                if !word.end(&mut take) {
                    return;
                }
            } else {
                word.push(c);
            }
        }
    }
    word.end(&mut take);
}

/// The word at hand.
#[derive(Default)]
struct Word {
    text: String,
    characters: usize,
}

impl Word {
    fn push(&mut self, c: char) {
        for low in c.to_lowercase().filter(|low| low.is_alphanumeric()) {
            if self.characters < LONGEST_WORD {
                // The sigma at a word's end is the same letter.
                self.text.push(if low == 'ς' { 'σ' } else { low });
                self.characters += 1;
            }
        }
    }

    fn end(&mut self, take: &mut impl FnMut(&str) -> bool) -> bool {
        let more = self.text.is_empty() || take(&self.text);
        self.text.clear();
        self.characters = 0;
        more
    }
}

/// The text cut into stretches, those of encoded data marked.
fn runs(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (at, length) = first_encoded(rest.as_bytes());
        let end = if at == 0 { length } else { at };
        let (run, after) = rest.split_at(end);
        rest = after;
        Some((run, at == 0 && length > 0))
    })
}

/// Where the first run of encoded data begins, and its length; the text's length and 0 where there is none.
fn first_encoded(text: &[u8]) -> (usize, usize) {
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        if !in_encodings(*byte) {
            if at - start > LONGEST_RUN {
                return (start, at - start);
            }
            start = at + 1;
        }
    }
    if text.len() - start > LONGEST_RUN { (start, text.len() - start) } else { (text.len(), 0) }
}

/// The characters of base64 in its forms, and of hexadecimal digits.
fn in_encodings(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

/// Characters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana and ideographs.
fn alone(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests;
