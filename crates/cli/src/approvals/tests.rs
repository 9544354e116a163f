//! What waits, in words, with nothing in it that steers the terminal.

use serde_json::json;

use super::*;

fn questions() -> Value {
    json!([{
        "id": "0199-a", "session_id": "s-1", "model": "m", "expires_at": "2026-01-01T00:04:00Z",
        "policies": [{"policy": "rules", "why": "it writes to /etc"}],
        "shown": [{"type": "tool_call", "id": "t", "name": "Bash", "arguments": {"command": "tee /etc/\u{1b}[2Jhosts"}}],
    }, {"id": "0199-b", "shown": [{"type": "text", "text": "two\nlines"}]}])
}

#[test]
fn each_question_is_shown_with_what_it_is_about() {
    let text = waiting(&questions(), Palette::plain());
    assert!(
        text.starts_with(
            "0199-a\n  session s-1  model m  until 2026-01-01T00:04:00Z\n  rules asks: it writes to /etc\n"
        )
    );
    assert!(text.contains("    Bash {\n"), "{text}");
    assert!(text.contains("    two\n    lines\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert_eq!(waiting(&json!([]), Palette::plain()), "Nothing waits for a person.\n");
}

#[test]
fn the_start_of_an_id_is_enough_where_it_is_unique() {
    assert_eq!(whole_id(&questions(), "0199-b").unwrap(), "0199-b");
    assert!(whole_id(&questions(), "0199").unwrap_err().to_string().contains("more than one"));
    assert!(whole_id(&questions(), "x").unwrap_err().to_string().contains("no question waits"));
}
