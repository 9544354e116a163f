//! Streams as atoms, and back.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sse::Splitter;

fn atoms(dialect: Dialect, input: &str) -> Vec<Atom> {
    let mut splitter = Splitter::new(1 << 20);
    splitter.push(input.as_bytes());
    let mut decoder = Decoder::new(dialect);
    let mut out = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        decoder.decode(frame, &mut out);
    }
    out
}

fn what(dialect: Dialect, input: &str) -> Vec<What> {
    atoms(dialect, input).into_iter().map(|atom| atom.what).collect()
}

fn call(form: ToolForm, name: &str) -> Kind {
    Kind::Call { form, id: "i".into(), name: name.into(), free_text: false }
}

fn start(kind: &Kind, piece: Piece) -> What {
    What::Block { id: BlockId { choice: 0, block: 0 }, start: Some(kind.clone()), piece, end: false }
}

fn messages_start(block: &serde_json::Value) -> Vec<What> {
    let data = json!({"type": "content_block_start", "index": 0, "content_block": block});
    what(Dialect::Messages, &format!("event: content_block_start\ndata: {data}\n\n"))
}

#[test]
fn calls_are_seen_in_all_their_forms() {
    for (kind, form) in
        [("tool_use", ToolForm::Client), ("server_tool_use", ToolForm::Server), ("mcp_tool_use", ToolForm::Server)]
    {
        let found = messages_start(&json!({"type": kind, "id": "i", "name": "n", "input": {}}));
        assert_eq!(found, [start(&call(form, "n"), Piece::Input("{}".into()))]);
    }
    let unknown = json!({"type": "robot_arm", "id": "i", "move": "left"});
    assert_eq!(
        messages_start(&unknown),
        [start(&call(ToolForm::Unknown, "robot_arm"), Piece::Input(unknown.to_string()))]
    );
}

#[test]
fn a_chunk_without_indices_continues_the_last_call() {
    let chunk =
        |call: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{call}]}}}}]}}\n\n");
    let input = chunk(r#"{"id":"a","function":{"name":"f","arguments":"1"}}"#)
        + &chunk(r#"{"function":{"arguments":"2"}}"#)
        + &chunk(r#"{"id":"b","function":{"name":"g","arguments":"3"}}"#);
    let blocks: Vec<u32> = what(Dialect::Chat, &input)
        .iter()
        .filter_map(|what| match what {
            What::Block { id, .. } => Some(id.block - chat::TOOL_CALLS),
            _ => None,
        })
        .collect();
    assert_eq!(blocks, [0, 0, 1]);
}

#[test]
fn frames_on_which_readers_could_differ_are_unreadable() {
    let lie = "event: ping\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    let twice = "data: {\"type\":\"content_block_delta\",\"type\":\"ping\"}\n\n";
    let broken = "event: content_block_delta\ndata: {\"type\":\n\n";
    assert_eq!(what(Dialect::Messages, lie), [What::Unreadable(Unreadable::Contradiction)]);
    assert_eq!(what(Dialect::Messages, twice), [What::Unreadable(Unreadable::Contradiction)]);
    assert_eq!(what(Dialect::Messages, broken), [What::Unreadable(Unreadable::NotJson)]);
    let twice = "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"content\":\"b\"}}]}\n\n";
    assert_eq!(what(Dialect::Chat, twice), [What::Unreadable(Unreadable::Contradiction)]);
}

#[test]
fn what_no_client_knows_is_left_alone() {
    let unknown = "event: brand_new\ndata: hello\n\n: comment\n\nevent: later\ndata: {\"type\":\"later\"}\n\n";
    assert_eq!(what(Dialect::Messages, unknown), [What::Loose, What::Loose, What::Loose]);
}

#[test]
fn a_part_of_a_chunk_carries_nothing_of_its_neighbours() {
    let input = concat!(
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"T\",",
        "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"F\",\"arguments\":\"\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"total_tokens\":1}}\n\n"
    );
    let parts: Vec<String> = atoms(Dialect::Chat, input)
        .iter()
        .map(|atom| String::from_utf8_lossy(&crate::chat::part(atom)).into_owned())
        .collect();
    let holds = |needle: &str| parts.iter().map(|part| part.contains(needle)).collect::<Vec<_>>();
    assert_eq!(parts.len(), 4);
    assert_eq!(holds("assistant"), [true, false, false, false]);
    assert_eq!(holds("\"T\""), [false, true, false, false]);
    assert_eq!(holds("\"F\""), [false, false, true, false]);
    assert_eq!(holds("\"tool_calls\"}"), [false, false, false, true]);
    assert_eq!(holds("usage"), [false, false, false, true]);
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(
        frames in prop::collection::vec(("[a-z_]{0,20}", "\\PC{0,80}|[\\[\\]{}\":,a-z0-9]{0,60}"), 0..12),
        chat in any::<bool>(),
    ) {
        let dialect = if chat { Dialect::Chat } else { Dialect::Messages };
        let framed: Vec<String> = frames.iter().map(|(event, data)| format!("event: {event}\ndata: {data}\n\n")).collect();
        let input = framed.concat();
        let found = atoms(dialect, &input);
        prop_assert!(found.len() >= frames.len());
        crate::answer::blocks(dialect, true, input.as_bytes());
        crate::answer::ending(dialect, true, input.as_bytes());
    }
}
