//! Content stays inside its envelope and comes out of it as it went in.

use proptest::prelude::*;

use super::*;

fn inside(prompt: &str) -> &str {
    prompt.strip_prefix("<data>\n").unwrap().strip_suffix("\n</data>").unwrap()
}

proptest! {
    #[test]
    fn no_content_closes_the_envelope(text in "(?s).{0,40}|(</data>|<|>|\\\\|\"|\n|\u{202e}|\u{e0041}|x){0,12}") {
        let data = json!({"text": text, "more": [text]});
        let prompt = envelope(&data);
        let inside = inside(&prompt);
        let escaped = !inside.contains(['<', '>', '\n', '\u{202e}', '\u{e0041}']);
        prop_assert!(escaped, "{inside}");
        prop_assert_eq!(serde_json::from_str::<Value>(inside).unwrap(), data);
    }
}

#[test]
fn the_newest_context_is_kept() {
    let long = |n: u8| Arc::new(Block::Text(format!("{n}{}", "x".repeat(3000))));
    let earlier: Vec<Arc<Block>> = (0..10).map(long).collect();
    let kept = blocks(&earlier);
    let kept = kept.as_array().unwrap();
    assert_eq!(kept[0], json!({"note": "what came before is left out"}));
    assert!(kept.last().unwrap()["text"].as_str().unwrap().starts_with('9'));
    assert!(Value::from(kept.clone()).to_string().len() < CONTEXT + 200);
}

#[test]
fn system_prompts_and_thinking_are_left_out() {
    let messages = [
        Message { role: Role::System, parts: vec![Part::Text("rules".to_owned())] },
        Message { role: Role::Assistant, parts: vec![Part::Thinking("hm".to_owned()), Part::Text("hi".to_owned())] },
    ];
    assert_eq!(conversation(&messages), json!([{"role": "assistant", "text": "hi"}]));
}

#[test]
fn what_cannot_be_seen_is_written_out() {
    for hidden in
        ['\u{61c}', '\u{34f}', '\u{115f}', '\u{180e}', '\u{3164}', '\u{fe0f}', '\u{ffa0}', '\u{e0100}', '\u{1d173}']
    {
        assert!(!envelope(&json!({"text": format!("a{hidden}b")})).contains(hidden), "{:x}", u32::from(hidden));
    }
}
