//! The signature that Gemini gives with a call on Chat (`extra_content.google.thought_signature`), and without which it takes
//! no call back. Clients of other dialects have no place for it in a call: it goes in an envelope of its own, in reasoning
//! without words in front of its call, and back to the call behind it. One that comes when its call has begun goes at the end
//! of the answer, with the id by which the client knows the call.

use serde_json::{Map, Value, json};

/// The type of the element of `reasoning_details` that holds one in an envelope.
const TYPE: &str = "luthien.call";

/// The signature in a call's `extra_content`.
pub(super) fn read(extra: &Value) -> Option<String> {
    let signature = extra.pointer("/google/thought_signature")?.as_str()?;
    (!signature.is_empty()).then(|| signature.to_owned())
}

/// It as an element of `reasoning_details`.
pub(super) fn element(signature: &str) -> Value {
    json!({"type": TYPE, "data": signature})
}

/// The same, of the call that the client knows by this id.
pub(super) fn element_of(id: &str, signature: &str) -> Value {
    json!({"type": TYPE, "id": id, "data": signature})
}

/// A signature as it comes back.
pub(super) struct Signature {
    pub(super) data: String,
    /// Whose it is; without, that of the call behind it.
    pub(super) id: Option<String>,
}

/// Takes it out of reasoning as it comes back.
pub(super) fn take(reasoning: &mut Map<String, Value>) -> Option<Signature> {
    let Some(Value::Array(details)) = reasoning.get_mut("reasoning_details") else { return None };
    let at = details.iter().position(|element| element.get("type").is_some_and(|kind| kind == TYPE))?;
    let element = details.remove(at);
    if details.is_empty() {
        reasoning.shift_remove("reasoning_details");
    }
    let text = |name: &str| element.get(name)?.as_str().map(str::to_owned);
    Some(Signature { data: text("data")?, id: text("id") })
}

/// A call's `extra_content`.
pub(super) fn written(signature: &str) -> Value {
    json!({"google": {"thought_signature": signature}})
}
