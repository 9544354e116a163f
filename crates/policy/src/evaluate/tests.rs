//! Verdicts of the engine on single things, what lines of data may hold, and what holds for every figure.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::catalogue::{LoadEnv, PolicySpec, load};
use crate::scripted::Scripted;

const OPTIONS: Options = Options {
    policy_timeout: Duration::from_secs(5),
    person_timeout: Duration::from_secs(5),
    person_timeout_streamed: Duration::from_secs(5),
    held_limit: 1 << 20,
    event_limit: 1 << 20,
};

fn case(row: &Value) -> Result<Case, String> {
    Case::read(row.as_object().unwrap(), &CommandTool::default())
}

fn trial(class: &str, config: Value) -> Trial {
    let tree = load(&PolicySpec::new(class, config), &LoadEnv::default()).unwrap().tree;
    Trial::new(tree, Scripted::new([]), OPTIONS)
}

fn rule(fields: &Value) -> Trial {
    let mut rule = json!({"name": "it", "when": "tool.args.command == 'rm x'"});
    rule.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    trial("rules", json!({"rules": [rule]}))
}

#[rstest]
#[case::blocked(json!({"action": "block"}), Outcome::Blocked)]
#[case::dropped(json!({"action": "drop"}), Outcome::Blocked)]
#[case::asked(json!({"action": "ask"}), Outcome::Asked)]
#[case::flagged(json!({"action": "flag", "score": 0.5}), Outcome::Passed)]
#[case::not_met(json!({"action": "block", "when": "tool.name == 'Other'"}), Outcome::Passed)]
#[case::failed_closed(json!({"action": "block", "when": "int(tool.args.command) == 1"}), Outcome::FailedClosed)]
#[case::failed_open(json!({"action": "flag", "score": 0.5, "when": "int(tool.args.command) == 1"}), Outcome::FailedOpen)]
#[tokio::test]
async fn what_a_rule_does_is_the_outcome(#[case] fields: Value, #[case] expected: Outcome) {
    let verdict = rule(&fields).of(&case(&json!({"command": "rm x"})).unwrap()).await;
    assert_eq!(verdict.outcome, expected, "{verdict:?}");
}

#[tokio::test]
async fn a_verdict_has_its_policy_score_and_reason() {
    let verdict = rule(&json!({"action": "block", "score": 0.75, "description": "keeps x"}));
    let verdict = verdict.of(&case(&json!({"command": "rm x"})).unwrap()).await;
    assert_eq!((verdict.policy, verdict.score), (Some("rules"), Some(0.75)));
    assert_eq!(verdict.reason.as_deref(), Some("block by `it` (0.75): keeps x"));
}

#[rstest]
#[case::text(json!({"text": "hello"}), Outcome::Changed)]
#[case::text_that_is_so_already(json!({"text": "HELLO"}), Outcome::Passed)]
#[case::call(json!({"command": "ls"}), Outcome::Passed)]
#[tokio::test]
async fn texts_that_are_rewritten_are_changed(#[case] row: Value, #[case] expected: Outcome) {
    assert_eq!(trial("all_caps", json!({})).of(&case(&row).unwrap()).await.outcome, expected);
}

#[tokio::test]
async fn arguments_that_cannot_be_read_are_told_apart_from_verdicts() {
    let judged = trial("tool_call_judge", json!({}));
    let cut_off = case(&json!({"tool_call": {"name": "Bash", "arguments": "{\"command\": \"rm"}})).unwrap();
    assert_eq!(judged.of(&cut_off).await.outcome, Outcome::Unreadable);
    let whole = case(&json!({"tool_call": {"name": "Bash", "arguments": "{\"command\": \"rm\"}"}})).unwrap();
    assert_eq!(judged.of(&whole).await.outcome, Outcome::FailedClosed, "the judge gives no verdict");
}

#[tokio::test]
async fn what_is_in_the_shadow_is_counted_apart() {
    let rule = json!({"name": "it", "when": "true", "action": "block"});
    let spec = json!({"class": "rules", "mode": "shadow", "config": {"rules": [rule]}});
    let tree = load(&serde_json::from_value(spec).unwrap(), &LoadEnv::default()).unwrap().tree;
    let verdict = Trial::new(tree, Scripted::new([]), OPTIONS).of(&case(&json!({"command": "ls"})).unwrap()).await;
    assert_eq!((verdict.outcome, verdict.shadow), (Outcome::Passed, Some(Outcome::Blocked)));
}

#[tokio::test]
async fn a_judge_that_writes_a_text_in_a_calls_place_has_blocked_it() {
    let judge = r#"{"action": "replace", "blocks": [{"type": "text", "text": "[BLOCKED] no"}]}"#;
    let tree = load(&PolicySpec::new("block_dangerous_commands", json!({})), &LoadEnv::default()).unwrap().tree;
    let trial = Trial::new(tree, Scripted::new([Ok(judge)]), OPTIONS);
    assert_eq!(trial.of(&case(&json!({"command": "rm x"})).unwrap()).await.outcome, Outcome::Blocked);
}

