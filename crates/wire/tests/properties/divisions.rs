//! Any division of any fixture gives the same atoms, and their frames' bytes put together are the fixture.

use luthien_testkit::fixtures::{self, Fixture};
use luthien_wire::Dialect;
use luthien_wire::sse::Splitter;
use luthien_wire::stream::{Atom, Decoder};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::cuts::{cuts, pieces};

fn atoms(dialect: Dialect, chunks: &[&[u8]]) -> Vec<Atom> {
    let (mut splitter, mut decoder, mut out) = (Splitter::new(1 << 20), Decoder::new(dialect), Vec::new());
    for chunk in chunks {
        splitter.push(chunk);
        while let Some(frame) = splitter.next_frame().expect("a small event") {
            decoder.decode(frame, &mut out);
        }
    }
    if let Some(frame) = splitter.finish() {
        decoder.decode(frame, &mut out);
    }
    out
}

/// What atoms mean. The LF of a CR LF that was cut at the stream's end is a frame that means nothing.
fn meaning(atoms: &[Atom]) -> Vec<String> {
    let says = |atom: &&Atom| !atom.frame.raw.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
    atoms
        .iter()
        .filter(says)
        .map(|atom| format!("{:?} {}/{} {:?}", atom.part, atom.index, atom.of, atom.what))
        .collect()
}

fn raw(atoms: &[Atom]) -> Vec<u8> {
    atoms.iter().filter(|atom| atom.index == 0).flat_map(|atom| atom.frame.raw.to_vec()).collect()
}

fn streams(dialect: Dialect) -> Vec<&'static Fixture> {
    fixtures::all(dialect).iter().filter(|fixture| fixture.streamed).collect()
}

#[test]
fn every_fixture_byte_by_byte_gives_the_same_atoms() {
    for dialect in Dialect::ALL {
        for fixture in streams(dialect) {
            let whole = atoms(dialect, &[fixture.bytes]);
            assert!(!whole.is_empty(), "{}", fixture.name);
            assert_eq!(raw(&whole), fixture.bytes, "{}", fixture.name);
            for size in [1, 2, 3, 7, 64] {
                let divided = atoms(dialect, &fixture.bytes.chunks(size).collect::<Vec<_>>());
                assert_eq!(meaning(&divided), meaning(&whole), "{}", fixture.name);
                assert_eq!(raw(&divided), fixture.bytes, "{}", fixture.name);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_division_of_any_fixture_gives_the_same_atoms(
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
        which in any::<Index>(),
        cuts in cuts(),
    ) {
        let streams = streams(dialect);
        let fixture = which.get(&streams);
        let divided = atoms(dialect, &pieces(fixture.bytes, &cuts));
        prop_assert_eq!(meaning(&divided), meaning(&atoms(dialect, &[fixture.bytes])));
        prop_assert_eq!(raw(&divided), fixture.bytes);
    }
}
