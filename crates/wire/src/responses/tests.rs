//! What Responses streams and answers mean, event by event and as a whole.

use crate::dialect::Dialect;
use crate::sse::Splitter;
use crate::stream::{Decoder, Kind, Piece, What};
use crate::turn::{Block, Unreadable};
use crate::whole;

fn decode(stream: &str) -> Vec<What> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(stream.as_bytes());
    let (mut decoder, mut atoms) = (Decoder::new(Dialect::Responses), Vec::new());
    while let Ok(Some(frame)) = splitter.next_frame() {
        decoder.decode(frame, &mut atoms);
    }
    atoms.into_iter().map(|atom| atom.what).collect()
}

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

#[test]
fn an_event_that_nobody_knows_means_nothing() {
    for data in [
        r#"{"type":"codex.rate_limits","plan":"pro"}"#,
        r#"{"type":"response.metadata","headers":{}}"#,
        r#"{"type":"response.weather.delta","delta":"rain"}"#,
        r#"{"type":"response.audio.delta","delta":"AAAA"}"#,
    ] {
        assert_eq!(decode(&event(data)), [What::Loose], "{data}");
    }
}

#[test]
fn words_of_no_item_cannot_be_read() {
    for data in [
        r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
        r#"{"type":"response.output_text.delta","output_index":3,"delta":"x"}"#,
        r#"{"type":"response.shell_call_command.delta","delta":"rm"}"#,
        r#"{"type":"response.cancelled","response":{"output":[{"type":"function_call","call_id":"c","name":"f"}]}}"#,
        r#"{"type":"","response":{"output":[{"type":"function_call","call_id":"c","name":"f"}]}}"#,
        r#"{"type":"response.weather","item":{"type":"function_call","call_id":"c","name":"f"}}"#,
    ] {
        assert_eq!(decode(&event(data)), [What::Unreadable(Unreadable::Contradiction)], "{data}");
    }
}

#[test]
fn words_without_a_place_belong_to_the_last_item() {
    let stream = event(
        r#"{"type":"response.output_item.added","item":{"type":"function_call","call_id":"c","name":"f","arguments":""}}"#,
    ) + &event(r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#);
    let read = decode(&stream);
    assert!(matches!(&read[0], What::Block { start: Some(Kind::Call { name, .. }), .. } if name == "f"));
    assert!(matches!(&read[1], What::Block { piece: Piece::Arguments(more), .. } if more == "{}"));
}

#[test]
fn a_compacted_conversation_repeats_messages_that_are_not_the_models() {
    let body = r#"{"id":"resp_1","object":"response.compaction","output":[
        {"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"yo"}]},
        {"type":"compaction","encrypted_content":"c2ln"}]}"#;
    let read = whole::decode(Dialect::Responses, body.as_bytes()).unwrap();
    let kinds: Vec<&Kind> = read.choices[0].parts.iter().map(|part| &part.kind).collect();
    assert_eq!(kinds, [&Kind::Opaque("message".into()), &Kind::Text, &Kind::Opaque("compaction".into())]);
    assert_eq!(read.choices[0].parts[1].block, Block::Text("yo".into()));
}

#[test]
fn an_answer_that_has_not_begun_is_empty_and_one_without_output_is_unreadable() {
    let read = |body: &str| whole::decode(Dialect::Responses, body.as_bytes());
    assert!(read(r#"{"id":"resp_1","status":"queued"}"#).unwrap().choices[0].parts.is_empty());
    assert_eq!(read(r#"{"id":"resp_1","status":"completed"}"#), Err(Unreadable::Contradiction));
    assert_eq!(read(r#"{"output":[],"output":[]}"#), Err(Unreadable::Contradiction));
}
