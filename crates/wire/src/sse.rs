//! Server-sent events: cuts bytes into frames and keeps each frame's bytes.
//!
//! Accepts what the standard accepts (LF, CR, CRLF, a BOM, comments, several `data:` lines, no space after the colon) and
//! gives the same events for every division of the input into chunks. The frames' raw bytes, put together, are the input.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// What some put in front of a text. It belongs to none of the lines.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event, or a stretch of comments, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes as they came, the closing blank line included.
    pub raw: Bytes,
    /// The value of the last `event:` line, empty if there is none.
    pub event: Bytes,
    /// The `data:` lines, joined by LF; `None` for a frame without any (comments, `id:`, `retry:`).
    pub data: Option<Bytes>,
}

impl Frame {
    /// A frame in this gateway's own hand: an `event:` line unless `event` is empty, a `data:` line for each line of
    /// `data`, a blank line.
    pub fn write(event: &str, data: &str) -> Bytes {
        let mut out = BytesMut::with_capacity(event.len() + data.len() + 18);
        if !event.is_empty() {
            out.extend_from_slice(b"event: ");
            out.extend_from_slice(event.as_bytes());
            out.extend_from_slice(b"\n");
        }
        // Data that came on several lines goes out on several.
        let mut rest = data;
        while let Some((line, more)) = rest.split_once('\n') {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\n");
            rest = more;
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(rest.as_bytes());
        out.extend_from_slice(b"\n\n");
        out.freeze()
    }

    /// It has no data, and nothing else that could be meant as such: only comments and the standard's other fields.
    pub(crate) fn is_silent(&self) -> bool {
        let silent = |line: &[u8]| {
            let name = memchr::memchr(b':', line).map_or(line, |colon| &line[..colon]);
            matches!(name, b"" | b"event" | b"id" | b"retry")
        };
        let raw = self.raw.strip_prefix(BOM).unwrap_or(&self.raw);
        self.data.is_none() && raw.split(|byte| matches!(byte, b'\n' | b'\r')).all(silent)
    }
}

/// An event larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {limit} bytes")]
pub struct Oversized {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Cuts a stream into frames. Holds at most one unfinished frame.
#[derive(Debug)]
pub struct Splitter {
    buf: BytesMut,
    /// Start of the line being scanned, and how far it has been scanned.
    line: usize,
    scanned: usize,
    /// A CR ended the last line; a LF that follows belongs to it.
    after_cr: bool,
    /// The frame has a line that is not blank.
    has_line: bool,
    /// What the frame's lines have said so far.
    fields: Fields,
    started: bool,
    limit: usize,
}

/// Where the values of a frame's fields stand, for frames of the usual form: one `data:` line.
#[derive(Clone, Debug, Default)]
struct Fields {
    event: Range<usize>,
    data: Option<Range<usize>>,
    /// The frame has another form, and is to be read anew.
    unusual: bool,
}

impl Splitter {
    /// A splitter that refuses events of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            buf: BytesMut::new(),
            line: 0,
            scanned: 0,
            after_cr: false,
            has_line: false,
            fields: Fields::default(),
            started: false,
            limit,
        }
    }

