//! Tokens are counted as the vendor tells them, whatever form the answer has and however it is cut.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn count(dialect: Dialect, pieces: &[&[u8]], request: usize) -> Usage {
    let mut meter = UsageMeter::new(dialect);
    for piece in pieces {
        meter.push(piece);
    }
    meter.usage(request)
}

fn told(input: u64, cache_read: u64, cache_write: u64, output: u64) -> Usage {
    Usage { input, cache_read, cache_write, output, estimated: false }
}

const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,",
    "\"cache_read_input_tokens\":30,\"cache_creation_input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"twelve bytes\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
    "\"usage\":{\"output_tokens\":20}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);
const CHAT: &str = concat!(
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"twelve bytes\"}}],\"usage\":null}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":45,\"completion_tokens\":20,",
    "\"prompt_tokens_details\":{\"cached_tokens\":35}}}\n\ndata: [DONE]\n\n",
);
const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"twelve bytes\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":45,",
    "\"input_tokens_details\":{\"cached_tokens\":35},\"output_tokens\":20}}}\n\n",
);

fn streams() -> [(Dialect, &'static str, Usage); 3] {
    [
        (Dialect::Messages, MESSAGES, told(10, 30, 5, 20)),
        (Dialect::Chat, CHAT, told(10, 35, 0, 20)),
        (Dialect::Responses, RESPONSES, told(10, 35, 0, 20)),
    ]
}

#[rstest]
#[case(
    Dialect::Messages,
    r#"{"usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":5}}"#,
    told(3, 4, 0, 5)
)]
#[case(Dialect::Chat, r#" {"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}"#, told(7, 0, 0, 5))]
#[case(Dialect::Chat, r#"{"object":"list","usage":{"prompt_tokens":7,"total_tokens":7}}"#, told(7, 0, 0, 0))]
#[case(
    Dialect::Responses,
    r#"{"usage":{"input_tokens":7,"input_tokens_details":{"cached_tokens":4},"output_tokens":5}}"#,
    told(3, 4, 0, 5)
)]
fn a_whole_answer_tells_what_it_used(#[case] dialect: Dialect, #[case] body: &str, #[case] expected: Usage) {
    assert_eq!(count(dialect, &[body.as_bytes()], 400), expected);
}

#[test]
fn a_stream_tells_it_at_its_end() {
    for (dialect, stream, expected) in streams() {
        assert_eq!(count(dialect, &[stream.as_bytes()], 400), expected, "{dialect}");
        assert_eq!(expected.total(), 65);
    }
}

#[test]
fn a_stream_that_broke_off_counts_what_was_seen_of_it() {
    // Twelve bytes of text are three tokens, four hundred bytes of a request a hundred; what was told counts as it was told.
    let seen = |cut: &str, of: &str| of.find(cut).expect("the cut");
    let expected = [
        Usage { input: 10, cache_read: 30, cache_write: 5, output: 3, estimated: true },
        Usage { input: 100, output: 3, estimated: true, ..Usage::default() },
        Usage { input: 100, output: 3, estimated: true, ..Usage::default() },
    ];
    let cuts = ["event: message_delta", "data: {\"choices\":[],", "event: response.completed"];
    for (((dialect, stream, _), cut), expected) in streams().into_iter().zip(cuts).zip(expected) {
        let cut = seen(cut, stream);
        assert_eq!(count(dialect, &[&stream.as_bytes()[..cut]], 400), expected, "{dialect}");
    }
}

#[rstest]
#[case::nothing("", 0)]
#[case::no_json("{\"choices\": [", 4)]
#[case::no_usage("{\"choices\":[]}", 4)]
#[case::compressed("\u{1f}\u{8b}123456", 2)]
fn what_tells_nothing_is_estimated(#[case] body: &str, #[case] output: u64) {
    let expected = Usage { input: 3, output, estimated: true, ..Usage::default() };
    let got = count(Dialect::Chat, &[body.as_bytes()], 9);
    assert_eq!((got.input, got.estimated), (expected.input, true));
    assert_eq!(got.output, body.len().div_ceil(4) as u64, "{body:?}");
    assert!(got.output >= output);
}

proptest! {
    #[test]
    fn where_an_answer_is_cut_makes_no_difference(which in 0..3_usize, mut cuts in proptest::collection::vec(0..400_usize, 0..8), end in 0..1000_usize) {
        let (dialect, stream, _) = streams()[which];
        let bytes = &stream.as_bytes()[..end.min(stream.len())];
        cuts.push(0);
        cuts.push(bytes.len());
        for cut in &mut cuts {
            *cut = (*cut).min(bytes.len());
        }
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(count(dialect, &pieces, 40), count(dialect, &[bytes], 40));
    }

    #[test]
    fn counting_never_fails(dialect in prop_oneof![Just(Dialect::Messages), Just(Dialect::Chat), Just(Dialect::Responses)], body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = count(dialect, &[&body], body.len()).total();
    }
}
