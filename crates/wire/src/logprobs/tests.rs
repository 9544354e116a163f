//! Which log probabilities stay: those that spell no more than the text beside them.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn tokens(all: &[&str]) -> Value {
    all.iter()
        .map(|token| json!({"token": token, "logprob": -0.5, "bytes": token.as_bytes(), "top_logprobs": []}))
        .collect()
}

fn choice(words: &str, said: &Value, logprobs: &Value) -> String {
    json!({"choices": [{"index": 0, words: said, "logprobs": logprobs, "finish_reason": null}]}).to_string()
}

fn content(list: &Value) -> Value {
    json!({"content": list, "refusal": null})
}

#[rstest]
#[case::the_text(json!({"content": " Yes."}), content(&tokens(&[" Yes", "."])))]
#[case::less_than_the_text(json!({"content": "Yes."}), content(&tokens(&[" Yes"])))]
#[case::nothing(json!({}), content(&json!([])))]
#[case::a_refusal(json!({"refusal": "No"}), json!({"content": null, "refusal": tokens(&["No"])}))]
#[case::the_first_half_of_a_character(json!({"content": ""}), content(&json!([{"token": "\\xf0\\x9f", "bytes": [240, 159]}])))]
#[case::the_second_half(json!({"content": "😀!"}), content(&json!([{"token": "\\x98\\x80", "bytes": [152, 128]}, {"token": "!", "bytes": null}])))]
#[case::reasoning(json!({"reasoning_content": "hm"}), json!({"content": null, "reasoning_content": tokens(&["hm"])}))]
fn what_the_text_says_stays(#[case] said: Value, #[case] logprobs: Value) {
    for words in ["delta", "message"] {
        assert_eq!(sift(Dialect::Chat, &choice(words, &said, &logprobs)), None);
    }
}

#[rstest]
#[case::ahead_of_the_text(json!({"content": "Yes"}), content(&tokens(&["Yes", " secret"])))]
#[case::without_a_text(json!({}), content(&tokens(&["secret"])))]
#[case::beside_an_empty_text(json!({"role": "assistant", "content": ""}), content(&tokens(&["secret"])))]
#[case::a_calls(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}), content(&tokens(&["{}"])))]
#[case::a_token_that_is_not_its_bytes(json!({"content": "Yes"}), content(&json!([{"token": "secret", "bytes": [89, 101, 115]}])))]
#[case::of_another_form(json!({"content": "Yes"}), json!({"tokens": ["secret"]}))]
#[case::a_list(json!({"content": "Yes"}), tokens(&["Yes"]))]
#[case::of_another_member(json!({"content": "secret"}), json!({"refusal": tokens(&["secret"])}))]
fn what_it_does_not_say_goes(#[case] said: Value, #[case] logprobs: Value) {
    for words in ["delta", "message"] {
        let sifted = sift(Dialect::Chat, &choice(words, &said, &logprobs));
        assert_eq!(sifted, Some(choice(words, &said, &Value::Null)));
    }
}

fn response(delta: &Value, done: &Value, part: &Value, item: &Value, output: &Value) -> [String; 5] {
    let content = |list: &Value| json!({"type": "output_text", "text": "Yes", "logprobs": list});
    let message = |list: &Value| json!({"type": "message", "content": [content(list)]});
    [
        json!({"type": "response.output_text.delta", "delta": "Yes", "logprobs": delta}),
        json!({"type": "response.output_text.done", "text": "Yes", "logprobs": done}),
        json!({"type": "response.content_part.done", "part": content(part)}),
        json!({"type": "response.output_item.done", "item": message(item)}),
        json!({"type": "response.completed", "response": {"output": [{"type": "reasoning"}, message(output)]}}),
    ]
    .map(|event| event.to_string())
}

#[test]
fn a_response_is_held_to_it_wherever_it_says_a_text() {
    let (same, more, none) = (tokens(&["Yes"]), tokens(&["Yes", " secret"]), json!([]));
    for event in response(&same, &same, &same, &same, &same) {
        assert_eq!(sift(Dialect::Responses, &event), None);
    }
    let sifted = response(&more, &more, &more, &more, &more).map(|event| sift(Dialect::Responses, &event));
    assert_eq!(sifted, response(&none, &none, &none, &none, &none).map(Some));
    let whole = |list: &Value| {
        let part = json!({"type": "output_text", "text": "Yes", "logprobs": list});
        json!({"output": [{"type": "message", "content": [part]}]}).to_string()
    };
    assert_eq!(sift(Dialect::Responses, &whole(&more)), Some(whole(&none)));
}

#[test]
fn a_frame_keeps_its_event() {
    let frame = |list: Value| {
        let data = json!({"type": "response.output_text.delta", "delta": "Yes", "logprobs": list}).to_string();
        let raw = Frame::write("response.output_text.delta", &data);
        Frame { raw, event: Bytes::from_static(b"response.output_text.delta"), data: Some(data.into()) }
    };
    assert_eq!(sift_frame(Dialect::Responses, &frame(tokens(&["No"]))), Some(frame(json!([]))));
    assert_eq!(sift_frame(Dialect::Responses, &frame(tokens(&["Yes"]))), None);
}

#[test]
fn a_whole_answer_without_an_edit_stays_as_it_is() {
    let body = choice("message", &json!({"content": null}), &content(&tokens(&["Yes"])));
    let read = crate::whole::decode(Dialect::Chat, body.as_bytes()).unwrap();
    assert_eq!(crate::whole::rewrite(Dialect::Chat, &body, &read, &[None]), Some(body));
}
