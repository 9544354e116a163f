//! `sse::Splitter`: the frames put together are the input, any division gives the same frames, and they are the ones that
//! a reader made by the letter of the standard sees.

use luthien_wire::sse::{Frame, Splitter};

use crate::{client, cuts};

/// Larger than what most inputs have, so that the limit is met by some.
const LIMIT: usize = 4096;

/// Checks one input.
pub fn check(input: &[u8]) {
    let (frames, tail, oversized) = split(&[input]);
    let (divided, divided_tail, divided_oversized) = split(&cuts::chunks(input));
    // A limit is met as soon as it can be known, which depends on the division.
    assert_eq!(oversized, divided_oversized);
    if oversized {
        return;
    }
    let raw: Vec<u8> = frames.iter().chain(&tail).flat_map(|frame| frame.raw.iter().copied()).collect();
    assert_eq!(raw, input);
    let raw: Vec<u8> = divided.iter().chain(&divided_tail).flat_map(|frame| frame.raw.iter().copied()).collect();
    assert_eq!(raw, input);
    assert_eq!(meaning(&frames), meaning(&divided));
    assert_eq!(data(&tail), data(&divided_tail));

    let (expected, expected_tail) = client::events(input);
    let seen = |frames: &[Frame]| -> Vec<_> { frames.iter().filter_map(client::Event::of).collect() };
    assert_eq!(seen(&frames), expected);
    assert_eq!(tail.as_ref().and_then(client::Event::of), expected_tail);
}

fn split(chunks: &[&[u8]]) -> (Vec<Frame>, Option<Frame>, bool) {
    let mut splitter = Splitter::new(LIMIT);
    let mut out = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        loop {
            match splitter.next_frame() {
                Ok(Some(frame)) => out.push(frame),
                Ok(None) => break,
                Err(_) => return (out, None, true),
            }
        }
    }
    (out, splitter.finish(), false)
}

/// What frames say. Where blank lines stand between two of them may differ with the division (they belong to neither).
fn meaning(frames: &[Frame]) -> Vec<(&[u8], Option<&[u8]>)> {
    frames.iter().map(|frame| (&*frame.event, frame.data.as_deref())).collect()
}

fn data(tail: &Option<Frame>) -> Option<&[u8]> {
    tail.as_ref().and_then(|frame| frame.data.as_deref())
}
