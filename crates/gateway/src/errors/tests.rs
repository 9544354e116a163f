//! Errors in each dialect.

use super::*;

#[test]
fn every_own_error_says_whether_to_retry_and_in_which_class_it_is() {
    let too_large = GatewayError::TooLarge("more than 10 bytes".to_owned());
    assert_eq!(too_large.status(), 413);
    assert!(!too_large.retry_can_help());
    assert!(too_large.to_string().starts_with("Request too large"));
    let unreachable = GatewayError::Unreachable {
        upstream: "anthropic".to_owned(),
        host: "api.anthropic.com:443".to_owned(),
        why: "connection refused".to_owned(),
    };
    assert_eq!(unreachable.status(), 502);
    assert_eq!(unreachable.fault(), Fault::Upstream);
    assert!(unreachable.retry_can_help());
}

#[test]
fn an_error_stands_in_the_envelope_of_its_dialect() {
    let error = GatewayError::BadRequest("`model` is missing".to_owned());
    let messages: serde_json::Value = serde_json::from_slice(&error.body(Dialect::Messages, "t1")).unwrap();
    assert_eq!(messages["type"], "error");
    assert_eq!(messages["error"]["type"], "invalid_request_error");
    assert_eq!(messages["request_id"], "t1");
    let chat: serde_json::Value = serde_json::from_slice(&error.body(Dialect::Chat, "t1")).unwrap();
    assert_eq!(chat["error"]["message"], "`model` is missing");
}

#[test]
fn waiting_is_said_where_it_helps() {
    let too_many = GatewayError::TooManyTokens { per_minute: 5, wait: Duration::from_secs(7) };
    let full = GatewayError::TooManyStreams(3);
    let forbidden = GatewayError::CapForbids("no".to_owned());
    let said = |error: &GatewayError| (error.status().as_u16(), error.kind(), error.retry_can_help(), error.wait());
    assert_eq!(said(&too_many), (429, "rate_limit_error", true, None));
    assert_eq!(said(&full), (503, "overloaded_error", true, Some(1)));
    assert_eq!(said(&forbidden), (403, "permission_error", false, None));
    let code = |dialect: Dialect| {
        let body: serde_json::Value = serde_json::from_slice(&too_many.body(dialect, "t1")).unwrap();
        body["error"]["code"].clone()
    };
    assert_eq!(Dialect::ALL.map(code), [json!(null), json!("rate_limit_exceeded"), json!("rate_limit_exceeded")]);
}
