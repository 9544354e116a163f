//! Frames under every split.

use proptest::prelude::*;

use super::*;

fn frames(chunks: &[&[u8]]) -> (Vec<Frame>, Option<Frame>) {
    let mut splitter = Splitter::new(1 << 20);
    let mut out = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        while let Ok(Some(frame)) = splitter.next_frame() {
            out.push(frame);
        }
    }
    (out, splitter.finish())
}

fn meaning(frames: &[Frame]) -> Vec<(Bytes, Option<Bytes>)> {
    frames.iter().map(|f| (f.event.clone(), f.data.clone())).collect()
}

#[test]
fn reads_every_form_that_the_standard_allows() {
    let input = b"\xef\xbb\xbf: hello\nevent:a\r\ndata: 1\rdata:2\n\n\n\nid: 7\nretry: 1\n\ndata\r\r\ndata: tail";
    let (found, tail) = frames(&[input]);
    assert_eq!(meaning(&found), [("a".into(), Some("1\n2".into())), ("".into(), None), ("".into(), Some("".into()))]);
    assert_eq!(tail.and_then(|f| f.data), Some("tail".into()));
}

#[test]
fn refuses_an_event_over_the_limit() {
    let mut splitter = Splitter::new(16);
    splitter.push(b"data: 0123456789abcdef");
    assert_eq!(splitter.next_frame(), Err(Oversized { limit: 16 }));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events_and_keeps_the_bytes(
        lines in prop::collection::vec("(data: ?[a-z\u{e9}\u{1f600}]{0,9}|event: ?[a-z]{1,4}|: [a-z]{0,4}|id: 1|)", 0..30),
        ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r", "\r\n"]), 30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut input = String::new();
        for (line, end) in lines.iter().zip(&ends) {
            input.push_str(line);
            input.push_str(end);
        }
        let input = input.as_bytes();
        let (whole, whole_tail) = frames(&[input]);
        let mut at: Vec<usize> = cuts.iter().map(|i| i.index(input.len() + 1)).collect();
        at.push(0);
        at.push(input.len());
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|w| &input[w[0]..w[1]]).collect();
        let (split, split_tail) = frames(&chunks);
        prop_assert_eq!(meaning(&whole), meaning(&split));
        prop_assert_eq!(whole_tail.is_some_and(|f| f.data.is_some()), split_tail.clone().is_some_and(|f| f.data.is_some()));
        let mut bytes: Vec<u8> = split.iter().flat_map(|f| f.raw.to_vec()).collect();
        bytes.extend(split_tail.iter().flat_map(|f| f.raw.to_vec()));
        prop_assert_eq!(&bytes[..], input);
    }
}

#[test]
fn a_body_that_is_no_stream_is_not_silent() {
    let frame = |text: &'static [u8]| parse(Bytes::from_static(text));
    for silent in [&b": note {}\n\n"[..], b"\n", b"event: ping\nid\nretry: 1\r\n\r\n", b"\xef\xbb\xbf:\n\n"] {
        assert!(frame(silent).is_silent(), "{silent:?}");
    }
    for other in [&b"{\"a\": 1}\n\n"[..], b": note\n<html>\n\n", b"data: 1\n\n", b"dat\n\n"] {
        assert!(!frame(other).is_silent(), "{other:?}");
    }
}
