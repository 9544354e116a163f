//! However an upstream's bytes are divided, and whatever they are, the client gets the same, and never a panic.

use luthien_testkit::accumulate::accumulate;
use luthien_testkit::fixtures::Fixture;
use luthien_testkit::reply::frames;
use luthien_wire::Dialect;
use luthien_wire::convert::{StreamConverter, whole};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{LIMIT, context, converted, pairs, streams};

#[test]
fn every_fixture_byte_by_byte_is_the_fixture_at_once() {
    for (from, to) in pairs() {
        for fixture in streams(from) {
            let (at_once, _) = converted(context(from, to), fixture.bytes, usize::MAX);
            for size in [1, 2, 3, 61] {
                let (divided, _) = converted(context(from, to), fixture.bytes, size);
                assert_eq!(divided, at_once, "{from} {} in {to}, {size} bytes at a time", fixture.name);
            }
        }
    }
}

fn any_pair() -> impl Strategy<Value = (Dialect, Dialect)> {
    proptest::sample::select(pairs().collect::<Vec<_>>())
}

fn a_fixture(from: Dialect, index: Index) -> &'static Fixture {
    let all: Vec<&Fixture> = streams(from).collect();
    all[index.index(all.len())]
}

proptest! {
    #[test]
    fn any_division_gives_the_same((from, to) in any_pair(), index: Index, mut cuts in prop::collection::vec(any::<Index>(), 0..12)) {
        let bytes = a_fixture(from, index).bytes;
        let (at_once, _) = converted(context(from, to), bytes, usize::MAX);
        let mut places: Vec<usize> = cuts.drain(..).map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let mut converter = StreamConverter::new(context(from, to), LIMIT);
        let mut out = Vec::new();
        for pair in places.windows(2) {
            out.extend_from_slice(&converter.push(&bytes[pair[0]..pair[1]]));
        }
        out.extend_from_slice(&converter.finish());
        prop_assert_eq!(out, at_once);
    }

    /// Bytes of a fixture replaced, removed or doubled, and fixtures of another dialect than the one named.
    #[test]
    fn no_stream_is_a_panic_or_a_false_end(
        (from, to) in any_pair(),
        named in proptest::sample::select(Dialect::ALL.to_vec()),
        index: Index,
        edits in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = a_fixture(from, index).bytes.to_vec();
        for (at, to, byte) in edits {
            let (at, to) = (at.index(bytes.len()), to.index(bytes.len()));
            match byte % 3 {
                0 => bytes[at] = byte,
                1 => drop(bytes.drain(at.min(to)..at.max(to))),
                _ => bytes.extend_from_within(at.min(to)..at.max(to)),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        if named != to {
            ends_well_or_not_at_all(named, to, &bytes)?;
            let _ = whole(&context(named, to), &bytes);
        }
    }

    /// Frames of two fixtures left out, doubled and in another order.
    #[test]
    fn no_order_of_frames_is_a_false_end(
        (from, to) in any_pair(),
        both: (Index, Index),
        edits in prop::collection::vec((any::<Index>(), any::<Index>(), 0..4_u8), 0..8),
    ) {
        let mut all = frames(a_fixture(from, both.0).bytes);
        let others = frames(a_fixture(from, both.1).bytes);
        for (at, to, edit) in edits {
            if all.is_empty() {
                break;
            }
            let (at, to) = (at.index(all.len()), to.index(all.len()));
            match edit {
                0 => drop(all.remove(at)),
                1 => all.insert(to, all[at].clone()),
                2 => all.swap(at, to),
                _ => all.insert(at, others[to % others.len()].clone()),
            }
        }
        ends_well_or_not_at_all(from, to, &all.concat())?;
    }
}

/// What was not understood ends with an error or not at all; what ends well is well formed.
fn ends_well_or_not_at_all(from: Dialect, to: Dialect, stream: &[u8]) -> Result<(), TestCaseError> {
    let (out, converter) = converted(context(from, to), stream, 17);
    let read = accumulate(to, &out);
    prop_assert!(converter.trouble().is_none() || read.is_err());
    prop_assert!(!ends_well(to, &out) || read.is_ok(), "{:?}\n{}", read, String::from_utf8_lossy(&out));
    Ok(())
}

/// The last frame is one after which SDKs take the answer for complete.
fn ends_well(dialect: Dialect, stream: &[u8]) -> bool {
    let last = String::from_utf8_lossy(stream).trim_end().rsplit("\n\n").next().unwrap_or_default().to_owned();
    match dialect {
        Dialect::Messages => last.starts_with("event: message_stop\n"),
        Dialect::Chat => last == "data: [DONE]",
        Dialect::Responses => {
            last.starts_with("event: response.completed\n") || last.starts_with("event: response.incomplete\n")
        }
    }
}
