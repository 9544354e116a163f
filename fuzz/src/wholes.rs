//! Whole answers of every dialect: no body makes reading panic, an edit that changes nothing means what the body meant, and
//! a body from which every block is taken has none.

use luthien_wire::Dialect;
use luthien_wire::whole::{self, Edit, Out, Whole};

/// Checks one input.
pub fn check(input: &[u8]) {
    for dialect in Dialect::ALL {
        luthien_wire::answer::blocks(dialect, false, input);
        luthien_wire::answer::ending(dialect, false, input);
        let (Ok(read), Ok(text)) = (whole::decode(dialect, input), std::str::from_utf8(input)) else { continue };
        let spans = read.choices.iter().flat_map(|choice| &choice.parts).map(|part| part.span.clone());
        for span in spans {
            assert!(text.get(span).is_some());
        }
        let untouched: Vec<Option<Edit>> = read.choices.iter().map(|_| None).collect();
        assert_eq!(whole::rewrite(dialect, text, &read, &untouched).as_deref(), Some(text));

        if let Some(same) = rewrite(dialect, text, &read, |parts| (0..parts).map(Out::Keep).collect()) {
            let again = whole::decode(dialect, same.as_bytes()).expect("what was written can be read");
            assert_eq!(said(&again), said(&read));
        }
        if let Some(emptied) = rewrite(dialect, text, &read, |_| vec![Out::Text("instead".into())]) {
            let again = whole::decode(dialect, emptied.as_bytes()).expect("what was written can be read");
            let calls = said(&again).into_iter().filter(|block| block.starts_with("ToolCall"));
            assert_eq!(calls.count(), 0, "{emptied}");
        }
    }
}

fn rewrite(dialect: Dialect, text: &str, read: &Whole, blocks: impl Fn(usize) -> Vec<Out>) -> Option<String> {
    let edits: Vec<_> =
        read.choices.iter().map(|choice| Some(Edit { blocks: blocks(choice.parts.len()), stop: None })).collect();
    whole::rewrite(dialect, text, read, &edits)
}

fn said(read: &Whole) -> Vec<String> {
    read.choices.iter().flat_map(|choice| &choice.parts).map(|part| format!("{:?}", part.block)).collect()
}
