//! Every way to name a judge's upstream.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::catalogue::{JudgeNames, LoadEnv, PolicySpec, load};

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
    Route { first, second: None, usual_model: true }
}

fn spare(warn: bool) -> Route {
    Route {
        first: JudgeRoute::UserCredentials,
        second: Some(Second { provider: "spare".to_owned(), warn }),
        usual_model: true,
    }
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
#[case(json!({"inference_provider": {"provider": "gone"}}), "inference_provider: no inference provider and no upstream is called \"gone\"; there are spare")]
#[case(json!({"api_base": "judge:80"}), "api_base: must begin with http")]
#[case(json!({"api_base": "http://j", "inference_provider": {"provider": "spare"}}), "api_base: cannot go with")]
#[case(json!({"inference_provider": "mine"}), "inference_provider: unknown variant `mine`")]
#[case(
    json!({"inference_provider": {"user_then_provider": {"name": "spare", "on_fallback": "no"}}}),
    "inference_provider.user_then_provider.on_fallback: unknown variant `no`"
)]
fn contradictions_are_refused(#[case] config: Value, #[case] expected: &str) {
    let judges = JudgeNames::default().checked();
    let env = LoadEnv { providers: Some(vec!["spare".to_owned()]), judges, ..LoadEnv::default() };
    let message = route(&config, &env).unwrap_err().to_string();
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_chain_gives_the_path_of_its_judges_provider() {
    let env = LoadEnv { providers: Some(Vec::new()), judges: JudgeNames::default().checked(), ..LoadEnv::default() };
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

#[test]
fn a_provider_that_is_there_may_be_named_and_one_that_has_gone_does_not_stop_a_policy() {
    let names = JudgeNames::new(|| vec!["small".to_owned()]);
    let env = |judges| LoadEnv {
        providers: Some(vec!["spare".to_owned()]),
        without_key: vec!["spare".to_owned()],
        judges,
        ..LoadEnv::default()
    };
    let config = |name: &str| json!({"inference_provider": {"provider": name}});
    let at = |name: &str| Ok(only(JudgeRoute::Provider(name.to_owned())));
    assert_eq!(route(&config("small"), &env(names.clone().checked())), at("small"));
    let refused = route(&config("gone"), &env(names.clone().checked())).unwrap_err().to_string();
    assert!(refused.ends_with("is called \"gone\"; there are small, spare"), "{refused}");
    assert_eq!(route(&config("gone"), &env(names)), at("gone"));
}

#[test]
fn who_names_a_model_is_asked_with_that_one() {
    let model = |config: Value, env: &LoadEnv| {
        Route::new(&Loading::new(&config, env, Vec::new(), false), None, &InferenceProvider::default())
            .unwrap()
            .usual_model
    };
    let ours = LoadEnv { judge_model: Some("ours".to_owned()), ..LoadEnv::default() };
    assert!(model(json!({"x": 0}), &LoadEnv::default()));
    assert!(!model(json!({"model": "claude-haiku-4-5"}), &LoadEnv::default()));
    assert!(!model(json!({"judge_model": "m"}), &LoadEnv::default()));
    assert!(!model(json!({"x": 0}), &ours));
}
