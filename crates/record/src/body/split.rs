//! Where a request body can be cut: a scanner that finds members and messages and judges nothing else.
//!
//! It need not tell valid JSON from invalid: the parts always add up to the body, and what it cannot read is one part.

use std::ops::Range;

use luthien_wire::Dialect;
use memchr::memchr2;

/// Top-level members above this many bytes are contents of their own.
const LARGE: usize = 512;

/// More messages than this are one content: a chain of millions of tiny nodes would cost more than it saves.
const MOST_MESSAGES: usize = 10_000;

type Spans = Vec<Range<usize>>;

/// A part of a body.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    /// Kept in the manifest.
    Inline(Range<usize>),
    /// Kept by its hash.
    Content(Range<usize>),
    /// Messages, each with the separator before it: kept as a chain.
    Messages(Vec<Range<usize>>),
}

/// A body's parts, in order, and what the scanner saw on the way.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// They cover the body exactly.
    pub(crate) parts: Vec<Part>,
    /// The token limit, where it is a plain number.
    pub(crate) max_tokens: Option<u64>,
    /// There are tools.
    pub(crate) tools: bool,
    /// Where `system` (Responses: `instructions`) stands.
    pub(crate) system: Option<Range<usize>>,
    /// Responses: an `input` that is one string.
    pub(crate) text: Option<Range<usize>>,
    /// The messages, each without its separator.
    pub(crate) messages: Vec<Range<usize>>,
}

/// Cuts `body`, a request in this dialect.
pub(crate) fn split(dialect: Dialect, body: &[u8]) -> Outline {
    scan(&Keys::of(dialect), body).unwrap_or_else(|| {
        let whole = 0..body.len();
        let part = if body.len() > LARGE { Part::Content(whole) } else { Part::Inline(whole) };
        Outline { parts: vec![part], ..Outline::default() }
    })
}

/// Where a dialect has its messages and its instructions.
struct Keys {
    messages: &'static [u8],
    system: &'static [u8],
}

impl Keys {
    fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages | Dialect::Chat => Self { messages: b"messages", system: b"system" },
            Dialect::Responses => Self { messages: b"input", system: b"instructions" },
        }
    }
}

fn scan(keys: &Keys, body: &[u8]) -> Option<Outline> {
    let mut out = Outline::default();
    let mut kept = 0;
    let mut at = expect(body, space(body, 0), b'{')?;
    loop {
        at = space(body, at);
        if body.get(at) == Some(&b'}') {
            at += 1;
            break;
        }
        let key_end = string(body, at)?;
        let key = &body[at + 1..key_end - 1];
        let start = space(body, expect(body, space(body, key_end), b':')?);
        let end = value(body, start)?;
        member(&mut out, body, keys, key, start..end, &mut kept);
        at = space(body, end);
        match body.get(at)? {
            b',' => at += 1,
            b'}' => {
                at += 1;
                break;
            }
            _ => return None,
        }
    }
    if space(body, at) != body.len() {
        return None;
    }
    push_inline(&mut out, kept..body.len());
    Some(out)
}

/// Takes note of one member; `kept` is the end of what has a part already.
fn member(out: &mut Outline, body: &[u8], keys: &Keys, key: &[u8], span: Range<usize>, kept: &mut usize) {
    let text = &body[span.clone()];
    match key {
        key if key == keys.messages && out.messages.is_empty() => {
            if text.starts_with(b"\"") {
                out.text = Some(span.clone());
            } else if let Some((spans, slices)) = messages(body, &span) {
                out.messages = spans;
                if let (Some(first), Some(last)) = (slices.first(), slices.last()) {
                    push_inline(out, *kept..first.start);
                    *kept = last.end;
                    out.parts.push(Part::Messages(slices));
                    return;
                }
            }
        }
        b"max_tokens" | b"max_completion_tokens" | b"max_output_tokens" => {
            out.max_tokens = std::str::from_utf8(text).ok().and_then(|number| number.parse().ok());
        }
        b"tools" => out.tools = text.iter().any(|byte| !byte.is_ascii_whitespace() && !b"[]null".contains(byte)),
        key if key == keys.system => out.system = Some(span.clone()),
        _ => {}
    }
    if span.len() > LARGE {
        push_inline(out, *kept..span.start);
        *kept = span.end;
        out.parts.push(Part::Content(span));
    }
}

fn push_inline(out: &mut Outline, span: Range<usize>) {
    if !span.is_empty() {
        out.parts.push(Part::Inline(span));
    }
}

/// The elements of the array at `span`: bare, and with what stands between them and the element before.
fn messages(body: &[u8], span: &Range<usize>) -> Option<(Spans, Spans)> {
    let mut at = expect(body, span.start, b'[')?;
    let (mut bare, mut slices) = (Vec::new(), Vec::new());
    let mut before = at;
    loop {
        let start = space(body, at);
        if body.get(start) == Some(&b']') {
            break;
        }
        let end = value(body, start)?;
        bare.push(start..end);
        slices.push(before..end);
        before = end;
        at = space(body, end);
        match body.get(at)? {
            b',' => at += 1,
            b']' => break,
            _ => return None,
        }
    }
    (bare.len() <= MOST_MESSAGES).then_some((bare, slices))
}

/// The end of the white space at `at`.
pub(super) fn space(body: &[u8], mut at: usize) -> usize {
    while matches!(body.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

fn expect(body: &[u8], at: usize, byte: u8) -> Option<usize> {
    (*body.get(at)? == byte).then_some(at + 1)
}

/// The end of the string that begins at `at`.
fn string(body: &[u8], at: usize) -> Option<usize> {
    let mut at = expect(body, at, b'"')?;
    loop {
        at += memchr2(b'"', b'\\', body.get(at..)?)?;
        if body[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The end of the value that begins at `at`: brackets are counted, not matched.
pub(super) fn value(body: &[u8], at: usize) -> Option<usize> {
    match body.get(at)? {
        b'"' => string(body, at),
        b'{' | b'[' => nested(body, at),
        b',' | b'}' | b']' | b':' => None,
        _ => {
            let plain = |byte: &u8| {
                !matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'{' | b'[' | b':')
            };
            Some(at + body[at..].iter().take_while(|byte| plain(byte)).count())
        }
    }
}

fn nested(body: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match body.get(at)? {
            b'"' => at = string(body, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}
