//! How streams that nobody watches end, and what of a cut event goes out: nothing.

use std::future::poll_fn;

use proptest::prelude::*;

use super::super::testing::{Step, body, source};
use super::*;

const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n: note\n\nevent: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\r\n\r\ndata: {\"type\":\"message_stop\"}\n\n";

async fn played(steps: Vec<Step>, most_held: usize) -> (Vec<Piece>, Outcome) {
    played_in(Dialect::Messages, steps, most_held).await
}

async fn played_in(dialect: Dialect, steps: Vec<Step>, most_held: usize) -> (Vec<Piece>, Outcome) {
    let mut pass = Pass::new(source(body(steps)), dialect, "t1".to_owned(), most_held);
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

/// The last event of a Responses stream.
fn last_event(pieces: &[Piece]) -> serde_json::Value {
    let text = text(pieces);
    let data = text.trim_end().rsplit_once("\ndata: ").unwrap().1;
    serde_json::from_str(data).unwrap()
}

#[tokio::test]
async fn a_broken_response_fails_with_the_next_number() {
    let event = "data: {\"type\":\"response.in_progress\",\"sequence_number\":1}\n\ndata: {\"type\"";
    let (pieces, outcome) = played_in(Dialect::Responses, vec![Step::Data(event), Step::Break], 100).await;
    assert!(text(&pieces[1..]).starts_with("event: response.failed\ndata: {"), "{}", text(&pieces));
    let last = last_event(&pieces);
    assert_eq!((&last["sequence_number"], &last["response"]["status"]), (&2.into(), &"failed".into()));
    assert_eq!(outcome.status, Status::UpstreamBroken);
}

#[tokio::test]
async fn a_fault_is_followed_by_the_terminal_event() {
    let fault =
        "event: error\ndata: {\"type\":\"error\",\"code\":\"slow_down\",\"message\":\"Wait.\",\"sequence_number\":3}";
    for steps in [vec![Step::Data(fault)], vec![Step::Data(fault), Step::Data("\n\n"), Step::Break]] {
        let (pieces, outcome) = played_in(Dialect::Responses, steps, 1000).await;
        assert!(text(&pieces).starts_with(&format!("{fault}\n\nevent: response.failed\n")), "{}", text(&pieces));
        let last = last_event(&pieces);
        assert_eq!(last["sequence_number"], 4);
        assert_eq!(last["response"]["error"], serde_json::json!({"code": "slow_down", "message": "Wait."}));
        assert_eq!((outcome.status, outcome.error.as_deref()), (Status::UpstreamBroken, Some("Wait.")));
    }
}

#[tokio::test]
async fn a_response_that_failed_by_the_upstreams_word_passes_as_it_is() {
    let failed = "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":3}\n\n";
    let (pieces, outcome) = played_in(Dialect::Responses, vec![Step::Data(failed)], 1000).await;
    assert_eq!(text(&pieces), failed);
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
