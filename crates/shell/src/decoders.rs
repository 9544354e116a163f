//! What commands print that only change text: `echo`, `base64 -d`, `rev`, `tr`…

use std::collections::{HashMap, HashSet};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{analysis::Word, flow::Flow, limits, words::unescape};

/// Lenient, as the tools are: padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a command turns text that cannot be read into text that can.
pub(crate) fn decodes(name: &str) -> bool {
    matches!(
        name,
        "base64"
            | "b64decode"
            | "gbase64"
            | "base32"
            | "xxd"
            | "rev"
            | "tr"
            | "openssl"
            | "uudecode"
            | "od"
            | "gunzip"
            | "zcat"
            | "printf"
    )
}

/// What a command prints. `None` where that is not known.
pub(crate) fn output(name: &str, arguments: &[Word], input: &Flow) -> Option<Flow> {
    let text = input.text.as_deref();
    let has = |option: &str| arguments.iter().any(|word| word.text == option);
    let operands = || arguments.iter().filter(|word| !word.text.starts_with('-') || word.text == "-");
    let known = |text: String| Some(Flow::known(&text, Vec::new()));
    match name {
        "true" | ":" | "cd" | "rm" | "mkdir" | "touch" | "chmod" | "mv" | "cp" | "ln" | "export" | "unset"
        | "sleep" | "wait" | "exit" | "return" | "set" | "shift" => Some(Flow::nothing()),
        "echo" => echo(arguments),
        "printf" => printf(arguments),
        "cat" | "tee" | "head" | "tail" | "sort" | "uniq" | "grep" | "egrep" | "fgrep" | "sponge" | "pv" | "iconv" => {
            let plain = match name {
                "cat" => operands().all(|word| word.text == "-"),
                "head" | "tail" => operands().all(|word| word.text.bytes().all(|byte| byte.is_ascii_digit())),
                _ => true,
            };
            // Which of the lines these choose does not matter: all of them may be run.
            plain.then(|| Flow { text: input.text.clone(), words: input.words.clone(), from: Vec::new() })
        }
        "base64" | "gbase64" if has("-d") || has("-D") || has("--decode") || has("-di") => known(base64(text?)?),
        "b64decode" => known(base64(text?)?),
        "b64encode" | "base64" | "gbase64" => known(BASE64.encode(text?) + "\n"),
        "openssl" if has("-d") && (has("base64") || has("-base64") || has("-a")) => known(base64(text?)?),
        "xxd" if arguments.iter().any(|word| word.text.starts_with('-') && word.text.contains('r')) => {
            known(hex(text?))
        }
        "xxd" if arguments.iter().any(|word| word.text.starts_with("-p")) => known(
            text?
                .bytes()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .filter_map(|digit| char::from_digit(u32::from(digit), 16))
                .chain(['\n'])
                .collect(),
        ),
        "rev" => known(text?.lines().map(|line| line.chars().rev().collect::<String>() + "\n").collect()),
        "tac" => known(text?.lines().rev().map(|line| line.to_owned() + "\n").collect()),
        "tr" => known(tr(text?, arguments)?),
        "sed" => known(sed(text?, arguments)?),
        "cut" | "awk" if text.is_some() => None,
        "basename" => known(crate::paths::basename(&fixed(arguments.first()?)?).to_owned() + "\n"),
        "dirname" => {
            let path = fixed(arguments.first()?)?;
            known(
                path.trim_end_matches('/')
                    .rsplit_once('/')
                    .map_or(".", |(folder, _)| if folder.is_empty() { "/" } else { folder })
                    .to_owned()
                    + "\n",
            )
        }
        "which" | "command" => known(fixed(arguments.iter().find(|word| !word.text.starts_with('-'))?)? + "\n"),
        "pwd" => known(".\n".to_owned()),
        "ls" => {
            let mut words: Vec<Word> = operands().map(|word| Word { glob: true, ..word.clone() }).collect();
            if words.is_empty() {
                words.push(Word { glob: true, ..Word::fixed("*") });
            }
            Some(Flow { text: None, words: Some(words), from: Vec::new() })
        }
        _ => None,
    }
}

fn fixed(word: &Word) -> Option<String> {
    (!word.dynamic).then(|| word.text.clone())
}

/// The text of words that are all known, or their shape where some are not.
fn text_of(words: &[Word], finish: impl Fn(&str) -> String) -> Flow {
    let from: Vec<usize> = words.iter().flat_map(|word| word.from.iter().copied()).collect();
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    if words.iter().any(|word| word.dynamic) {
        return Flow::unknown(from);
    }
    Flow::known(&finish(&text), from)
}

