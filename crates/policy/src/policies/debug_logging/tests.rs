//! What is kept out of the log, and that nothing waits for it.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::catalogue::{LoadEnv, PolicySpec, load};
use crate::scripted;
use crate::tree::Tree;

#[rstest]
#[case("key sk-made-up-0123456789abcdef", "key [redacted]")]
#[case("Authorization: Bearer abcdefgh12345", "Authorization: [redacted] [redacted]")]
#[case(r#"{"api_key": "hunter2hunter2", "max_tokens": 100000}"#, r#"{"api_key": "[redacted]", "max_tokens": 100000}"#)]
#[case(r#"{\"password\":\"correct horse\"}"#, r#"{\"password\":\"[redacted]\"}"#)]
#[case("AKIAIOSFODNN7EXAMPLE ghp_abcdefghijklmnopqrstuvwxyz012345", "[redacted] [redacted]")]
#[case("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "[redacted]")]
#[case("nothing to hide", "nothing to hide")]
fn credentials_are_redacted(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(Redactor::new().unwrap().redacted(text), expected);
}

#[test]
fn it_runs_beside_the_traffic() {
    let loaded = load(&PolicySpec::new("debug_logging", json!({})), &LoadEnv::default()).unwrap();
    assert!(matches!(loaded.tree, Tree::Shadow(_)));
}

#[tokio::test]
async fn it_passes_what_it_logs() {
    let context = scripted::context();
    let review = scripted::policy("debug_logging", json!({})).review(&context);
    let blocks = [Block::Text("hi".to_owned()), Block::ToolCall(scripted::call("Bash", json!({})))];
    assert_eq!(review.turn(&blocks).await.unwrap(), Answer::pass());
    assert!(matches!(review.request(&context.request).await.unwrap().action, crate::contract::RequestAction::Pass));
}
