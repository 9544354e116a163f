//! What is found where: in texts, JSON, and streams in which it comes in pieces.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn keys() -> Redactor {
    Redactor::new([("key", r"\bsk-[a-z0-9]{8,}"), ("member", r#"password\\?["']?\s*[:=]\s*\\?["']?\w{4,}"#)]).unwrap()
}

fn body(text: &str) -> String {
    keys().body(text.as_bytes()).map_or_else(|| text.to_owned(), |body| String::from_utf8(body).unwrap())
}

#[test]
fn nothing_is_found_by_none_and_bad_patterns_are_refused() {
    assert!(Redactor::default().is_idle() && Redactor::new([]).unwrap().is_idle());
    assert_eq!(Redactor::default().body(b"sk-12345678"), None);
    assert_eq!(Redactor::new([("mine", "(")]).unwrap_err().name, "mine");
    assert!(Redactor::new([("mine", "a*")]).unwrap_err().why.contains("every text"));
    assert!(Redactor::new([("mine", r"(\w{1000}){1000}")]).is_err());
}

#[test]
fn texts_keep_all_but_what_was_found() {
    assert_eq!(body("a sk-12345678 b sk-abcdefgh9"), "a [redacted] b [redacted]");
    assert_eq!(keys().body(b"sk-1234567"), None);
    assert_eq!(keys().body(b"sk-12345678 \xe2\x82"), Some("[redacted] \u{fffd}".into()));
    assert_eq!(keys().body(b"\x1f\x8b\xff\xfe...."), Some(NO_TEXT.to_vec()));
}

#[test]
fn json_stays_json_and_is_found_as_it_reads() {
    let given =
        r#"{ "a" : "x sk-12345678",  "n":1.50, "e":"sk\u002d12345678", "sk-12345678": [true,"\"sk-12345678\""]}"#;
    let expected = r#"{ "a" : "x [redacted]",  "n":1.50, "e":"[redacted]", "[redacted]": [true,"\"[redacted]\""]}"#;
    assert_eq!(body(given), expected);
    assert_eq!(body(r#"{"password": "hunter22", "user":"me"}"#), r#"{"password": "[redacted]", "user":"me"}"#);
    assert_eq!(body(r#"{"password": 12345, "n": 12345}"#), r#"{"password": "[redacted]", "n": 12345}"#);
    let arguments = json!({"arguments": json!({"password": "hunter22"}).to_string()}).to_string();
    assert_eq!(body(&arguments), json!({"arguments": json!({"password": "[redacted]"}).to_string()}).to_string());
    assert_eq!(body(r#"{"broken off": "sk-12345678"#), r#"{"broken off": "[redacted]"#);
}

#[test]
fn values_are_searched_to_their_depth() {
    let mut value = json!({"a": [{"b": "sk-12345678"}], "password": "hunter22", "n": 1});
    assert!(keys().value(&mut value));
    assert_eq!(value, json!({"a": [{"b": "[redacted]"}], "password": "[redacted]", "n": 1}));
    assert!(!keys().value(&mut value));
}

fn delta(index: u32, text: &str) -> String {
    let value = json!({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}});
    format!("event: content_block_delta\ndata: {value}\n\n")
}

#[test]
fn a_text_is_found_over_its_pieces_and_others_between_them() {
    let given =
        [delta(0, "see sk-"), delta(1, "1234"), delta(0, "1234"), delta(0, "5678 and"), delta(1, "5678")].concat();
    let expected =
        [delta(0, "see [redacted]"), delta(1, "1234"), delta(0, ""), delta(0, " and"), delta(1, "5678")].concat();
    assert_eq!(body(&given), expected);
}

#[test]
fn each_dialects_pieces_belong_together() {
    let chat = |text: &str| {
        let call = json!({"index": 0, "function": {"arguments": text}});
        let value = json!({"choices": [{"index": 0, "delta": {"content": text, "tool_calls": [call]}}]});
        format!("data: {value}\n\n")
    };
    let responses = |text: &str| {
        let value = json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text});
        format!("data: {value}\n\n")
    };
    for line in [&chat as &dyn Fn(&str) -> String, &responses] {
        let given = [line("sk"), line("-123456"), line("78, sk-"), line("abcdefgh")].concat();
        assert_eq!(body(&given), [line("[redacted]"), line(""), line(", [redacted]"), line("")].concat());
    }
}

#[test]
fn a_stream_is_closed_where_no_text_is_under_way() {
    let event = |kind: &str| format!("data: {}\n\n", json!({"type": kind, "index": 0, "output_index": 0}));
    for [start, stop] in
        [["content_block_start", "content_block_stop"], ["response.output_item.added", "response.output_item.done"]]
    {
        let first = event("other");
        let whole = [first.clone(), event(start), delta(0, "a"), event(stop)].concat();
        assert_eq!(closed(whole.as_bytes()), whole.len());
        for end in first.len()..whole.len() - 1 {
            assert_eq!(closed(&whole.as_bytes()[..end]), first.len(), "{end}");
        }
    }
    assert_eq!(closed(b"data: {\"choices\":[]}\n\ndata: [DONE]\n\n"), 0);
    assert_eq!(closed(b"{\"type\":\"message\"}\n"), 0);
}

proptest! {
    /// However a secret is cut into pieces, none of it is left in the texts that the pieces make.
    #[test]
    fn no_cut_lets_a_secret_through(cuts in prop::collection::vec(1usize..6, 1..12)) {
        let secret = "before sk-abcdefgh12345678 after";
        let (mut at, mut stream) = (0, String::new());
        for cut in cuts {
            let end = (at + cut).min(secret.len());
            stream.push_str(&delta(0, &secret[at..end]));
            at = end;
        }
        stream.push_str(&delta(0, &secret[at..]));
        let redacted = body(&stream);
        let texts = redacted.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
        let said: String = texts.map(|value| value["delta"]["text"].as_str().unwrap().to_owned()).collect();
        prop_assert_eq!(said, "before [redacted] after");
    }
}
