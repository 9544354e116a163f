//! Cuts a text into blocks of Messages, whose citations stand for the whole of their block.

use serde_json::{Value, json};

use crate::convert::citation::{Citation, characters};

/// A stretch of the text, in characters, with the sources that it names.
struct Stretch<'a> {
    start: u64,
    end: u64,
    sources: Vec<&'a Citation>,
}

/// The blocks of a text: one for each stretch that sources stand for, and what lies between them. Sources that overlap share
/// a block.
pub(in crate::convert) fn blocks(text: &str, sources: &[Citation]) -> Vec<Value> {
    let mut stretches = cited(characters(text), sources);
    let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    places.push(text.len());
    let place = |at: u64| usize::try_from(at).ok().and_then(|at| places.get(at)).copied().unwrap_or(text.len());
    let words = |stretch: &Stretch<'_>| text.get(place(stretch.start)..place(stretch.end)).unwrap_or_default();
    // Blocks of nothing but white space are refused: they are part of the one before, or of the first.
    let mut at = 0;
    while stretches.len() > 1 && at < stretches.len() {
        if words(&stretches[at]).trim().is_empty() {
            let blank = stretches.remove(at);
            let other = &mut stretches[at.saturating_sub(1)];
            other.start = other.start.min(blank.start);
            other.end = other.end.max(blank.end);
            other.sources.extend(blank.sources);
            at = at.saturating_sub(1);
        } else {
            at += 1;
        }
    }
    let block = |stretch: &Stretch<'_>| {
        let mut block = json!({"type": "text", "text": words(stretch)});
        if !stretch.sources.is_empty() {
            block["citations"] = stretch.sources.iter().map(|source| source.as_messages(stretch.start)).collect();
        }
        block
    };
    stretches.iter().map(block).collect()
}

fn cited(length: u64, sources: &[Citation]) -> Vec<Stretch<'_>> {
    let mut sorted: Vec<(u64, u64, &Citation)> = Vec::with_capacity(sources.len());
    sorted.extend(sources.iter().map(|source| {
        let (start, end) = source.span(length);
        (start, end, source)
    }));
    sorted.sort_by_key(|(start, ..)| *start);
    let mut out: Vec<Stretch<'_>> = Vec::new();
    let mut done = 0;
    for (start, end, source) in sorted {
        match out.last_mut().filter(|last| !last.sources.is_empty()) {
            Some(last) if start < last.end || start == last.start => {
                last.end = last.end.max(end);
                last.sources.push(source);
            }
            _ => {
                if done < start {
                    out.push(Stretch { start: done, end: start, sources: Vec::new() });
                }
                out.push(Stretch { start, end, sources: vec![source] });
            }
        }
        done = done.max(end);
    }
    if done < length || out.is_empty() {
        out.push(Stretch { start: done, end: length, sources: Vec::new() });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    type Given<'a> = (&'a str, Option<(u64, u64)>);

    type Case<'a> = (&'a str, &'a [Given<'a>], &'a [(&'a str, &'a str)]);

    fn source((url, range): &Given<'_>) -> Citation {
        let mut annotation = json!({"url": url, "title": ""});
        if let Some((start, end)) = range {
            annotation["start_index"] = (*start).into();
            annotation["end_index"] = (*end).into();
        }
        Citation::of_openai(&annotation).unwrap()
    }

    #[test]
    fn a_text_is_cut_where_sources_begin_and_end() {
        let cases: [Case<'_>; 9] = [
            ("one two", &[], &[("one two", "")]),
            ("one two", &[("a", None)], &[("one two", "a")]),
            ("\u{e9} one two", &[("a", Some((2, 5)))], &[("\u{e9} ", ""), ("one", "a"), (" two", "")]),
            ("one two", &[("a", Some((0, 3))), ("b", Some((0, 3)))], &[("one", "ab"), (" two", "")]),
            ("one two six", &[("b", Some((4, 11))), ("a", Some((0, 6)))], &[("one two six", "ab")]),
            // White space is no block of its own.
            ("a b", &[("x", Some((0, 1))), ("y", Some((2, 3)))], &[("a ", "x"), ("b", "y")]),
            (" a b", &[("x", Some((1, 2)))], &[(" a", "x"), (" b", "")]),
            // Ranges that the text does not have.
            ("one", &[("a", Some((1, 900)))], &[("o", ""), ("ne", "a")]),
            ("one", &[("a", Some((3, 3)))], &[("one", "a")]),
        ];
        for (text, sources, expected) in cases {
            let sources: Vec<Citation> = sources.iter().map(source).collect();
            let told = |block: &Value| {
                let all = block["citations"].as_array().into_iter().flatten();
                let urls: String = all.filter_map(|citation| citation["url"].as_str()).collect();
                (block["text"].as_str().unwrap_or_default().to_owned(), urls)
            };
            let blocks: Vec<_> = blocks(text, &sources).iter().map(told).collect();
            let expected: Vec<_> =
                expected.iter().map(|(text, urls)| ((*text).to_owned(), (*urls).to_owned())).collect();
            assert_eq!(blocks, expected, "{text}");
        }
    }
}