fn echo(arguments: &[Word]) -> Option<Flow> {
    let is_option = |word: &&Word| {
        word.text.len() > 1
            && word.text.starts_with('-')
            && word.text.bytes().skip(1).all(|byte| b"neE".contains(&byte))
    };
    let options = arguments.iter().take_while(is_option).count();
    let (options, words) = arguments.split_at_checked(options)?;
    let escapes = options.iter().any(|word| word.text.contains('e'));
    let newline = !options.iter().any(|word| word.text.contains('n'));
    Some(text_of(words, |text| {
        let text = if escapes { unescape(text) } else { text.to_owned() };
        if newline { text + "\n" } else { text }
    }))
}

fn printf(arguments: &[Word]) -> Option<Flow> {
    let (format, values) = arguments.split_first()?;
    Some(text_of(arguments, |_| {
        let format = unescape(&format.text);
        let mut values = values.iter().map(|word| word.text.as_str());
        let mut out = String::new();
        // The format is used again as long as there are values.
        for _ in 0..=values.len() {
            let before = values.len();
            formatted(&format, &mut values, &mut out);
            if values.len() == 0 || values.len() == before || out.len() > limits::VALUE {
                break;
            }
        }
        out
    }))
}

fn formatted<'a>(format: &str, values: &mut impl Iterator<Item = &'a str>, out: &mut String) {
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        while chars.next_if(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | ' ' | '#' | '.' | '*')).is_some() {}
        match chars.next() {
            Some('%') => out.push('%'),
            Some('b') => out.push_str(&unescape(values.next().unwrap_or_default())),
            Some('c') => out.extend(values.next().unwrap_or_default().chars().next()),
            Some('x') => out
                .extend(values.next().and_then(|value| value.parse::<i64>().ok()).map(|number| format!("{number:x}"))),
            Some(_) => out.push_str(values.next().unwrap_or_default()),
            None => {}
        }
    }
}

fn base64(text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64.decode(compact).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(text: &str) -> String {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok()).collect();
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tr(text: &str, arguments: &[Word]) -> Option<String> {
    let deletes = arguments.iter().any(|word| word.text == "-d");
    let mut sets = arguments.iter().filter(|word| !word.text.starts_with('-') || word.text.len() == 1);
    let from = set(&fixed(sets.next()?)?);
    if deletes {
        let from: HashSet<char> = from.into_iter().collect();
        return Some(text.chars().filter(|c| !from.contains(c)).collect());
    }
    let to = set(&fixed(sets.next()?)?);
    let last = *to.last()?;
    let mut table = HashMap::new();
    for (at, c) in from.into_iter().enumerate() {
        table.entry(c).or_insert_with(|| to.get(at).copied().unwrap_or(last));
    }
    Some(text.chars().map(|c| table.get(&c).copied().unwrap_or(c)).collect())
}

/// The characters of a set: `a-z`, `[:upper:]`, escapes.
fn set(text: &str) -> Vec<char> {
    let text = text
        .replace("[:upper:]", "A-Z")
        .replace("[:lower:]", "a-z")
        .replace("[:digit:]", "0-9")
        .replace("[:space:]", " \\t\\n");
    let chars: Vec<char> = unescape(&text).chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(&end)) if c <= end => {
                out.extend((c..=end).take(256));
                at += 3;
            }
            _ => {
                out.push(c);
                at += 1;
            }
        }
        if out.len() > 1024 {
            break;
        }
    }
    out
}

/// `s/from/to/`, where `from` is plain text.
fn sed(text: &str, arguments: &[Word]) -> Option<String> {
    let script = fixed(arguments.iter().find(|word| !word.text.starts_with('-'))?)?;
    let rest = script.strip_prefix('s')?;
    let mark = rest.chars().next()?;
    let mut parts = rest.get(mark.len_utf8()..)?.split(mark);
    let (from, to, flags) = (parts.next()?, parts.next()?, parts.next()?);
    if from.is_empty() || from.contains(['*', '.', '[', '\\', '^', '$']) || to.contains(['\\', '&']) {
        return None;
    }
    if text.matches(from).count().saturating_mul(to.len()) > limits::VALUE {
        return None;
    }
    let replaced: Vec<String> = text
        .lines()
        .map(|line| if flags.contains('g') { line.replace(from, to) } else { line.replacen(from, to, 1) })
        .collect();
    Some(replaced.join("\n") + "\n")
}
