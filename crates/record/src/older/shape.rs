//! Which dialect a recorded body is of: the older proxies do not say it.

use bytes::Bytes;
use luthien_wire::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The members that tell.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Shape<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

fn shape(body: &[u8]) -> Shape<'_> {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The dialect of a call: what its answer looks like, else its request, else who provided the model.
pub(super) fn dialect(request: &[u8], answer: Option<&Bytes>, provider: &str, model: Option<&str>) -> Dialect {
    let answer = answer.map(|answer| shape(answer)).unwrap_or_default();
    let asked = shape(request);
    if answer.choices.is_some() {
        return Dialect::Chat;
    }
    if asked.messages.is_none() && (answer.output.is_some() || asked.input.is_some()) {
        return Dialect::Responses;
    }
    if answer.content.is_some() || asked.system.is_some() {
        return Dialect::Messages;
    }
    let model = model.unwrap_or_default();
    let of_openai = model.starts_with("gpt") || model.starts_with("openai/");
    if of_openai || provider.eq_ignore_ascii_case("openai") { Dialect::Chat } else { Dialect::Messages }
}

/// The model that a request names.
pub(super) fn model(request: &[u8]) -> Option<String> {
    serde_json::from_str(shape(request).model?.get()).ok()
}

/// The path of a dialect's turns.
pub(super) fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "/v1/messages",
        Dialect::Chat => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect_is_told_by_the_bodies() {
        for (request, answer, provider, model, expected) in [
            (r#"{"messages": []}"#, Some(r#"{"choices": []}"#), "", "claude-x", Dialect::Chat),
            (
                r#"{"messages": []}"#,
                Some(r#"{"type": "message", "content": []}"#),
                "openai",
                "gpt-5",
                Dialect::Messages,
            ),
            (r#"{"input": "hi"}"#, None, "", "gpt-5", Dialect::Responses),
            (r#"{"input": []}"#, Some(r#"{"output": []}"#), "", "", Dialect::Responses),
            (r#"{"messages": [], "system": "x"}"#, None, "", "gpt-5", Dialect::Messages),
            (r#"{"messages": []}"#, None, "OpenAI", "x", Dialect::Chat),
            (r#"{"messages": []}"#, None, "", "gpt-5", Dialect::Chat),
            (r#"{"messages": []}"#, None, "", "claude-x", Dialect::Messages),
            ("[]", None, "", "", Dialect::Messages),
        ] {
            let answer = answer.map(Bytes::from);
            let found = dialect(request.as_bytes(), answer.as_ref(), provider, Some(model));
            assert_eq!(found, expected, "{request} {answer:?} {provider} {model}");
        }
    }

    #[test]
    fn the_model_is_the_requests() {
        assert_eq!(model(br#"{"model": "claude-x"}"#).as_deref(), Some("claude-x"));
        assert_eq!(model(b"{}"), None);
    }
}
