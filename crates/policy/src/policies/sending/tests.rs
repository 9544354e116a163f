//! What is said of a request's way, and what is refused when it is loaded.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::catalogue::{LoadEnv, PolicySpec, Variables, load};
use crate::scripted;

fn env() -> LoadEnv {
    let variables = [("MY_KEY", "sk-of-mine"), ("OPENAI_API_KEY", "sk-of-openai"), ("BAD", "a b"), ("EMPTY", "")];
    let variables: BTreeMap<String, String> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    LoadEnv {
        providers: Some(vec!["openai".to_owned(), "local".to_owned()]),
        base_urls: vec!["https://api.openai.com/v1".to_owned(), "http://127.0.0.1:9000/".to_owned()],
        variables: Variables::Given(variables),
        ..LoadEnv::default()
    }
}

async fn said(class: &str, config: Value) -> (Option<String>, Option<(String, Option<String>)>) {
    let loaded = load(&PolicySpec::new(class, config), &env()).unwrap();
    let context = scripted::context();
    let answer = loaded.tree.policies()[0].review(&context).request(&context.request).await.unwrap();
    let credential = answer.sending.credential.map(|it| (it.secret.expose_secret().to_owned(), it.upstream));
    (answer.sending.upstream, credential)
}

fn refused(class: &str, config: Value) -> String {
    load(&PolicySpec::new(class, config), &env()).unwrap_err().to_string()
}

#[tokio::test]
async fn a_key_comes_from_the_environment_and_is_for_one_upstream() {
    let mine = |upstream: Option<&str>| (None, Some(("sk-of-mine".to_owned(), upstream.map(str::to_owned))));
    let named = json!({"api_key_env_var_name": "MY_KEY"});
    assert_eq!(said("add_api_key_header", named.clone()).await, mine(None));
    assert_eq!(said("AddApiKeyHeaderFromEnv", named).await, mine(None));
    let local = json!({"api_key_env_var_name": "MY_KEY", "upstream": "http://127.0.0.1:9000"});
    assert_eq!(said("add_api_key_header", local).await, mine(Some("local")));
    let openai = (None, Some(("sk-of-openai".to_owned(), None)));
    assert_eq!(said("AddApiKeyHeader", json!({"name": "key"})).await, openai);
}

#[tokio::test]
async fn a_backend_is_named_or_given_by_its_url() {
    for named in ["local", "http://127.0.0.1:9000", "http://127.0.0.1:9000/"] {
        let answer = said("set_backend", json!({"backend_url": named})).await;
        assert_eq!(answer, (Some("local".to_owned()), None), "{named}");
    }
    let controls = load(&PolicySpec::new("SetBackendPolicy", json!({})), &env()).unwrap();
    assert!(controls.tree.policies().is_empty());
}

#[test]
fn what_cannot_be_kept_is_refused_at_load() {
    let key = |name: &str| refused("add_api_key_header", json!({"api_key_env_var_name": name}));
    assert_eq!(key("NOT_THERE"), r#"api_key_env_var_name: the environment variable "NOT_THERE" is not set"#);
    assert_eq!(key("EMPTY"), r#"api_key_env_var_name: the environment variable "EMPTY" is not set"#);
    assert_eq!(key("BAD"), r#"api_key_env_var_name: the environment variable "BAD" holds characters that no key has"#);
    assert!(refused("add_api_key_header", json!({})).starts_with("api_key_env_var_name: missing field"));
    assert!(refused("AddApiKeyHeaderFromEnv", json!({})).starts_with("api_key_env_var_name: missing field"));
    assert!(refused("set_backend", json!({})).starts_with("backend_url: missing field"));
    assert_eq!(
        refused("set_backend", json!({"backend_url": "http://evil"})),
        r#"backend_url: no upstream is called "http://evil" or has that base URL; configured are openai, local"#
    );
}