#[rstest]
#[case::messages(json!({
    "request": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "response": {"id": "a", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "content": [
        {"type": "text", "text": "I will."}, {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "rm x"}}]},
}))]
#[case::exported(json!({
    "request_messages": [
        {"message_type": "system", "content": "be kind"}, {"message_type": "user", "content": "hi"},
        {"message_type": "tool_call", "content": "", "tool_name": "Bash", "tool_call_id": "a", "tool_input": {"command": "ls"}},
        {"message_type": "tool_result", "content": "x", "tool_call_id": "a"}],
    "response_messages": [{"message_type": "assistant", "content": "[blocked]"}],
    "original_request_messages": null,
    "original_response_messages": [
        {"message_type": "assistant", "content": "I will."},
        {"message_type": "tool_call", "content": "", "tool_name": "Bash", "tool_call_id": "t", "tool_input": {"command": "rm x"}}],
}))]
#[tokio::test]
async fn recorded_turns_are_put_to_policies_as_the_model_gave_them(#[case] row: Value) {
    let case = case(&row).unwrap();
    assert_eq!(case.shown(), "I will.\nBash {\"command\":\"rm x\"}".replace("\": ", "\":"));
    assert_eq!(rule(&json!({"action": "block"})).of(&case).await.outcome, Outcome::Blocked);
}

#[tokio::test]
async fn a_request_alone_is_put_to_policies_that_see_requests() {
    let config = json!({"rules": [{"name": "it", "on": "request", "when": "request.last.contains('secret')", "action": "block"}]});
    let trial = trial("rules", config);
    for (prompt, expected) in [("the secret plan", Outcome::Blocked), ("the plan", Outcome::Passed)] {
        assert_eq!(trial.of(&case(&json!({"prompt": prompt})).unwrap()).await.outcome, expected, "{prompt}");
    }
}

#[rstest]
#[case(json!({"label": "x"}), "there is none of `command`, `tool_call`, `text`, `response`, `response_messages`, `request`, `prompt` in it")]
#[case(json!({"command": 1}), "`command` has to be a text")]
#[case(json!({"command": "ls", "text": "x"}), "`command`, `text` cannot stand in one line")]
#[case(json!({"tool_call": {"arguments": {}}}), "`tool_call.name` has to be a text")]
#[case(json!({"tool_call": {"name": "a", "arguments": []}}), "`tool_call.arguments` has to be an object, or the text as the model wrote it")]
#[case(json!({"response": {}, "dialect": "latin"}), "`dialect` has to be `messages`, `chat` or `responses`")]
#[case(json!({"response": {}}), "`request`: a `response` of that dialect needs the request that it answers")]
#[case(json!({"response_messages": [], "request_messages": []}), "`request_messages` has no message in it")]
#[case(json!({"response_messages": 1, "request_messages": []}), "`response_messages` has to be a list")]
#[case(json!({"request": 1}), "`request` has to be a body: an object, or its text")]
fn lines_that_cannot_be_read_are_refused_by_field(#[case] row: Value, #[case] expected: &str) {
    assert_eq!(case(&row).unwrap_err(), expected);
}

#[rstest]
#[case(0, 10, 0.0, 0.277_533)]
#[case(5, 10, 0.236_593, 0.763_407)]
#[case(10, 10, 0.722_467, 1.0)]
#[case(1, 1, 0.206_549, 1.0)]
#[case(81, 263, 0.255_289, 0.366_210)]
fn intervals_are_wilsons(#[case] count: u32, #[case] of: u32, #[case] low: f64, #[case] high: f64) {
    let found = Share { count, of }.interval().unwrap();
    assert!((found.0 - low).abs() < 1e-6 && (found.1 - high).abs() < 1e-6, "{found:?}");
}

#[test]
fn of_nothing_there_is_no_rate() {
    assert_eq!((Share::default().rate(), Share::default().interval()), (None, None));
    assert_eq!((roc(&[(0.5, true)]), auc(&[]), quantile(&[], 50)), (vec![], None, None));
}

#[test]
fn quantiles_are_values_that_occurred() {
    let times: Vec<Duration> = (1..=20).map(Duration::from_micros).collect();
    for (per_cent, expected) in [(0, 1), (50, 10), (95, 19), (96, 20), (100, 20)] {
        assert_eq!(quantile(&times, per_cent), Some(Duration::from_micros(expected)), "{per_cent}");
    }
}

proptest! {
    #[test]
    fn an_interval_holds_its_rate_and_shrinks_with_more_rows(of in 1_u32..5000, part in 0.0_f64..=1.0) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32 is one")]
        let count = (f64::from(of) * part) as u32;
        let share = Share { count, of };
        let (low, high) = share.interval().unwrap();
        let rate = share.rate().unwrap();
        prop_assert!(0.0 <= low && low <= rate && rate <= high && high <= 1.0, "{low} {rate} {high}");
        let more = Share { count: count * 2, of: of * 2 }.interval().unwrap();
        prop_assert!(more.1 - more.0 < high - low);
        let other = Share { count: of - count, of }.interval().unwrap();
        prop_assert!((other.0 - (1.0 - high)).abs() < 1e-9 && (other.1 - (1.0 - low)).abs() < 1e-9, "the ends mirror");
    }

    #[test]
    fn the_area_is_how_often_a_bad_thing_scores_higher(scores in prop::collection::vec((0_u8..6, any::<bool>()), 2..40)) {
        let scores: Vec<(f64, bool)> = scores.into_iter().map(|(score, bad)| (f64::from(score) / 5.0, bad)).collect();
        let points = roc(&scores);
        let side = |bad| scores.iter().filter(move |one| one.1 == bad).map(|one| one.0);
        let mut wins = Vec::new();
        for bad in side(true) {
            wins.extend(side(false).map(|good| if bad > good { 1.0 } else if bad < good { 0.0 } else { 0.5 }));
        }
        let pairs = f64::from(u32::try_from(wins.len()).unwrap());
        let expected = (!wins.is_empty()).then(|| wins.iter().sum::<f64>() / pairs);
        prop_assert_eq!(auc(&points).is_some(), expected.is_some());
        prop_assert!((auc(&points).unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-9);
        prop_assert!(points.windows(2).all(|two| two[0].threshold > two[1].threshold && two[0].caught <= two[1].caught));
    }
}
