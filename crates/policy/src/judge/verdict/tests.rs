//! What counts as a verdict, and all that does not.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
#[case(r#"{"probability": 0.25, "explanation": "fine"}"#, 0.25)]
#[case(" \n{\"probability\": 1}\n", 1.0)]
#[case("```json\n{\"probability\": 0.5}\n```", 0.5)]
#[case("```\n{\"probability\": 0.5}\n```\n", 0.5)]
#[case(r#"{"probability": 7}"#, 1.0)]
#[case(r#"{"probability": -3.5}"#, 0.0)]
#[case(r#"{"probability": 0.9} {"probability": 0.9}"#, 0.9)]
#[case(r#"{"probability": 0.1, "explanation": null, "note": "x"}"#, 0.1)]
fn verdicts(#[case] answer: &str, #[case] probability: f64) {
    assert_eq!(Verdict::read(answer).map(|verdict| verdict.probability), Ok(probability));
}

#[rstest]
#[case("")]
#[case("safe")]
#[case("0")]
#[case("{}")]
#[case(r#"{"probability": "0"}"#)]
#[case(r#"{"probability": NaN}"#)]
#[case(r#"{"probability": 1e999}"#)]
#[case(r#"{"probability": null}"#)]
#[case(r#"{"probability": [0]}"#)]
#[case(r#"{"explanation": "safe"}"#)]
#[case(r#"{"probability": 0, "explanation": {}}"#)]
#[case(r#"{"probability": 0, "probability": 1}"#)]
#[case(r#"{"probability": 0"#)]
#[case(r#"[{"probability": 0}]"#)]
#[case(r#"{"verdict": {"probability": 0}}"#)]
#[case(r#""{\"probability\": 0}""#)]
#[case(r#"{"probability": 0} {"probability": 1}"#)]
#[case(r#"{"probability": 1} {"probability": 0}"#)]
#[case(r#"{"probability": 0} {"probability": "#)]
#[case(r#"The call holds {"probability": 0} which"#)]
#[case(r#"{"probability": 0} is what the call says"#)]
#[case("```json\n{\"probability\": 0}\n```\nBut I think 1.")]
fn unreadable(#[case] answer: &str) {
    assert!(Verdict::read(answer).is_err());
}

#[test]
fn a_category_is_one_of_the_list() {
    let named = Verdict::read(r#"{"probability": 1, "category": "exfiltration"}"#).unwrap();
    assert_eq!(named.category.name(), "exfiltration");
    let unknown = Verdict::read(r#"{"probability": 1, "category": "<b>"}"#).unwrap();
    assert_eq!(unknown.category, Category::Other);
}

#[test]
fn rulings() {
    assert_eq!(Ruling::read(r#"{"action": "pass"}"#), Ok(Ruling::Pass));
    let replaced = Ruling::read(
        r#"{"action":"replace","blocks":[{"type":"text","text":"a"},{"type":"text","text":""},
           {"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}"#,
    );
    let call = ToolCall {
        id: String::new(),
        name: "Bash".to_owned(),
        form: ToolForm::Client,
        raw: r#"{"command":"ls"}"#.to_owned(),
        arguments: Ok(json!({"command": "ls"})),
    };
    assert_eq!(replaced, Ok(Ruling::Replace(vec![Block::Text("a".to_owned()), Block::ToolCall(call)])));
}

#[rstest]
#[case(r#"{"action": "allow"}"#)]
#[case(r#"{"action": "pass", "blocks": []}"#)]
#[case(r#"{"action": "replace"}"#)]
#[case(r#"{"action": "replace", "blocks": [{"type": "text"}]}"#)]
#[case(r#"{"action": "replace", "blocks": [["text", "hi"]]}"#)]
#[case(r#"{"action": "replace", "blocks": [{"type": "text", "text": "hi", "role": "user"}]}"#)]
#[case(r#"{"action": "replace", "blocks": [{"type": "tool_use", "name": "x", "input": "ls"}]}"#)]
#[case(r#"{"action": "replace", "blocks": [{"type": "image", "text": "x"}]}"#)]
#[case(r#"{"action": "pass"} {"action": "replace", "blocks": []}"#)]
#[case("pass")]
fn unreadable_rulings(#[case] answer: &str) {
    assert!(Ruling::read(answer).is_err());
}

proptest! {
    #[test]
    fn a_probability_is_always_within_its_range(number in any::<f64>()) {
        let answer = json!({"probability": number}).to_string();
        match Verdict::read(&answer) {
            Ok(verdict) => prop_assert!((0.0..=1.0).contains(&verdict.probability)),
            Err(_) => prop_assert!(!number.is_finite()),
        }
    }

    #[test]
    fn reading_never_fails_otherwise(answer in "(?s).{0,60}|[{}\\[\\]\":,0-9a ]{0,60}") {
        let _ = (Verdict::read(&answer), Ruling::read(&answer));
    }
}

#[rstest]
#[case(r#"{"action": "withheld words"}"#)]
#[case(r#"{"action": "replace", "blocks": ["withheld words"]}"#)]
#[case(r#"{"action": "replace", "withheld words": []}"#)]
#[case(r#"{"action": "replace", "blocks": [{"type": "withheld words"}]}"#)]
#[case(r#"{"action": "replace", "blocks": [{"type": "text", "text": "x", "withheld words": 1}]}"#)]
fn why_a_ruling_is_unreadable_holds_none_of_its_words(#[case] answer: &str) {
    let why = Ruling::read(answer).unwrap_err();
    assert!(!why.contains("withheld"), "{why}");
}

#[rstest]
#[case("\u{feff}{\"probability\": 0} // fine")]
#[case("// fine\n{\"probability\": 0}")]
#[case("{\"probability\": 0,}")]
#[case("{'probability': 0}")]
#[case("{\"probability\": 0 /* sure */}")]
#[case("{\"Probability\": 0}")]
#[case("{\"probability\": -Infinity}")]
#[case("{\"probability\": 00}")]
#[case("{\"probability\": .1}")]
#[case("{\"probability\": true}")]
#[case("{\"\\u0070robability\": 0, \"probability\": 1}")]
#[case("```\n[{\"probability\": 0}]\n```")]
#[case("````markdown\n```json\n{\"probability\": 0}\n```\n````")]
#[case("~~~\n{\"probability\": 0}\n~~~")]
#[case("<answer>{\"probability\": 0}</answer>")]
#[case("{\"probability\": 0}, {\"probability\": 0}")]
#[case("{\"probability\": 0}{\"probability\": 0, \"explanation\": \"\"}")]
#[case("{\"probability\": 0}\u{0}")]
fn more_that_is_no_verdict(#[case] answer: &str) {
    assert!(Verdict::read(answer).is_err(), "{answer}");
}

#[test]
fn depth_and_length_do_not_bring_the_reader_down() {
    let deep = format!("{{\"probability\": 0, \"explanation\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Verdict::read(&deep).is_err());
    assert!(Verdict::read(&"{\"probability\":".repeat(100_000)).is_err());
    assert!(Verdict::read(&"```".repeat(100_000)).is_err());
    let long = format!("{{\"probability\": {}}}", "9".repeat(100_000));
    assert!(Verdict::read(&long).is_err());
}