    /// Adds bytes as they came from the wire.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buf.extend_from_slice(chunk);
    }

    /// The bytes of the unfinished frame.
    pub fn pending(&self) -> &[u8] {
        &self.buf
    }

    /// Takes what is left at the end of the stream as a frame, as if its blank line had come.
    pub fn finish(&mut self) -> Option<Frame> {
        let raw = self.buf.split().freeze();
        self.line = 0;
        self.scanned = 0;
        self.fields = Fields::default();
        (!raw.is_empty()).then(|| parse(raw))
    }

    /// The next whole frame, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Oversized> {
        if !self.started && !self.buf.is_empty() {
            if self.buf.len() < BOM.len() && BOM.starts_with(&self.buf) {
                return Ok(None);
            }
            if self.buf.starts_with(BOM) {
                self.line = BOM.len();
                self.scanned = BOM.len();
            }
            self.started = true;
        }
        loop {
            if self.after_cr && self.scanned < self.buf.len() {
                self.after_cr = false;
                if self.buf[self.scanned] == b'\n' {
                    self.scanned += 1;
                    self.line = self.scanned;
                }
            }
            let Some(found) = memchr2(b'\n', b'\r', &self.buf[self.scanned..]) else {
                self.scanned = self.buf.len();
                if self.buf.len() > self.limit {
                    return Err(Oversized { limit: self.limit });
                }
                return Ok(None);
            };
            let at = self.scanned + found;
            let line = self.line..at;
            let mut next = at + 1;
            if self.buf[at] == b'\r' {
                if self.buf.get(next) == Some(&b'\n') {
                    next += 1;
                } else {
                    self.after_cr = next == self.buf.len();
                }
            }
            self.line = next;
            self.scanned = next;
            if !line.is_empty() {
                self.has_line = true;
                self.fields.add(&self.buf, line);
            } else if self.has_line {
                if next > self.limit {
                    return Err(Oversized { limit: self.limit });
                }
                let raw = self.buf.split_to(next).freeze();
                self.line = 0;
                self.scanned = 0;
                self.has_line = false;
                return Ok(Some(std::mem::take(&mut self.fields).frame(raw)));
            }
        }
    }
}

impl Fields {
    /// Notes what a line says.
    fn add(&mut self, buf: &[u8], line: Range<usize>) {
        let text = &buf[line.clone()];
        // Most lines are one of two, and a search for the colon costs more than to look for these.
        if let Some(value) = text.strip_prefix(b"data:") {
            self.unusual |= self.data.is_some();
            self.data = Some(line.end - trimmed(value).len()..line.end);
        } else if let Some(value) = text.strip_prefix(b"event:") {
            self.event = line.end - trimmed(value).len()..line.end;
        } else {
            self.unusual |= matches!(text, b"data" | b"event") || text.starts_with(BOM);
        }
    }

    fn frame(self, raw: Bytes) -> Frame {
        if self.unusual {
            return parse(raw);
        }
        let event = if self.event.is_empty() { Bytes::new() } else { raw.slice(self.event) };
        let data = self.data.map(|data| raw.slice(data));
        Frame { raw, event, data }
    }
}

/// A field's value: one space behind the colon is no part of it.
fn trimmed(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

/// Reads the fields of one frame, whatever its form.
fn parse(raw: Bytes) -> Frame {
    let mut event = Bytes::new();
    let mut data: Option<Bytes> = None;
    let mut joined: Option<BytesMut> = None;
    let mut at = if raw.starts_with(BOM) { BOM.len() } else { 0 };
    while at < raw.len() {
        let rest = &raw[at..];
        let len = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = at..at + len;
        at += len + 1;
        let text = &raw[line.clone()];
        let colon = memchr::memchr(b':', text);
        let (name, value) = match colon {
            Some(0) => continue,
            Some(colon) => {
                let skip = usize::from(text.get(colon + 1) == Some(&b' '));
                (&text[..colon], line.start + colon + 1 + skip..line.end)
            }
            None => (text, line.end..line.end),
        };
        match name {
            b"event" => event = raw.slice(value),
            b"data" => match (&mut data, &mut joined) {
                (None, _) => data = Some(raw.slice(value)),
                (Some(_), Some(more)) => {
                    more.extend_from_slice(b"\n");
                    more.extend_from_slice(&raw[value]);
                }
                (Some(first), none) => {
                    let mut more = BytesMut::from(&first[..]);
                    more.extend_from_slice(b"\n");
                    more.extend_from_slice(&raw[value]);
                    *none = Some(more);
                }
            },
            _ => {}
        }
    }
    Frame { raw, event, data: joined.map(BytesMut::freeze).or(data) }
}

#[cfg(test)]
mod tests;
