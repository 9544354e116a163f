//! Log probabilities of an answer's tokens: Chat and Responses have them in one form, but for what may be left out.

use serde_json::Value;

use super::event::{Delta, Event, Key};
use crate::dialect::Dialect;

/// The tokens of a list, as far as they are some.
pub(super) fn tokens(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    let is_token = |one: &&Value| one["token"].is_string() && one["logprob"].is_number();
    list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter().filter(is_token)
}

/// Gives these tokens to the text that ends `out`, if it is this block's; gives them back where there is none.
pub(super) fn spell(key: Key, tokens: Vec<Value>, out: &mut [Event]) -> Vec<Value> {
    match out.last_mut() {
        Some(Event::Delta(of, delta @ Delta::Text(_))) if *of == key => {
            if let Delta::Text(text) = delta {
                *delta = Delta::Spelt(std::mem::take(text), tokens);
            }
            Vec::new()
        }
        _ => tokens,
    }
}

/// A token with the members that readers of the dialect count on.
pub(super) fn fitted(mut token: Value, to: Dialect) -> Value {
    with_bytes(&mut token, to);
    match token.get_mut("top_logprobs") {
        Some(Value::Array(others)) => others.iter_mut().for_each(|other| with_bytes(other, to)),
        _ => token["top_logprobs"] = Value::Array(Vec::new()),
    }
    token
}

/// Chat may leave the bytes out, Responses not.
fn with_bytes(token: &mut Value, to: Dialect) {
    let Some(token) = token.as_object_mut() else { return };
    if token.get("bytes").is_some_and(Value::is_array) {
        return;
    }
    let bytes = match (to, token.get("token").and_then(Value::as_str)) {
        (Dialect::Responses, Some(name)) => name.as_bytes().into(),
        (Dialect::Responses, None) => Value::Array(Vec::new()),
        (Dialect::Chat | Dialect::Messages, _) => Value::Null,
    };
    token.insert("bytes".to_owned(), bytes);
}
