//! A judge's question as a request of each dialect, and the text of its answer.

use luthien_policy::judge::JudgeRequest;
use luthien_wire::Dialect;
use serde_json::{Value, json};

/// The body of a question to `model`.
pub(super) fn question(dialect: Dialect, model: &str, question: &JudgeRequest) -> Value {
    let JudgeRequest { system, prompt, temperature, max_tokens, .. } = question;
    let user = json!({"role": "user", "content": prompt});
    match dialect {
        Dialect::Messages => json!({
            "model": model, "max_tokens": max_tokens, "temperature": temperature, "system": system, "messages": [user],
        }),
        Dialect::Chat => json!({
            "model": model, "max_tokens": max_tokens, "temperature": temperature,
            "messages": [{"role": "system", "content": system}, user],
        }),
        // The vendor need not keep what policies ask.
        Dialect::Responses => json!({
            "model": model, "max_output_tokens": max_tokens, "temperature": temperature, "store": false,
            "instructions": system, "input": [user],
        }),
    }
}

/// Leaves out or renames what the model says it does not take. False where nothing was left to change.
pub(super) fn adapt(body: &mut Value, refusal: &[u8]) -> bool {
    let refusal = String::from_utf8_lossy(refusal);
    let Some(body) = body.as_object_mut() else { return false };
    if refusal.contains("max_completion_tokens")
        && let Some(most) = body.remove("max_tokens")
    {
        body.insert("max_completion_tokens".to_owned(), most);
        return true;
    }
    refusal.contains("temperature") && body.remove("temperature").is_some()
}

/// What the judge says, if it says anything.
pub(super) fn text(dialect: Dialect, answer: &Value) -> Option<String> {
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned();
    let texts = |blocks: Vec<Value>, kind: &str| {
        let texts = blocks.iter().filter(|block| block["type"] == kind).filter_map(|block| block["text"].as_str());
        texts.collect::<String>()
    };
    match dialect {
        Dialect::Messages => list(answer, "content").map(|blocks| texts(blocks, "text")),
        Dialect::Chat => answer.pointer("/choices/0/message/content").and_then(Value::as_str).map(str::to_owned),
        Dialect::Responses => list(answer, "output").map(|items| {
            let parts = items.iter().filter(|item| item["type"] == "message").filter_map(|item| list(item, "content"));
            parts.map(|parts| texts(parts, "output_text")).collect()
        }),
    }
}

/// The tokens of question and answer, as far as the answer says. Anthropic counts cached tokens apart.
pub(super) fn usage(dialect: Dialect, answer: &Value) -> (Option<u64>, Option<u64>) {
    let count = |name: &str| answer["usage"][name].as_u64();
    match dialect {
        Dialect::Messages => {
            let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"].into_iter().filter_map(count);
            (count("input_tokens").map(|input| input.saturating_add(cached.sum())), count("output_tokens"))
        }
        Dialect::Chat => (count("prompt_tokens"), count("completion_tokens")),
        Dialect::Responses => (count("input_tokens"), count("output_tokens")),
    }
}

#[cfg(test)]
mod tests {
    use luthien_policy::judge::JudgeRoute;

    use super::*;

    #[test]
    fn a_judges_text_is_read_in_every_dialect() {
        let messages = json!({"content": [
            {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"},
        ]});
        assert_eq!(text(Dialect::Messages, &messages).as_deref(), Some("ab"));
        let chat = json!({"choices": [{"message": {"content": "c"}}]});
        assert_eq!(text(Dialect::Chat, &chat).as_deref(), Some("c"));
        let responses = json!({"output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "d"}, {"type": "refusal", "refusal": "no"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "e"}]},
        ]});
        assert_eq!(text(Dialect::Responses, &responses).as_deref(), Some("de"));
        for dialect in Dialect::ALL {
            assert_eq!(text(dialect, &json!({"error": {}})), None);
        }
    }

    #[test]
    fn a_question_stands_in_the_fields_of_its_dialect() {
        let asked = JudgeRequest {
            model: "ignored".to_owned(),
            system: "Judge.".to_owned(),
            prompt: "Is it bad?".to_owned(),
            temperature: 0.0,
            max_tokens: 64,
            usual_model: false,
            via: JudgeRoute::UserCredentials,
        };
        let user = json!({"role": "user", "content": "Is it bad?"});
        let body = question(Dialect::Responses, "m", &asked);
        let expected = json!({
            "model": "m", "max_output_tokens": 64, "temperature": 0.0, "store": false, "instructions": "Judge.",
            "input": [user],
        });
        assert_eq!(body, expected);
        let body = question(Dialect::Messages, "m", &asked);
        assert_eq!((&body["system"], &body["messages"]), (&json!("Judge."), &json!([user])));
        let body = question(Dialect::Chat, "m", &asked);
        assert_eq!(body["messages"], json!([{"role": "system", "content": "Judge."}, user]));
    }

    #[test]
    fn parameters_that_a_model_refuses_are_left_out_once() {
        let mut body = json!({"max_tokens": 5, "temperature": 0.0});
        let refusal = b"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
        assert!(adapt(&mut body, refusal));
        assert!(!adapt(&mut body, refusal));
        assert!(adapt(&mut body, b"`temperature` does not support 0"));
        assert_eq!(body, json!({"max_completion_tokens": 5}));
    }
}
