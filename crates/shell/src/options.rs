//! A command's arguments as options and operands.

use crate::analysis::Word;

/// Arguments divided.
#[derive(Debug, Default)]
pub(crate) struct Arguments<'a> {
    pub(crate) options: Vec<Given<'a>>,
    pub(crate) operands: Vec<&'a Word>,
    /// Where the arguments begin that were not looked at, since enough operands were found.
    pub(crate) rest: usize,
}

/// An option with its value.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// With its dashes.
    pub(crate) name: &'a str,
    pub(crate) value: Option<Value<'a>>,
}

/// An option's value: an argument of its own, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) text: &'a str,
    pub(crate) word: &'a Word,
}

impl Value<'_> {
    /// The value as a word of its own.
    pub(crate) fn part(&self) -> Word {
        if self.text.len() == self.word.text.len() {
            return self.word.clone();
        }
        let bare = if self.word.dynamic {
            self.word.bare.get(self.word.text.len() - self.text.len()..).unwrap_or(self.text)
        } else {
            self.text
        };
        Word { text: self.text.to_owned(), bare: bare.to_owned(), ..self.word.clone() }
    }
}

/// How a command's options are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Options that take the next argument.
    pub(crate) values: [&'a [&'static str]; 2],
    /// Whether `-abc` is one option and not three.
    pub(crate) long: bool,
    /// After how many operands the rest is left alone.
    pub(crate) most: usize,
}

impl Reading<'_> {
    fn takes(&self, name: &str) -> bool {
        self.values.iter().any(|names| names.contains(&name))
    }
}

/// Divides arguments.
pub(crate) fn read<'a>(words: &'a [Word], reading: &Reading<'_>) -> Arguments<'a> {
    let mut out = Arguments { rest: words.len(), ..Arguments::default() };
    let mut at = 0;
    let mut only_operands = false;
    while let Some(word) = words.get(at) {
        let text = word.text.as_str();
        if only_operands || text.len() < 2 || !text.starts_with('-') {
            if out.operands.len() >= reading.most {
                out.rest = at;
                break;
            }
            out.operands.push(word);
        } else if text == "--" {
            if out.operands.len() >= reading.most {
                out.rest = at + 1;
                break;
            }
            out.options.push(Given { name: text, value: None });
            only_operands = true;
        } else {
            at += option(word, words.get(at + 1), reading, &mut out.options);
        }
        at += 1;
    }
    out
}

/// Reads one argument that begins with a dash; gives how many more arguments it took.
fn option<'a>(word: &'a Word, next: Option<&'a Word>, reading: &Reading<'_>, out: &mut Vec<Given<'a>>) -> usize {
    let text = word.text.as_str();
    let whole = |next: Option<&'a Word>| next.map(|word| Value { text: word.text.as_str(), word });
    if let (true, Some((name, value))) = (text.starts_with("--") || reading.long, text.split_once('=')) {
        out.push(Given { name, value: Some(Value { text: value, word }) });
        return 0;
    }
    if reading.takes(text) {
        out.push(Given { name: text, value: whole(next) });
        return 1;
    }
    if text.starts_with("--") || reading.long {
        out.push(Given { name: text, value: None });
        return 0;
    }
    for (at, letter) in text.char_indices().skip(1) {
        let name = short(letter);
        let after = text.get(at + letter.len_utf8()..).unwrap_or_default();
        if reading.takes(name) {
            let value = if after.is_empty() { whole(next) } else { Some(Value { text: after, word }) };
            out.push(Given { name, value });
            return usize::from(after.is_empty());
        }
        if !name.is_empty() {
            out.push(Given { name, value: None });
        }
    }
    // As it stands, too: `-exec`, `-delete`.
    out.push(Given { name: text, value: None });
    0
}

/// `-x` for a letter or digit.
fn short(letter: char) -> &'static str {
    const NAMES: &str = "-a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-z-A-B-C-D-E-F-G-H-I-J-K-L-M-N-O-P-Q-R-S-T-U-V-W-X-Y-Z-0-1-2-3-4-5-6-7-8-9";
    let offset = match letter {
        'a'..='z' => u32::from(letter) - u32::from('a'),
        'A'..='Z' => u32::from(letter) - u32::from('A') + 26,
        '0'..='9' => u32::from(letter) - u32::from('0') + 52,
        _ => return "",
    };
    let at = usize::try_from(offset).unwrap_or_default() * 2;
    NAMES.get(at..at + 2).unwrap_or_default()
}

impl<'a> Arguments<'a> {
    /// Whether an option was given, also shortened as GNU's tools allow.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|given| matches(given.name, name))
    }

    /// The values of an option.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = Value<'a>> {
        self.options.iter().filter(move |given| matches(given.name, name)).filter_map(|given| given.value)
    }
}

fn matches(given: &str, name: &str) -> bool {
    given == name || (given.len() > 4 && given.starts_with("--") && name.starts_with(given))
}
