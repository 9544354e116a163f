//! The texts of numbered requests and answers, and how they are found again in any dialect.

use luthien_wire::Dialect;
use serde_json::{Value, json};

/// What the answer to a request says in so many pieces; it begins with what it says in fewer.
pub(crate) fn answer(number: u64, pieces: usize) -> String {
    (0..pieces).map(|piece| self::piece(number, piece)).collect()
}

/// One piece of it.
pub(crate) fn piece(number: u64, piece: usize) -> String {
    format!("[{number}/{piece}] and so on. ")
}

/// A request whose text nobody else's equals, and which names its number.
pub(crate) fn request(number: u64, model: &str, dialect: Dialect, stream: bool) -> Value {
    let text = format!("{}{number}: {}", ASKS, format!("What about {number}? ").repeat(40));
    let messages = json!([{"role": "user", "content": text}]);
    let field = if dialect == Dialect::Responses { "input" } else { "messages" };
    let mut body = json!({"model": model, "stream": stream});
    body[field] = messages;
    if dialect == Dialect::Messages {
        body["max_tokens"] = json!(1000);
    }
    body
}

/// The number of a request, from its text; none without a text.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let (_, rest) = text.split_once(ASKS).unwrap_or_else(|| panic!("no numbered request: {text}"));
    Some(rest.split(':').next().and_then(|number| number.parse().ok()).expect("a number"))
}

const ASKS: &str = "request ";

/// The text that a frame of a stream adds.
pub(crate) fn delta(dialect: Dialect, data: &[u8]) -> String {
    let event: Value = serde_json::from_slice(data).unwrap_or_default();
    let text = match dialect {
        Dialect::Messages => &event["delta"]["text"],
        Dialect::Chat => &event["choices"][0]["delta"]["content"],
        Dialect::Responses if event["type"] == "response.output_text.delta" => &event["delta"],
        Dialect::Responses => &Value::Null,
    };
    text.as_str().unwrap_or_default().to_owned()
}

/// The text of a whole answer.
pub(crate) fn whole(dialect: Dialect, answer: &Value) -> String {
    let texts = |items: &Value| -> String {
        items.as_array().into_iter().flatten().filter_map(|item| item["text"].as_str()).collect()
    };
    match dialect {
        Dialect::Messages => texts(&answer["content"]),
        Dialect::Chat => answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned(),
        Dialect::Responses => {
            answer["output"].as_array().into_iter().flatten().map(|item| texts(&item["content"])).collect()
        }
    }
}
