//! Steps and chunks of a reply.

use super::{Chunking, Reply, Step};
use crate::gate::Gate;

/// The pieces, with a stroke for each wait.
fn pieces(reply: Reply) -> Vec<String> {
    let show = |step: Step| match step {
        Step::Send(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => format!("{other:?}").split('(').next().unwrap_or_default().to_owned(),
    };
    reply.chunked().steps.into_iter().map(show).collect()
}

fn reply() -> Reply {
    Reply::stream(b"data: 1\n\ndata: 2\n\n").insert(1, Step::Wait(Gate::new())).cut_after(3, Step::Reset)
}

#[test]
fn frames_are_pieces() {
    assert_eq!(pieces(reply()), ["data: 1\n\n", "Wait", "data: 2\n\n", "Reset"]);
}

#[test]
fn the_whole_is_cut_at_waits_alone() {
    let reply = Reply::stream(b"data: 1\n\ndata: 2\n\n").chunking(Chunking::Whole);
    assert_eq!(pieces(reply), ["data: 1\n\ndata: 2\n\n"]);
    assert_eq!(pieces(self::reply().chunking(Chunking::Whole)).len(), 4);
}

#[test]
fn pieces_of_so_many_bytes() {
    let reply = Reply::stream(b"data: 1\n\ndata: 2\n\n").chunking(Chunking::Bytes(7));
    assert_eq!(pieces(reply), ["data: 1", "\n\ndata:", " 2\n\n"]);
    assert_eq!(pieces(Reply::stream(b"data: 1\n\n").chunking(Chunking::Bytes(0))).len(), 9);
}
