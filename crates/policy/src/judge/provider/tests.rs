//! Every way to name a judge's upstream.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::catalogue::{LoadEnv, PolicySpec, load};

fn route(config: &Value, env: &LoadEnv) -> Result<Route, LoadError> {
    #[derive(Deserialize)]
    struct Fields {
        api_base: Option<String>,
        #[serde(default, alias = "auth_provider")]
        inference_provider: InferenceProvider,
    }
    let loading = Loading::new(config, env, Vec::new(), false);
    let fields: Fields = loading.read()?;
    Route::new(&loading, fields.api_base.as_deref(), &fields.inference_provider)
}

fn only(first: JudgeRoute) -> Route {
    Route { first, second: None }
}

fn spare(warn: bool) -> Route {
    Route { first: JudgeRoute::UserCredentials, second: Some(Second { provider: "spare".to_owned(), warn }) }
}

#[rstest]
#[case(json!({"x": 0}), only(JudgeRoute::UserCredentials))]
#[case(json!({"inference_provider": "user_credentials"}), only(JudgeRoute::UserCredentials))]
#[case(json!({"inference_provider": {"provider": "spare"}}), only(JudgeRoute::Provider("spare".to_owned())))]
#[case(json!({"auth_provider": {"server_key": "spare"}}), only(JudgeRoute::Provider("spare".to_owned())))]
#[case(json!({"auth_provider": {"user_then_server": "spare"}}), spare(false))]
#[case(json!({"auth_provider": {"user_then_server": {"name": "spare"}}}), spare(false))]
#[case(json!({"inference_provider": {"user_then_provider": {"name": "spare", "on_fallback": "warn"}}}), spare(true))]
#[case(
    json!({"inference_provider": {"user_then_provider": {"name": "spare", "on_fallback": "fail"}}}),
    only(JudgeRoute::UserCredentials)
)]
#[case(json!({"api_base": "http://judge/v1"}), only(JudgeRoute::ApiBase("http://judge/v1".to_owned())))]
fn routes(#[case] config: Value, #[case] expected: Route) {
    assert_eq!(route(&config, &LoadEnv::default()), Ok(expected));
}

#[test]
fn the_operators_base_url_goes_first() {
    let env = LoadEnv { judge_api_base: Some("http://ours".to_owned()), ..LoadEnv::default() };
    let config = json!({"inference_provider": {"provider": "spare"}});
    assert_eq!(route(&config, &env), Ok(only(JudgeRoute::ApiBase("http://ours".to_owned()))));
}

#[rstest]
#[case(json!({"inference_provider": {"provider": "gone"}}), "inference_provider: no upstream is called \"gone\"")]
#[case(json!({"api_base": "judge:80"}), "api_base: must begin with http")]
#[case(json!({"api_base": "http://j", "inference_provider": {"provider": "spare"}}), "api_base: cannot go with")]
#[case(json!({"inference_provider": "mine"}), "inference_provider: unknown variant `mine`")]
#[case(
    json!({"inference_provider": {"user_then_provider": {"name": "spare", "on_fallback": "no"}}}),
    "inference_provider.user_then_provider.on_fallback: unknown variant `no`"
)]
fn contradictions_are_refused(#[case] config: Value, #[case] expected: &str) {
    let env = LoadEnv { providers: Some(vec!["spare".to_owned()]), ..LoadEnv::default() };
    let message = route(&config, &env).unwrap_err().to_string();
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_chain_gives_the_path_of_its_judges_provider() {
    let env = LoadEnv { providers: Some(Vec::new()), ..LoadEnv::default() };
    let judge = json!({"class": "tool_call_judge", "config": {"inference_provider": {"provider": "gone"}}});
    let error = load(&PolicySpec::new("serial", json!({"policies": [judge]})), &env).unwrap_err();
    assert_eq!(error.problems[0].loc, ["policies", "0", "config", "inference_provider"]);
}

#[test]
fn an_upstream_without_a_key_cannot_judge() {
    let env = LoadEnv {
        providers: Some(vec!["spare".to_owned()]),
        without_key: vec!["spare".to_owned()],
        ..LoadEnv::default()
    };
    for config in [json!({"provider": "spare"}), json!({"user_then_provider": {"name": "spare"}})] {
        let message = route(&json!({"inference_provider": config}), &env).unwrap_err().to_string();
        assert!(message.starts_with("inference_provider: the upstream \"spare\" has no key of its own"), "{message}");
    }
}
