//! Errors keep their words and their meaning in every envelope; limits keep their numbers.

use serde_json::{Value, json};

use super::*;

fn converted(from: Dialect, to: Dialect, status: u16, body: &str) -> Value {
    serde_json::from_slice(&error(from, to, status, body.as_bytes(), "req_own")).unwrap()
}

#[test]
fn the_type_follows_the_status() {
    let expected = [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ];
    for (status, kind) in expected {
        let body = converted(Dialect::Chat, Dialect::Messages, status, r#"{"error":{"message":"Why."}}"#);
        let error = json!({"type": kind, "message": "Why."});
        assert_eq!(body, json!({"type": "error", "error": error, "request_id": "req_own"}), "{status}");
    }
}

#[test]
fn a_full_context_is_known_by_its_words_or_its_code() {
    let ways = [
        r#"{"error":{"message":"Too much.","code":"context_length_exceeded"}}"#,
        r#"{"error":{"message":"Too much.","type":"exceed_context_size_error","code":400}}"#,
        r#"{"object":"error","message":"This model's maximum context length is 8 tokens.","code":400}"#,
        r#"{"error":{"message":"request (9 tokens) exceeds the available context size","code":500}}"#,
    ];
    for way in ways {
        let body = converted(Dialect::Chat, Dialect::Messages, 400, way);
        let message = body["error"]["message"].as_str().unwrap();
        let theirs: Value = serde_json::from_str(way).unwrap();
        let theirs = theirs.pointer("/error/message").unwrap_or(&theirs["message"]);
        assert_eq!(message, format!("prompt is too long: {}", theirs.as_str().unwrap()));
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
    let anthropic =
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}"#;
    for to in [Dialect::Chat, Dialect::Responses] {
        let body = converted(Dialect::Messages, to, 400, anthropic);
        assert_eq!(body["error"]["code"], "context_length_exceeded");
        assert_eq!(body["error"]["message"], "prompt is too long: 9 > 8");
    }
}

#[test]
fn types_that_only_the_vendor_has_stay() {
    let blocked = r#"{"type":"error","error":{"type":"policy_blocked","message":"No."},"request_id":"req_theirs"}"#;
    let body = converted(Dialect::Messages, Dialect::Chat, 400, blocked);
    let error =
        json!({"message": "No.", "type": "policy_blocked", "param": null, "code": null, "request_id": "req_theirs"});
    assert_eq!(body, json!({"error": error}));
    let odd = r#"{"error":{"message":"No.","type":"image_error","param":"image","code":"image_too_small"}}"#;
    let body = converted(Dialect::Responses, Dialect::Chat, 400, odd);
    let error = json!({"message": "No.", "type": "image_error", "param": "image", "code": "image_too_small", "request_id": "req_own"});
    assert_eq!(body, json!({"error": error}));
}

#[test]
fn a_number_for_a_code_is_a_status() {
    let llama = r#"{"error":{"code":500,"message":"Failed to parse","type":"server_error"}}"#;
    let body = converted(Dialect::Messages, Dialect::Responses, 500, llama);
    assert_eq!(body["error"]["code"], Value::Null);
    assert_eq!(body["error"]["type"], "server_error");
}

#[test]
fn what_is_no_json_is_told_as_text() {
    let told = |body: &str| converted(Dialect::Chat, Dialect::Messages, 502, body)["error"]["message"].clone();
    assert_eq!(told("upstream connect error\n"), "upstream connect error");
    assert_eq!(told(""), "the upstream answered 502 without a message");
    assert_eq!(told("\"busy\""), "\"busy\"");
    let page = "<!DOCTYPE html><html><head><style>p{color:red}</style><script>if (a<b) {}</script></head>\n<body><h1>502</h1>\n\n <p>Bad &amp; gone</p><</body>";
    assert_eq!(told(page), "502 Bad &amp; gone");
    let long = "é".repeat(3000);
    assert_eq!(told(&long).as_str().unwrap().chars().count(), 2001);
}

#[test]
fn errors_without_an_envelope_are_read_too() {
    let told = |body: &str| converted(Dialect::Chat, Dialect::Messages, 404, body)["error"].clone();
    let error = |message: &str| json!({"type": "not_found_error", "message": message});
    assert_eq!(told(r#"{"detail":"Not Found"}"#), error("Not Found"));
    assert_eq!(told(r#"{"error":"model 'x' not found"}"#), error("model 'x' not found"));
    assert_eq!(told(r#"{"message":"No such model","code":404}"#), error("No such model"));
    assert_eq!(told(r#"{"reason":"gone"}"#), error(r#"{"reason":"gone"}"#));
}

fn told(from: Dialect, to: Dialect, headers: &[(&str, &str)]) -> Vec<String> {
    // 2026-11-20T10:00:00Z
    limits(from, to, headers, 1_795_168_800).into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn anthropics_limits_under_openais_names() {
    let headers = [
        ("anthropic-ratelimit-requests-limit", "50"),
        ("Anthropic-RateLimit-Requests-Remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2026-11-20T10:00:01Z"),
        ("anthropic-ratelimit-tokens-limit", "80000"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-20T11:01:01.5+00:00"),
        ("anthropic-ratelimit-input-tokens-limit", "40000"),
        ("anthropic-ratelimit-input-tokens-remaining", "39000"),
        ("anthropic-ratelimit-unified-status", "allowed"),
    ];
    let expected = [
        "x-ratelimit-limit-requests: 50",
        "x-ratelimit-remaining-requests: 49",
        "x-ratelimit-reset-requests: 1s",
        "x-ratelimit-limit-tokens: 80000",
        "x-ratelimit-reset-tokens: 1h1m2s",
        "x-ratelimit-remaining-tokens: 39000",
    ];
    for to in [Dialect::Chat, Dialect::Responses] {
        assert_eq!(told(Dialect::Messages, to, &headers), expected);
    }
    let past = [("anthropic-ratelimit-requests-reset", "2026-11-20T09:59:00Z")];
    assert_eq!(told(Dialect::Messages, Dialect::Chat, &past), ["x-ratelimit-reset-requests: 0s"]);
}

#[test]
fn openais_limits_under_anthropics_names() {
    let headers = [
        ("x-ratelimit-limit-requests", "500"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-requests", "120ms"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    let expected = [
        "anthropic-ratelimit-requests-limit: 500",
        "anthropic-ratelimit-requests-reset: 2026-11-20T10:00:01Z",
        "anthropic-ratelimit-tokens-remaining: 149984",
        "anthropic-ratelimit-tokens-reset: 2026-11-20T10:06:00Z",
    ];
    assert_eq!(told(Dialect::Chat, Dialect::Messages, &headers), expected);
    assert_eq!(told(Dialect::Chat, Dialect::Responses, &headers), Vec::<String>::new());
}

#[test]
fn times_of_other_forms_are_read_or_left_out() {
    let reset = |value: &str| told(Dialect::Responses, Dialect::Messages, &[("x-ratelimit-reset-tokens", value)]);
    for (value, time) in [("1h30m", "11:30:00"), ("7.66s", "10:00:08"), ("0", "10:00:00"), ("90", "10:01:30")] {
        assert_eq!(reset(value), [format!("anthropic-ratelimit-tokens-reset: 2026-11-20T{time}Z")], "{value}");
    }
    for value in ["", "soon", "5x", "-1s", "1.2.3s", "ms", "NaN", "inf", "1e300", "99999999999999999999d"] {
        assert_eq!(reset(value), Vec::<String>::new(), "{value}");
    }
    let tomorrow = told(Dialect::Messages, Dialect::Chat, &[("anthropic-ratelimit-tokens-reset", "tomorrow")]);
    assert_eq!(tomorrow, Vec::<String>::new());
}
