//! What a word is.

use proptest::prelude::*;

use super::*;

fn one(text: &str) -> String {
    let parts = parts(text);
    assert!(parts.len() <= 1, "one part");
    parts.into_iter().next().unwrap_or_default()
}

#[test]
fn words_are_runs_of_letters_and_digits_in_lower_case() {
    let cases = [
        ("Hello, World!", "hello world"),
        ("rm -rf /etc/passwd", "rm rf etc passwd"),
        ("snake_case CamelCase x2", "snake case camelcase x2"),
        ("ÄÖÜ straße ΟΔΟΣ οδός İ", "äöü straße οδοσ οδόσ i"),
        ("测试ok テスト", "测 试 ok テ ス ト"),
        ("a\u{0}b\nc", "a b c"),
        ("… — !", ""),
        ("", ""),
    ];
    for (text, words) in cases {
        assert_eq!(one(text), words, "{text}");
    }
}

#[test]
fn long_words_are_cut_and_encoded_data_is_left_out() {
    assert_eq!(one(&"ab".repeat(64)), "ab".repeat(32));
    let encoded = "iVBORw0KGgo/+".repeat(30);
    assert_eq!(one(&format!("before data:image/png;base64,{encoded} after")), "before data image png base64 after");
    assert_eq!(one(&format!("x.{encoded}.y")), "x y");
    assert_eq!(one(&encoded), "");
    assert_eq!(one(&format!("/{}", "a/b-c_".repeat(40))), "a b c ".repeat(40).trim_end(), "a path is no data");
}

#[test]
fn a_long_text_is_several_parts() {
    let text = "word ".repeat(40_000);
    let parts = parts(&text);
    let counts: Vec<_> = parts.iter().map(|part| part.split(' ').count()).collect();
    assert_eq!(counts, [16_000, 16_000, 8_000]);
    let wide = format!("{} ", "ü".repeat(64)).repeat(3_000);
    let sizes: Vec<_> = super::parts(&wide).iter().map(String::len).collect();
    assert_eq!(sizes, [129 * 1587 - 1, 129 * 1413 - 1]);
}

#[test]
fn a_transaction_has_no_more_than_so_much_text() {
    let parts = parts(&"abcdefg ".repeat(400_000));
    assert_eq!(parts.iter().map(|part| part.len() + 1).sum::<usize>(), super::super::MOST);
}

proptest! {
    #[test]
    fn words_of_words_are_the_same(text in "\\PC{0,300}") {
        let once = one(&text);
        prop_assert_eq!(one(&once), once.as_str());
        prop_assert_eq!(words(&text).join(" "), once.as_str());
        prop_assert!(once.chars().all(|c| c == ' ' || c.is_alphanumeric()));
        prop_assert!(!once.contains("  ") && once.trim() == once);
    }
}
