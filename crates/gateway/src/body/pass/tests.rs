//! How streams that nobody watches end, and what of a cut event goes out: nothing.

use std::future::poll_fn;

use proptest::prelude::*;

use super::super::testing::{Step, body, source};
use super::*;

const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n: note\n\nevent: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\r\n\r\ndata: {\"type\":\"message_stop\"}\n\n";

async fn played(steps: Vec<Step>, most_held: usize) -> (Vec<Piece>, Outcome) {
    let mut pass = Pass::new(source(body(steps)), Dialect::Messages, "t1".to_owned(), most_held);
    let mut pieces = Vec::new();
    while let Some(piece) = poll_fn(|cx| pass.poll_piece(cx)).await {
        pieces.push(piece.unwrap());
    }
    (pieces, pass.outcome())
}

fn text(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| std::str::from_utf8(&piece.bytes).unwrap()).collect()
}

#[tokio::test]
async fn a_dead_upstream_ends_with_an_error_event_and_no_piece_of_an_event() {
    let (pieces, outcome) = played(vec![Step::Data("data: {\"type\":\"ping\"}\n\nda"), Step::Break], 100).await;
    assert_eq!(pieces[0], Piece::same(Bytes::from_static(b"data: {\"type\":\"ping\"}\n\n")));
    assert_eq!(pieces[1].same, 0);
    assert!(text(&pieces[1..]).starts_with("event: error\ndata: {"), "{}", text(&pieces));
    assert_eq!(outcome.status, Status::UpstreamBroken);
}

#[tokio::test]
async fn a_clean_end_without_the_terminal_event_is_an_error_too() {
    let (pieces, outcome) = played(vec![], 100).await;
    assert!(text(&pieces).starts_with("event: error"));
    assert_eq!(outcome.status, Status::UpstreamBroken);
}

#[tokio::test]
async fn a_stopped_stream_gets_its_end() {
    let stopped = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}";
    for (step, gap) in [(Step::Bytes(format!("{stopped}\n\n").into()), "\n\n"), (Step::Data(stopped), "\n\n")] {
        let (pieces, outcome) = played(vec![step], 1000).await;
        assert_eq!(
            text(&pieces),
            format!("{stopped}{gap}event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n")
        );
        assert_eq!(outcome.status, Status::Completed);
    }
}

#[tokio::test]
async fn an_event_over_the_limit_goes_on_in_parts() {
    let (pieces, _) = played(vec![Step::Data("data: 12345"), Step::Data("678"), Step::Data("9\n\n")], 8).await;
    assert_eq!(text(&pieces[..3]), "data: 123456789\n\n");
}

#[test]
fn an_event_ends_with_a_blank_line_of_any_kind() {
    for (bytes, expected) in [
        ("data: a\n\n", Some(9)),
        ("data: a\r\n\r\n", Some(11)),
        ("data: a\r\rdata", Some(9)),
        ("data: a\n", None),
        ("data: a\r\n", None),
        ("a\n\nb\n\nc", Some(6)),
        ("", None),
    ] {
        assert_eq!(last_boundary(bytes.as_bytes(), 0), expected, "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn every_split_gives_the_same_bytes_cut_between_events(cuts in proptest::collection::vec(0..STREAM.len(), 0..20)) {
        let mut cuts = cuts;
        cuts.push(STREAM.len());
        cuts.sort_unstable();
        let mut at = 0;
        let steps = cuts.into_iter().map(|cut| {
            let piece = Bytes::from_static(&STREAM.as_bytes()[at..cut]);
            at = cut;
            Step::Bytes(piece)
        }).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (pieces, outcome) = runtime.block_on(played(steps, 1 << 20));
        prop_assert_eq!(text(&pieces), STREAM);
        for piece in &pieces {
            prop_assert!(piece.same == piece.bytes.len() && !piece.bytes.is_empty());
        }
        prop_assert_eq!(outcome.status, Status::Completed);
    }
}
