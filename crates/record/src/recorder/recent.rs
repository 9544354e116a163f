//! The last request of each caller: the next one mostly begins with the same bytes, and comparing is far cheaper than hashing.

use std::num::NonZeroUsize;
use std::ops::Range;

use bytes::Bytes;
use lru::LruCache;

use crate::body::Hash;

/// How many callers are remembered.
const CALLERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// How many bytes are held for them.
const BYTES: usize = 32 << 20;

/// Bytes that are compared at once.
const STEP: usize = 4096;

/// What was made of a request.
#[derive(Debug)]
pub(super) struct Recent {
    body: Bytes,
    contents: Vec<(Range<usize>, Hash)>,
    /// Where the messages begin.
    begin: usize,
    nodes: Vec<Link>,
    /// So many of the messages are found by their words.
    found: usize,
}

/// A message's node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Where the message ends, from the first one's beginning.
    pub(super) end: usize,
    pub(super) node: Hash,
    pub(super) identity: Hash,
}

impl Recent {
    pub(super) fn new(body: Bytes) -> Self {
        Self { body, contents: Vec::new(), begin: 0, nodes: Vec::new(), found: 0 }
    }

    pub(super) fn add_content(&mut self, span: Range<usize>, hash: Hash) {
        self.contents.push((span, hash));
    }

    pub(super) fn set_messages(&mut self, begin: usize, nodes: Vec<Link>) {
        self.begin = begin;
        self.nodes = nodes;
    }

    /// So many of the messages are found by their words.
    pub(super) fn found(&self) -> usize {
        self.found
    }

    pub(super) fn set_found(&mut self, count: usize) {
        self.found = count;
    }

    /// Bytes in memory.
    fn size(&self) -> usize {
        self.body.len() + size_of_val(&*self.contents) + size_of_val(&*self.nodes)
    }

    /// The hash of a content that this request had too.
    pub(super) fn content(&self, bytes: &[u8]) -> Option<Hash> {
        let same = |span: &Range<usize>| span.len() == bytes.len() && self.body[span.clone()] == *bytes;
        self.contents.iter().find(|(span, _)| same(span)).map(|(_, hash)| *hash)
    }

    /// With how many messages both requests begin, whatever their cache marks.
    pub(super) fn alike(&self, links: &[Link]) -> usize {
        self.nodes.iter().zip(links).take_while(|(one, other)| one.identity == other.identity).count()
    }

    /// The nodes of the messages with which both requests begin. `slices` are the other's messages, one after the other.
    pub(super) fn shared(&self, body: &[u8], slices: &[Range<usize>]) -> &[Link] {
        let (Some(first), Some(last)) = (slices.first(), slices.last()) else { return &[] };
        let same = common(&self.body[self.begin..], &body[first.start..last.end]);
        let mut count = self.nodes.partition_point(|link| link.end <= same).min(slices.len());
        // A message may go on where the earlier one ended.
        while count > 0 && slices[count - 1].end - first.start != self.nodes[count - 1].end {
            count -= 1;
        }
        &self.nodes[..count]
    }
}

/// How many bytes both begin with.
fn common(one: &[u8], other: &[u8]) -> usize {
    let steps = one.chunks(STEP).zip(other.chunks(STEP)).take_while(|(a, b)| a == b).count();
    let from = (steps * STEP).min(one.len()).min(other.len());
    from + one[from..].iter().zip(&other[from..]).take_while(|(a, b)| a == b).count()
}

/// The last request by caller.
#[derive(Debug)]
pub(super) struct Recents {
    callers: LruCache<u64, Recent>,
    bytes: usize,
}

impl Recents {
    pub(super) fn new() -> Self {
        Self { callers: LruCache::new(CALLERS), bytes: 0 }
    }

    pub(super) fn take(&mut self, caller: u64) -> Option<Recent> {
        let found = self.callers.pop(&caller)?;
        self.bytes -= found.size();
        Some(found)
    }

    pub(super) fn put(&mut self, caller: u64, recent: Recent) {
        self.bytes += recent.size();
        if let Some((_, old)) = self.callers.push(caller, recent) {
            self.bytes -= old.size();
        }
        while self.bytes > BYTES
            && let Some((_, old)) = self.callers.pop_lru()
        {
            self.bytes -= old.size();
        }
    }

    pub(super) fn clear(&mut self) {
        self.callers.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(end: usize) -> Link {
        Link { end, node: [u8::try_from(end).expect("small"); 32], identity: [0; 32] }
    }

    #[test]
    fn only_whole_messages_are_shared() {
        let mut recent = Recent::new("[1,22,33]".into());
        recent.set_messages(1, vec![link(1), link(4), link(7)]);
        let ends = |body: &str, slices: &[Range<usize>]| {
            recent.shared(body.as_bytes(), slices).iter().map(|l| l.end).collect::<Vec<_>>()
        };
        assert_eq!(ends("xx[1,22,33,4]", &[3..4, 4..7, 7..10, 10..12]), [1, 4, 7]);
        assert_eq!(ends("[1,22,34]", &[1..2, 2..5, 5..8]), [1, 4]);
        assert_eq!(ends("[1,22,333]", &[1..2, 2..5, 5..9]), [1, 4]);
        assert_eq!(ends("[1,2]", &[1..2, 2..4]), [1]);
        assert_eq!(ends("[2,22]", &[1..2, 2..5]), Vec::<usize>::new());
    }

    #[test]
    fn long_beginnings_are_counted_exactly() {
        for length in [0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP] {
            let one = vec![b'a'; length];
            let other = [&one[..], b"b"].concat();
            assert_eq!(common(&one, &other), length);
            assert_eq!(common(&other, &[&one[..], b"c"].concat()), length);
        }
    }

    #[test]
    fn what_is_held_is_bounded_with_all_that_is_known_of_it() {
        let mut recents = Recents::new();
        for caller in 0..64 {
            let mut recent = Recent::new(vec![b'x'; 1 << 20].into());
            recent.set_messages(0, vec![link(1); 10_000]);
            recents.put(caller, recent);
        }
        let held: usize = recents.callers.iter().map(|(_, recent)| recent.size()).sum();
        assert_eq!(recents.bytes, held);
        assert!(held <= BYTES && recents.callers.len() < 32);
        recents.clear();
        assert_eq!(recents.bytes, 0);
    }
}
