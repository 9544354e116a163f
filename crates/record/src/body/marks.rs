//! Cache marks: agents move them along their history, so that a message comes with one and then without. They are kept
//! apart, and both forms share their content.

use memchr::memmem::find_iter;

use super::pack::{put_number, take_number};
use super::split::{space, value};

/// A message without its marks, and the marks: each its place in what is left, its length and its bytes.
#[derive(Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) rest: Vec<u8>,
    pub(crate) marks: Vec<u8>,
}

const MARK: &[u8] = b"\"cache_control\"";

/// Takes the marks out; `None` if there are none.
pub(crate) fn cut(message: &[u8]) -> Option<Cut> {
    let mut out = Cut { rest: Vec::new(), marks: Vec::new() };
    let mut kept = 0;
    for key in find_iter(message, MARK) {
        let before = message[..key].trim_ascii_end();
        let colon = space(message, key + MARK.len());
        if key < kept || before.last() != Some(&b',') || message.get(colon) != Some(&b':') {
            continue;
        }
        let Some(end) = value(message, space(message, colon + 1)) else { continue };
        let start = before[..before.len() - 1].trim_ascii_end().len();
        if start < kept {
            continue;
        }
        out.rest.extend_from_slice(&message[kept..start]);
        put_number(&mut out.marks, out.rest.len() as u64);
        put_number(&mut out.marks, (end - start) as u64);
        out.marks.extend_from_slice(&message[start..end]);
        kept = end;
    }
    out.rest.extend_from_slice(&message[kept..]);
    (kept > 0).then_some(out)
}

/// Puts the marks back; `None` if they are damaged.
pub(crate) fn put_back(rest: &[u8], mut marks: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rest.len() + marks.len());
    let mut at = 0;
    while !marks.is_empty() {
        let place = usize::try_from(take_number(&mut marks)?).ok()?;
        let length = usize::try_from(take_number(&mut marks)?).ok()?;
        let (mark, left) = marks.split_at_checked(length)?;
        out.extend_from_slice(rest.get(at..place)?);
        out.extend_from_slice(mark);
        (at, marks) = (place, left);
    }
    out.extend_from_slice(rest.get(at..)?);
    Some(out)
}
