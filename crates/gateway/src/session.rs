//! Which session and user a request belongs to, as its client names them.

use http::HeaderMap;
use luthien_wire::request::Request;
use serde_json::Value;

/// Longer names than this are not believed to be ids, in bytes.
const LONGEST: usize = 256;

/// The session of a request: from the body of a Messages client, else from headers (Codex tells its session, and the thread
/// where it is another agent's, in several), else from the prompt cache key.
pub(crate) fn session_id(headers: &HeaderMap, request: &Request) -> Option<String> {
    let named = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    request
        .user_id()
        .and_then(|user_id| of_user_id(&user_id))
        .or_else(|| named("x-claude-code-session-id"))
        .or_else(|| named("x-session-id"))
        .or_else(|| named("session_id"))
        .or_else(|| named("session-id"))
        .or_else(|| named("x-codex-turn-metadata").and_then(|metadata| of_json(&metadata)))
        .or_else(|| named("thread-id"))
        .or_else(|| request.prompt_cache_key())
        .filter(|id| !id.is_empty() && id.len() <= LONGEST)
}

/// The session in `metadata.user_id`: `…_session_<uuid>`, or a JSON object with `session_id`.
fn of_user_id(user_id: &str) -> Option<String> {
    if user_id.starts_with('{') {
        return of_json(user_id);
    }
    let (_, id) = user_id.rsplit_once("_session_")?;
    uuid::Uuid::try_parse(id).is_ok().then(|| id.to_owned())
}

/// The session in a JSON object with `session_id`.
fn of_json(text: &str) -> Option<String> {
    let object: Value = serde_json::from_str(text).ok()?;
    object.get("session_id")?.as_str().map(str::to_owned)
}

/// The user, where a header that may be believed names one.
pub(crate) fn user_id(headers: &HeaderMap, trust_own_header: bool) -> Option<String> {
    let named = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    trust_own_header
        .then(|| named("x-luthien-user-id"))
        .flatten()
        .or_else(|| named("x-claude-gateway-user-id"))
        .filter(|id| !id.is_empty() && id.len() <= LONGEST)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use luthien_wire::Dialect;
    use luthien_wire::request::RequestKind;
    use serde_json::json;

    use super::*;

    const ID: &str = "0192b1a0-0000-7000-8000-000000000001";

    fn request(metadata: &Value) -> Request {
        let body = json!({"model": "m", "max_tokens": 1, "messages": [], "metadata": metadata}).to_string();
        Request::parse(Dialect::Messages, RequestKind::Turn, Bytes::from(body)).unwrap()
    }

    #[test]
    fn the_body_names_the_session_in_either_form() {
        let older = request(&json!({"user_id": format!("user_abc_account__session_{ID}")}));
        assert_eq!(session_id(&HeaderMap::new(), &older).as_deref(), Some(ID));
        let newer = request(&json!({"user_id": json!({"device_id": "d", "session_id": ID}).to_string()}));
        assert_eq!(session_id(&HeaderMap::new(), &newer).as_deref(), Some(ID));
    }

    #[test]
    fn headers_name_it_where_the_body_does_not() {
        let mut headers = HeaderMap::new();
        headers.insert("session_id", "codex".parse().unwrap());
        assert_eq!(session_id(&headers, &request(&json!({}))).as_deref(), Some("codex"));
        headers.insert("x-session-id", "plain".parse().unwrap());
        assert_eq!(session_id(&headers, &request(&json!({"user_id": "a_session_no-uuid"}))).as_deref(), Some("plain"));
    }

    #[test]
    fn codex_names_it_in_any_of_its_headers_or_its_cache_key() {
        let body = json!({"model": "gpt-5", "input": [], "prompt_cache_key": "key"}).to_string();
        let request = Request::parse(Dialect::Responses, RequestKind::Turn, Bytes::from(body)).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(session_id(&headers, &request).as_deref(), Some("key"));
        headers.insert("thread-id", "thread".parse().unwrap());
        assert_eq!(session_id(&headers, &request).as_deref(), Some("thread"));
        let metadata = json!({"session_id": "of-metadata", "thread_id": "thread", "request_kind": "turn"});
        headers.insert("x-codex-turn-metadata", metadata.to_string().parse().unwrap());
        assert_eq!(session_id(&headers, &request).as_deref(), Some("of-metadata"));
        headers.insert("session-id", ID.parse().unwrap());
        assert_eq!(session_id(&headers, &request).as_deref(), Some(ID));
    }

    #[test]
    fn a_user_header_of_our_own_counts_only_when_trusted() {
        let mut headers = HeaderMap::new();
        headers.insert("x-luthien-user-id", "eve".parse().unwrap());
        assert_eq!(user_id(&headers, false), None);
        assert_eq!(user_id(&headers, true).as_deref(), Some("eve"));
    }
}
