//! Which servers are asked when policies load, and what their answers make of it.

use serde_json::json;

use super::*;
use crate::contract::{OnError, TextWatch, Watch};
use crate::remote::testing::{Everywhere, Move, Played, away};

fn env(server: &Arc<Played>) -> LoadEnv {
    LoadEnv { servers: Servers::new(Arc::new(Everywhere(Arc::clone(server)))), ..LoadEnv::default() }
}

fn webhook(config: Value) -> PolicySpec {
    PolicySpec::new("webhook", config)
}

fn described(more: &Value) -> Move {
    let mut description = json!({"protocol": 1, "name": "p", "watches": {"tool_calls": true}});
    description.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Move::Says(description)
}

async fn refused(moves: Vec<Move>, config: Value) -> String {
    load_asking(&webhook(config), &env(&Played::new(moves))).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_says_what_it_watches() {
    let says = described(&json!({"watches": {"request": true, "text": "whole"}, "on_error": "pass"}));
    let server = Played::new([says]);
    let loaded = load_asking(&webhook(json!({"url": "http://p"})), &env(&server)).await.unwrap();
    let policy = loaded.tree.policies()[0];
    assert_eq!(policy.watches(), Watch { request: true, text: TextWatch::Whole, ..Watch::default() });
    assert_eq!(policy.on_error(), OnError::Pass);
    assert_eq!(server.sent(), [(DESCRIBE, Value::Null)]);
}

#[tokio::test]
async fn the_configuration_goes_before_what_the_server_says() {
    let server = Played::new([described(&json!({"on_error": "pass"}))]);
    let spec = webhook(json!({"url": "http://p", "on_error": "block"}));
    assert_eq!(load_asking(&spec, &env(&server)).await.unwrap().tree.policies()[0].on_error(), OnError::Block);
}

#[tokio::test]
async fn with_watches_nobody_is_asked() {
    let server = Played::new([]);
    let spec = webhook(json!({"url": "http://p", "watches": {"turn": true}, "secret": {"env": "KEY"}}));
    let loaded = load_asking(&spec, &env(&server)).await.unwrap();
    assert_eq!(loaded.tree.policies()[0].watches(), Watch { turn: true, ..Watch::default() });
    assert!(server.sent().is_empty());
    assert_eq!(server.places(), [Place { url: "http://p".to_owned(), secret_env: Some("KEY".to_owned()) }]);
}

#[tokio::test]
async fn servers_within_chains_are_asked_once_each() {
    let server = Played::new([described(&json!({})), described(&json!({}))]);
    let one = json!({"class": "webhook", "config": {"url": "http://p"}});
    let other = json!({"class": "webhook", "config": {"url": "http://p", "config": {"strict": true}}});
    let chain = json!({"class": "serial", "config": {"policies": [one, other]}});
    let spec = PolicySpec::new("serial", json!({"policies": [chain, {"class": "no_op"}, one]}));
    assert_eq!(load_asking(&spec, &env(&server)).await.unwrap().tree.policies().len(), 4);
    assert_eq!(server.sent().len(), 2);
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_with_a_way_out() {
    assert_eq!(
        refused(vec![away()], json!({"url": "http://p"})).await,
        "url: the policy server at http://p does not say what it is: the policy server cannot be reached: connection \
         refused; start it before the policy is set, or give `watches`, with which the policy loads without it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_not_waited_for() {
    let hangs = Move::Later(Duration::from_mins(10), json!({}));
    assert!(refused(vec![hangs], json!({"url": "http://p"})).await.contains("no answer within 30 s"));
}

#[rstest::rstest]
#[case(json!({"protocol": 2, "new": true}), "it speaks version 2 of the protocol, the gateway 1")]
#[case(json!({"watchs": {}}), "watchs: unknown field")]
#[case(json!({"watches": {"text": "streamed"}}), "watches.text: unknown variant `streamed`")]
#[tokio::test]
async fn a_description_that_is_none_is_refused(#[case] more: Value, #[case] why: &str) {
    let message = refused(vec![described(&more)], json!({"url": "http://p"})).await;
    assert!(message.contains(why), "{message}");
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_by_path_when_it_loads() {
    let problems = json!({"problems": [{"path": ["rules", "1"], "message": "no"}, {"message": "too few"}]});
    let moves = vec![described(&json!({"checks_config": true})), Move::Says(problems)];
    let server = Played::new(moves);
    let spec = webhook(json!({"url": "http://p", "config": {"rules": [1]}}));
    let error = load_asking(&spec, &env(&server)).await.unwrap_err();
    assert_eq!(error.to_string(), "config.rules[1]: no; config: too few");
    assert_eq!(server.sent()[1], (CHECK, json!({"protocol": 1, "config": {"rules": [1]}})));
}

#[tokio::test]
async fn a_python_policy_is_started_once_and_asked() {
    let server = Played::new([
        described(&json!({"send_request": true, "checks_config": true})),
        Move::Says(json!({"problems": []})),
    ]);
    let spec = PolicySpec::new("python", json!({"file": "p.py", "class": "P", "env": ["KEY"], "config": {"a": 1}}));
    let loaded = load_asking(&spec, &env(&server)).await.unwrap();
    assert_eq!((loaded.tree.policies()[0].name(), loaded.tree.policies()[0].watches().tool_calls), ("python", true));
    let program = Program {
        python: "python3".to_owned(),
        file: "p.py".to_owned(),
        class: Some("P".to_owned()),
        env: vec!["KEY".to_owned()],
        at_once: 64,
    };
    assert_eq!(server.programs(), [program]);
}

#[test]
fn where_nobody_is_asked_watches_are_needed() {
    let error = load(&webhook(json!({"url": "http://p"})), &LoadEnv::default()).unwrap_err().to_string();
    assert!(error.contains("policy servers are not asked here") && error.contains("`watches`"), "{error}");
}
