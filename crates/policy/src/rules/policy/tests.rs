//! Rules as a policy: what they answer, in which order, and what a rule that cannot be evaluated does.

use std::sync::Arc;

use luthien_wire::turn::{Block, ToolCall, ToolForm, Unreadable};
use rstest::rstest;
use serde_json::{Value, json};

use crate::contract::{Action, Answer, OnError, Policy, RequestAction, TextWatch, Watch};
use crate::scripted::{call, context, policy, refused};

fn rules(rules: impl Into<Value>) -> Arc<dyn Policy> {
    policy("rules", json!({ "rules": rules.into() }))
}

async fn about_call(policy: &Arc<dyn Policy>, call: &ToolCall) -> Answer {
    policy.review(&context()).tool_call(call, &[]).await.unwrap()
}

fn bash(command: &str) -> ToolCall {
    call("Bash", json!({"command": command}))
}

fn rule(name: &str, when: &str, action: impl Into<Value>) -> Value {
    json!({"name": name, "when": when, "action": action.into()})
}

#[tokio::test]
async fn a_match_is_blocked_in_words_that_do_not_tell_the_reason() {
    let policy = rules(json!([rule("secret-name", "tool.command.contains('rm')", json!("block"))]));
    assert_eq!(about_call(&policy, &bash("ls")).await, Answer::pass());
    let answer = about_call(&policy, &bash("rm x")).await;
    let message = "[Blocked: the operator's rules do not allow this call of the tool `Bash`.]";
    assert_eq!(answer.action, Action::Block(message.to_owned()));
    assert_eq!(answer.reason.as_deref(), Some("block by `secret-name`"));
    assert!(!answer.failed);
}

#[tokio::test]
async fn a_message_of_ones_own_has_its_places_filled() {
    let policy = rules(json!([{
        "name": "no-rm", "description": "keep files", "when": "tool.effects.deletes()", "action": "block", "score": 0.9,
        "message": "{rule}: {description}: {tool_name} {command} {other}",
    }]));
    let answer = about_call(&policy, &bash("rm {rule}")).await;
    assert_eq!(answer.action, Action::Block("no-rm: keep files: Bash rm {rule} {other}".to_owned()));
    assert_eq!(answer.score, Some(0.9));
    assert_eq!(answer.reason.as_deref(), Some("block by `no-rm` (0.9): keep files"));
}

#[tokio::test]
async fn the_first_rule_that_decides_counts_and_flags_add_up_before_it() {
    let flag = |name: &str, score: f64| json!({"name": name, "when": "true", "action": "flag", "score": score});
    let policy = rules(json!([
        flag("a", 0.3),
        rule("fine", "tool.command == 'ls'", json!("allow")),
        flag("b", 0.7),
        flag("c", 0.5),
        rule("first", "tool.command == 'rm'", json!("block")),
        rule("second", "true", json!("drop")),
    ]));
    let allowed = about_call(&policy, &bash("ls")).await;
    assert_eq!((allowed.action, allowed.score), (Action::Pass, Some(0.3)));
    let blocked = about_call(&policy, &bash("rm")).await;
    assert!(matches!(blocked.action, Action::Block(_)));
    assert_eq!(blocked.score, Some(0.7));
    assert_eq!(
        blocked.reason.as_deref(),
        Some("flag by `a` (0.3); flag by `b` (0.7); flag by `c` (0.5); block by `first`")
    );
    assert_eq!(about_call(&policy, &bash("id")).await.action, Action::Replace(Vec::new()));
}

#[tokio::test]
async fn a_person_is_asked_with_the_rules_words() {
    let policy = rules(json!([
        {"name": "careful", "description": "removes files", "when": "tool.effects.deletes()",
         "action": {"ask": {"unanswered": "pass", "timeout": 30}}, "message": "not now"},
    ]));
    let Action::Ask(question) = about_call(&policy, &bash("rm x")).await.action else { panic!() };
    assert_eq!(question.why, "the rule `careful`: removes files");
    assert_eq!((question.denied.as_str(), question.unanswered), ("not now", OnError::Pass));
    assert_eq!(question.timeout.unwrap().as_secs(), 30);
}

