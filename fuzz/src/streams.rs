//! A dialect's stream decoder and encoder: no input makes them panic, untouched atoms give the frames' bytes, any division
//! gives the same atoms, and an atom that is written by itself says the same.

use luthien_wire::Dialect;
use luthien_wire::sse::Splitter;
use luthien_wire::stream::{Atom, Decoder, Encoder, What};
use luthien_wire::turn::StopReason;

use crate::cuts;

/// Checks one input.
pub fn check(dialect: Dialect, input: &[u8]) {
    let (atoms, raw) = read(dialect, &[input]);
    assert_eq!(raw, input);
    let (divided, raw) = read(dialect, &cuts::chunks(input));
    assert_eq!(raw, input);
    // A CR LF that is divided ends its frame at the CR; at the stream's end the LF stands alone, and says nothing.
    let says = |atom: &&Atom| !atom.frame.raw.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
    let what = |atoms: &[Atom]| -> Vec<_> {
        atoms.iter().filter(says).map(|atom| (atom.what.clone(), atom.part, atom.of)).collect()
    };
    assert_eq!(what(&atoms), what(&divided));

    let mut encoder = Encoder::new(dialect, "model", "id");
    for atom in &atoms {
        encoder.learn(atom);
        write(&mut encoder, atom);
    }
    for own in [encoder.head(), encoder.done(), encoder.own_stop(0, &StopReason::End), encoder.text_block(0, 1, "text")]
    {
        let mut found = Vec::new();
        decode(&mut Decoder::new(dialect), &own, &mut found);
        assert!(
            !found.iter().any(|atom| matches!(atom.what, What::Unreadable(_))),
            "{}",
            String::from_utf8_lossy(&own)
        );
    }
    luthien_wire::answer::blocks(dialect, true, input);
    luthien_wire::answer::ending(dialect, true, input);
}

/// The atoms, and the bytes of their frames, each once.
fn read(dialect: Dialect, chunks: &[&[u8]]) -> (Vec<Atom>, Vec<u8>) {
    let mut splitter = Splitter::new(usize::MAX);
    let mut decoder = Decoder::new(dialect);
    let mut atoms = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        while let Ok(Some(frame)) = splitter.next_frame() {
            let before = atoms.len();
            decoder.decode(frame, &mut atoms);
            assert_parts(&atoms[before..]);
        }
    }
    if let Some(frame) = splitter.finish() {
        decoder.decode(frame, &mut atoms);
    }
    let mut raw = Vec::new();
    for atom in atoms.iter().filter(|atom| atom.index == 0) {
        raw.extend_from_slice(&atom.frame.raw);
    }
    (atoms, raw)
}

/// The atoms of one frame are numbered, and there is at least one.
fn assert_parts(atoms: &[Atom]) {
    assert!(!atoms.is_empty());
    assert!(atoms.iter().enumerate().all(|(at, atom)| atom.index == at && atom.of == atoms.len()));
}

/// Writes the atom in every way that there is.
fn write(encoder: &mut Encoder, atom: &Atom) {
    encoder.part(atom);
    match &atom.what {
        What::Block { id, .. } => {
            let from = id.block;
            encoder.block_part(atom, from, from, None);
            encoder.block_part(atom, from, from.wrapping_add(1), None);
            encoder.block_part(atom, from, from, Some("another text"));
        }
        What::Stop { .. } => {
            encoder.stop(atom, None);
            encoder.stop(atom, Some(&StopReason::End));
        }
        _ => {}
    }
}

fn decode(decoder: &mut Decoder, bytes: &[u8], out: &mut Vec<Atom>) {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(bytes);
    while let Ok(Some(frame)) = splitter.next_frame() {
        decoder.decode(frame, out);
    }
    assert!(splitter.pending().is_empty());
}