#[tokio::test]
async fn arguments_are_rewritten_and_later_rules_see_them() {
    let policy = rules(json!([
        {"name": "dry", "when": "tool.command.startsWith('deploy')",
         "action": {"rewrite": {"args": "{'command': tool.command + ' --dry-run', 'n': 1}"}}},
        rule("no-prod", "tool.command == 'deploy prod --dry-run'", json!("block")),
    ]));
    let Action::Replace(blocks) = about_call(&policy, &bash("deploy test")).await.action else { panic!() };
    let [Block::ToolCall(new)] = &blocks[..] else { panic!() };
    assert_eq!(new.arguments, Ok(json!({"command": "deploy test --dry-run", "n": 1})));
    assert_eq!((new.raw.as_str(), new.name.as_str()), (r#"{"command":"deploy test --dry-run","n":1}"#, "Bash"));
    assert!(matches!(about_call(&policy, &bash("deploy prod")).await.action, Action::Block(_)));
}

#[tokio::test]
async fn texts_are_rewritten_dropped_and_noted() {
    let policy = rules(json!([
        {"name": "names", "on": "text", "when": "text.contains('Ann')", "action":
            {"rewrite": {"literal": [["Ann", "A."]], "regex": [["(\\d+)", "<$1>"]]}}},
        {"name": "told", "on": "text", "when": "text.contains('A.')", "action": "notice", "message": "a name was cut"},
        {"name": "noise", "on": "text", "when": "text == '...'", "action": "drop"},
    ]));
    let text = async |text: &str| policy.review(&context()).text(text, &[]).await.unwrap();
    let answer = text("Ann is 7").await;
    assert_eq!(answer.action, Action::Replace(vec![Block::Text("A. is <7>".to_owned())]));
    assert_eq!(answer.notices, ["a name was cut"]);
    assert_eq!(text("...").await.action, Action::Replace(Vec::new()));
    assert_eq!(text("Bob").await, Answer::pass());
}

#[tokio::test]
async fn requests_are_routed_rewritten_and_blocked() {
    let policy = rules(json!([
        {"name": "cheap", "on": "request", "when": "size(request.last) < 100",
         "action": {"route": {"upstream": "local", "model": "small"}}},
        {"name": "redact", "on": "request", "action": {"rewrite": {"literal": [["my", "our"]]}}},
        {"name": "stop", "on": "request", "when": "request.last.contains('our') && model != 'small'", "action": "block"},
    ]));
    let context = context();
    let answer = policy.review(&context).request(&context.request).await.unwrap();
    assert_eq!(answer.sending.upstream.as_deref(), Some("local"));
    let RequestAction::Replace(request) = answer.action else { panic!() };
    assert_eq!(request.model(), "small");
    assert!(request.text().contains("tidy up <b>our</b> folder"));
    let long = request.with_model("large").with_texts(&[(request.texts()[0].span.clone(), "my ".repeat(50))]);
    let answer = policy.review(&context).request(&long).await.unwrap();
    assert!(matches!(answer.action, RequestAction::Block(_)));
}

#[tokio::test]
async fn what_no_rule_decides_follows_the_default() {
    let config = |default: &str| json!({"default_action": default, "rules": [rule("ls", "tool.command == 'ls'", json!("allow"))]});
    let block = policy("rules", config("block"));
    assert_eq!(about_call(&block, &bash("ls")).await.action, Action::Pass);
    assert!(matches!(about_call(&block, &bash("id")).await.action, Action::Block(_)));
    assert!(matches!(about_call(&policy("rules", config("ask")), &bash("id")).await.action, Action::Ask(_)));
    assert_eq!(about_call(&policy("rules", config("allow")), &bash("id")).await, Answer::pass());
}

/// A type that the expression did not expect is an error, a member that is not there is not.
#[rstest]
#[case(json!("block"), None, true)]
#[case(json!("drop"), None, true)]
#[case(json!("flag"), None, false)]
#[case(json!("block"), Some("pass"), false)]
#[case(json!("flag"), Some("block"), true)]
#[tokio::test]
async fn a_rule_that_cannot_be_evaluated_follows_on_error(
    #[case] action: Value,
    #[case] on_error: Option<&str>,
    #[case] blocks: bool,
) {
    let mut rule = rule("odd", "tool.args.command.contains('x')", action.clone());
    if action == "flag" {
        rule["score"] = json!(0.5);
    }
    let mut config = json!({"rules": [rule]});
    if let Some(on_error) = on_error {
        config["on_error"] = json!(on_error);
    }
    let policy = policy("rules", config);
    let answer = about_call(&policy, &call("Bash", json!({"command": ["a", "b"]}))).await;
    assert_eq!(matches!(answer.action, Action::Block(_)), blocks);
    assert!(answer.failed);
    assert!(answer.reason.unwrap().starts_with("rules[0] `odd`: "));
    assert_eq!(about_call(&policy, &call("Read", json!({"path": "x"}))).await, Answer::pass());
}

#[tokio::test]
async fn calls_that_cannot_be_read_are_blocked_where_a_rule_asks_for_their_arguments() {
    let broken = |name: &str| ToolCall {
        id: "1".into(),
        name: name.into(),
        form: ToolForm::Client,
        raw: "{".into(),
        arguments: Err(Unreadable::NotJson),
    };
    let args = json!({"name": "args", "tools": ["Bash"], "when": "has(tool.args.x) || false", "action": "block"});
    let effects = json!({"name": "effects", "tools": ["Write"], "effects": ["delete"], "action": "block"});
    let name = json!({"name": "name", "when": "tool.name == 'Evil'", "action": "drop"});
    let policy = rules(json!([args, effects, name.clone()]));
    let flag = json!({"name": "flag", "tools": ["Evil"], "when": "tool.args.x == 1", "action": "flag", "score": 1});
    let both = rules(json!([flag, name]));
    let answer = about_call(&both, &broken("Evil")).await;
    assert_eq!((answer.action, answer.failed), (Action::Replace(Vec::new()), false));
    for tool in ["Bash", "Write"] {
        let answer = about_call(&policy, &broken(tool)).await;
        assert!(matches!(answer.action, Action::Block(_)) && answer.failed, "{tool}");
        assert!(answer.reason.unwrap().ends_with("the arguments are not valid JSON"));
    }
    assert_eq!(about_call(&policy, &broken("Evil")).await.action, Action::Replace(Vec::new()));
    assert_eq!(about_call(&policy, &broken("Read")).await, Answer::pass());
}

#[tokio::test]
async fn rules_in_the_shadow_only_leave_an_event_and_rules_that_are_off_nothing() {
    let shadow = json!({"name": "try", "mode": "shadow", "when": "true", "action": "block", "score": 0.4});
    let off = json!({"name": "old", "mode": "off", "when": "true", "action": "block"});
    let policy = rules(json!([shadow, off]));
    let context = context();
    assert_eq!(policy.review(&context).tool_call(&bash("ls"), &[]).await.unwrap(), Answer::pass());
    let (events, _) = context.events.take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type, "policy.rules.shadow_match");
    assert_eq!(events[0].data, json!({"rule": "try", "on": "tool_call", "action": "block", "score": 0.4}));
}

#[test]
fn rules_watch_what_they_are_about_and_nothing_more() {
    let watch = |on: &str, action: Value| {
        let mut rule = json!({"name": "r", "on": on, "when": "true", "action": action});
        if action == "notice" {
            rule["message"] = json!("m");
        }
        rules(json!([rule])).watches()
    };
    let calls = Watch { tool_calls: true, unreadable_calls: true, ..Watch::default() };
    assert_eq!(watch("tool_call", json!("block")), calls);
    assert_eq!(watch("text", json!("block")), Watch { text: TextWatch::Whole, ..Watch::default() });
    assert_eq!(watch("request", json!("block")), Watch { request: true, ..Watch::default() });
    assert_eq!(watch("request", json!("notice")), Watch { request: true, ..calls });
    assert_eq!(watch("turn", json!("block")), Watch { turn: true, ..Watch::default() });
    assert_eq!(rules(json!([])).watches(), Watch::default());
}

#[rstest]
#[case(json!({"name": "a", "action": "blok"}), "rules[0].action: unknown variant `blok`")]
#[case(json!({"name": "a", "action": "rewrite"}), "rules[0].action: `rewrite` is an object")]
#[case(json!({"name": "a", "action": {"ask": {"wait": 1}}}), "rules[0].action.ask.wait: unknown field `wait`")]
#[case(json!({"name": "a", "action": "block", "wen": "true"}), "rules[0].wen: unknown field `wen`")]
#[case(json!({"name": " ", "action": "block"}), "rules[0].name: must not be empty")]
#[case(json!({"action": "block"}), "rules[0].name: missing field `name`")]
#[case(json!({"name": "a", "action": "flag"}), "rules[0].score: a flag needs a `score`, from 0 to 1")]
#[case(json!({"name": "a", "action": "flag", "score": 2}), "rules[0].score: must be from 0 to 1, is 2")]
#[case(json!({"name": "a", "action": "notice"}), "rules[0].message: a notice needs a `message`")]
#[case(json!({"name": "a", "action": "drop", "message": "m"}), "rules[0].message: `drop` shows no message")]
#[case(json!({"name": "a", "on": "turn", "action": "drop"}), "rules[0].action: `drop` cannot be done with `on: turn`")]
#[case(json!({"name": "a", "action": {"route": {"model": "m"}}}), "rules[0].action: `route` cannot be done with `on: tool_call`")]
#[case(json!({"name": "a", "on": "text", "tools": ["B"], "action": "block"}), "rules[0].tools: only rules about tool calls")]
#[case(json!({"name": "a", "effects": ["wrte"], "action": "block"}), "rules[0].effects[0]: unknown effect `wrte`; did you mean `write`?")]
#[case(json!({"name": "a", "when": "tol", "action": "block"}), "rules[0].when: column 1: unknown variable `tol`")]
#[case(json!({"name": "a", "action": {"rewrite": {}}}), "rules[0].action.rewrite: give `literal` or `regex`")]
#[case(json!({"name": "a", "action": {"rewrite": {"args": "{"}}}), "rules[0].action.rewrite.args: column ")]
#[case(json!({"name": "a", "on": "text", "action": {"rewrite": {"regex": [["(", ""]]}}}), "rules[0].action.rewrite.regex[0]: not a regular expression")]
#[case(json!({"name": "a", "action": "block", "match": [{"text": "x"}]}), "rules[0].match[0]: an example of a rule with `on: tool_call` has `tool`")]
#[case(json!({"name": "a", "action": "block", "match": [{"tol": "x"}]}), "rules[0].match[0]: unknown field `tol`")]
fn refusals_name_the_field(#[case] rule: Value, #[case] starts: &str) {
    let message = refused("rules", json!({"rules": [rule]}));
    assert!(message.starts_with(starts), "{message}");
}

#[test]
fn examples_that_do_not_hold_refuse_the_rule_with_what_it_gave() {
    let message = refused(
        "rules",
        json!({"rules": [
            {"name": "fine", "when": "true", "action": "block", "match": ["ls"]},
            {"name": "files", "when": "tool.effects.deletes()", "action": "block", "match": ["rm x", "ls"], "no_match": ["rm -rf /y"]},
            {"name": "odd", "when": "tool.args.command + 1 == 2", "action": "flag", "score": 0, "no_match": ["ls"]},
        ]}),
    );
    let expected = "rules[1].match[1]: the rule `files` does not match: ls; \
                    rules[1].no_match[0]: the rule `files` matches, and must not: rm -rf /y (it does: delete file /y and all below); \
                    rules[2].no_match[0]: the rule `odd` cannot be evaluated: ";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn sets_are_refused_where_names_repeat_or_a_question_follows_a_rewrite() {
    let rewrite = json!({"name": "a", "action": {"rewrite": {"args": "{}"}}});
    let message = refused("rules", json!({"rules": [rewrite, {"name": "a", "action": "block"}]}));
    assert_eq!(message, "rules[1].name: rules[0] has this name, too");
    let message = refused("rules", json!({"rules": [rewrite, {"name": "b", "action": "ask"}]}));
    assert!(message.starts_with("rules[1].action: `a` rewrites before this rule asks"), "{message}");
}
