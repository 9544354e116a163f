//! Policies for a part of the traffic: whom they hold for, in which order, and that a change breaks no stream.

use futures_util::future::join_all;
use jiff::SignedDuration;
use luthien_gateway::policy_state::{NewAssignment, PolicyOptions, PolicyState};
use luthien_gateway::scopes::{How, Scope};
use luthien_gateway::settings::PolicyFailMode;
use luthien_policy::catalogue::PolicySpec;
use luthien_record::model::{Evaluation, Status};
use luthien_testkit::accumulate::{accumulate, accumulate_messages};
use luthien_testkit::client::{Exchange, post};
use luthien_testkit::{Answer, Gate, Script};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{KEY, Rig, id, key_id, options, path, turn, turn_in};

const WISH: &str = "x-luthien-use-policy";
const SESSION: &str = "x-session-id";

fn replacing(what: &str, with: &str) -> PolicySpec {
    PolicySpec::new("string_replacement", json!({"replacements": [[what, with]]}))
}

async fn assign(state: &PolicyState, scope: Scope, spec: PolicySpec, how: How) -> u64 {
    let new = NewAssignment { scope, spec, how, expires_at: None, by: "a person".to_owned() };
    state.assign(new).await.unwrap().id
}

async fn ask(rig: &Rig, headers: &[(&str, &str)]) -> Exchange {
    post(&rig.url("/v1/messages"), &[&[KEY], headers].concat(), turn(false).to_string()).await.unwrap()
}

async fn said(exchange: Exchange) -> String {
    let body: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    body["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

#[rstest]
#[case(&[], "global")]
#[case(&[(SESSION, "other")], "global")]
#[case(&[(SESSION, "s")], "session")]
#[case(&[(WISH, "wish")], "wish")]
#[case(&[(SESSION, "s"), (WISH, "wish")], "wish")]
#[tokio::test]
async fn the_most_specific_one_holds(#[case] headers: &[(&str, &str)], #[case] expected: &str) {
    let start = PolicyOptions { choices: vec!["wish".to_owned()], ..options() };
    let (rig, state) = Rig::governed(Answer::text("hello"), start, |_| {}).await;
    state.set(replacing("hello", "global"), "a person").await.unwrap();
    assign(&state, Scope::Key([9; 16]), replacing("hello", "another key"), How::Replace).await;
    assign(&state, Scope::Session(key_id(), "s".to_owned()), replacing("hello", "session"), How::Replace).await;
    assign(&state, Scope::Session([9; 16], "other".to_owned()), replacing("hello", "another's"), How::Replace).await;
    assign(&state, Scope::Header("wish".to_owned()), replacing("hello", "wish"), How::Replace).await;
    assert_eq!(said(ask(&rig, headers).await).await, expected);
    rig.stop().await;
}

#[tokio::test]
async fn a_key_s_policy_holds_for_the_key_and_the_record_says_so() {
    let (rig, state) = Rig::governed(Answer::text("hello"), options(), |_| {}).await;
    let number = assign(&state, Scope::Key(key_id()), PolicySpec::new("all_caps", json!({})), How::Replace).await;
    let exchange = ask(&rig, &[]).await;
    let label = format!("all_caps; version=0; scope=key; assignment={number}");
    assert_eq!(exchange.header("x-luthien-policy"), Some(&*format!("{label}; evaluation=intervened")));
    let id = id(&exchange);
    assert_eq!(said(exchange).await, "HELLO");
    assert_eq!(rig.record(&id).await.policy, label);
    let other = post(&rig.url("/v1/messages"), &[("x-api-key", "sk-another")], turn(false).to_string()).await.unwrap();
    assert_eq!(said(other).await, "hello");
    rig.stop().await;
}

#[tokio::test]
async fn what_is_added_stands_behind_what_holds_anyway() {
    let start = PolicyOptions { choices: vec!["third".to_owned()], ..options() };
    let (rig, state) = Rig::governed(Answer::text("a"), start, |_| {}).await;
    state.set(replacing("a", "b"), "a person").await.unwrap();
    assign(&state, Scope::Key(key_id()), replacing("b", "c"), How::Add).await;
    assign(&state, Scope::Header("third".to_owned()), replacing("c", "d"), How::Add).await;
    assert_eq!(said(ask(&rig, &[(WISH, "third")]).await).await, "d");
    assert_eq!(said(ask(&rig, &[]).await).await, "c");
    // What a newer one of the same key replaces is gone, what is added to it is not.
    assign(&state, Scope::Key(key_id()), replacing("a", "c"), How::Replace).await;
    assert_eq!(said(ask(&rig, &[(WISH, "third")]).await).await, "d");
    assert_eq!(said(ask(&rig, &[]).await).await, "c");
    rig.stop().await;
}

#[rstest]
#[case(Dialect::Messages)]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn a_request_chooses_only_among_what_the_operator_allows(#[case] dialect: Dialect) {
    let start = PolicyOptions { choices: vec!["all_caps".to_owned(), "later".to_owned()], ..options() };
    let (rig, state) = Rig::governed(Answer::text("hello"), start, |_| {}).await;
    state.set(replacing("hello", "global"), "a person").await.unwrap();
    let ask = async |wishes: &[&str]| {
        let headers: Vec<_> = std::iter::once(KEY).chain(wishes.iter().map(|wish| (WISH, *wish))).collect();
        let answer = post(&rig.url(path(dialect)), &headers, turn_in(dialect, false).to_string()).await.unwrap();
        (answer.status, String::from_utf8(answer.rest().await.unwrap().to_vec()).unwrap())
    };
    let (status, text) = ask(&["all_caps"]).await;
    assert!(status == 200 && text.contains("GLOBAL"), "{text}");
    assert_eq!(rig.upstream.requests()[0].header(WISH), None);
    for wishes in [&["no_op"][..], &["later"], &[""], &["all_caps", "all_caps"], &["all_caps, no_op"]] {
        let (status, text) = ask(wishes).await;
        assert!(status == 403 && text.contains("x-luthien-use-policy"), "{wishes:?}: {status} {text}");
    }
    assert_eq!(rig.upstream.requests().len(), 1);
    assign(&state, Scope::Header("later".to_owned()), replacing("hello", "now"), How::Replace).await;
    assert!(ask(&["later"]).await.1.contains("now"));
    rig.stop().await;
}

#[tokio::test]
async fn what_is_over_never_applies_and_what_held_before_holds_again() {
    let (rig, state) = Rig::governed(Answer::text("hello"), options(), |_| {}).await;
    state.set(replacing("hello", "before"), "a person").await.unwrap();
    let temporary = async |scope: Scope, end: SignedDuration, with: &str| {
        let expires_at = Some(state.now() + end);
        let spec = replacing("hello", with);
        state.assign(NewAssignment { scope, spec, how: How::Replace, expires_at, by: "a".to_owned() }).await.unwrap().id
    };
    temporary(Scope::Global, SignedDuration::from_secs(-1), "over").await;
    assert_eq!(said(ask(&rig, &[]).await).await, "before");
    let running = temporary(Scope::Global, SignedDuration::from_hours(1), "for an hour").await;
    temporary(Scope::Key(key_id()), SignedDuration::from_secs(-1), "over").await;
    assert_eq!(said(ask(&rig, &[]).await).await, "for an hour");
    assert!(state.end_assignment(running, "a person").await.unwrap().is_some());
    assert_eq!(said(ask(&rig, &[]).await).await, "before");
    rig.stop().await;
}

/// An answer in many pieces, its end behind the gate.
fn long(gate: &Gate) -> Answer {
    let first = (0..20).fold(Answer::new(), |answer, _| answer.say("one two three "));
    (0..20).fold(first.hold(gate), |answer, _| answer.say("four five six ")).delta_size(3)
}

#[rstest]
#[case(Dialect::Messages)]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn a_hundred_changes_under_load_break_no_stream_and_none_is_under_two_policies(#[case] dialect: Dialect) {
    let gate = Gate::new();
    let (rig, state) = Rig::governed(Script::always(long(&gate)), options(), |_| {}).await;
    let mut running = Vec::new();
    for change in 0..100 {
        let caps = change % 2 == 0;
        let class = if caps { "all_caps" } else { "no_op" };
        state.set(PolicySpec::new(class, json!({})), "a person").await.unwrap();
        if change % 3 == 0 {
            let exchange = rig.ask(path(dialect), &turn_in(dialect, true)).await;
            let label = format!("{class}; version={}", change + 1);
            assert_eq!(exchange.header("x-luthien-policy"), Some(&*label));
            running.push((caps, label, exchange));
        }
    }
    gate.open();
    let ended = running.into_iter().map(async |(caps, label, exchange)| {
        let id = id(&exchange);
        (caps, label, id, exchange.rest().await.unwrap())
    });
    let ended = join_all(ended).await;
    assert_eq!(ended.len(), 34);
    let whole = "one two three ".repeat(20) + &"four five six ".repeat(20);
    for (caps, label, id, bytes) in ended {
        let message = accumulate(dialect, &bytes).unwrap().to_string();
        let expected = if caps { whole.to_uppercase() } else { whole.clone() };
        assert!(message.contains(&expected), "{label}: {message}");
        let record = rig.record(&id).await;
        assert_eq!((record.policy, record.status), (label, Status::Completed));
    }
    rig.stop().await;
}

#[tokio::test]
async fn changes_while_streams_run_to_their_end_leave_each_under_one_policy() {
    let gate = Gate::new();
    gate.open();
    let (rig, state) = Rig::governed(Script::always(long(&gate)), options(), |_| {}).await;
    let changes = async {
        for change in 0..100 {
            let class = if change % 2 == 0 { "all_caps" } else { "no_op" };
            state.set(PolicySpec::new(class, json!({})), "a person").await.unwrap();
        }
    };
    let streams = join_all((0..60).map(async |_| {
        let exchange = rig.ask("/v1/messages", &turn(true)).await;
        let caps = exchange.header("x-luthien-policy").unwrap().starts_with("all_caps");
        (caps, exchange.rest().await.unwrap())
    }));
    let ((), streams) = tokio::join!(changes, streams);
    let whole = "one two three ".repeat(20) + &"four five six ".repeat(20);
    for (caps, bytes) in streams {
        let message = accumulate_messages(&bytes).unwrap();
        let expected = if caps { whole.to_uppercase() } else { whole.clone() };
        assert_eq!(message["content"][0]["text"], expected);
    }
    rig.stop().await;
}

#[rstest]
#[case(Dialect::Messages)]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn a_rejected_policy_refuses_traffic_in_the_caller_s_dialect(#[case] dialect: Dialect) {
    let inline = Some((json!({"class": "tool_call_judg"}), "luthien.yaml".to_owned()));
    let (rig, state) = Rig::governed(Answer::text("hello"), PolicyOptions { inline, ..options() }, |_| {}).await;
    let exchange = rig.ask(path(dialect), &turn_in(dialect, true)).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (503, Some("false")));
    assert_eq!(exchange.header("x-luthien-policy"), Some("no_op; version=0; rejected=tool_call_judg"));
    let id = id(&exchange);
    let body: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("`tool_call_judg` was rejected"), "{body}");
    assert!(rig.upstream.requests().is_empty());
    assert_eq!(rig.record(&id).await.status, Status::Refused);
    state.set(PolicySpec::new("no_op", json!({})), "a person").await.unwrap();
    assert_eq!(rig.ask(path(dialect), &turn_in(dialect, true)).await.status, 200);
    rig.stop().await;
}

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test]
async fn where_it_may_pass_it_is_recorded_as_failed_open_and_never_as_checked(#[case] stream: bool) {
    let inline = Some((json!({"class": "tool_call_judg"}), "luthien.yaml".to_owned()));
    let start = PolicyOptions { inline, fail_mode: PolicyFailMode::Open, dogfood: true, ..options() };
    let call = Answer::tool("Bash", &json!({"command": "ls"}));
    let (rig, _state) = Rig::governed(call, start, |_| {}).await;
    let exchange = rig.ask("/v1/messages", &turn(stream)).await;
    let label = "dogfood_safety; version=0; rejected=tool_call_judg";
    let header = if stream { label.to_owned() } else { format!("{label}; evaluation=failed_open") };
    assert_eq!((exchange.status, exchange.header("x-luthien-policy")), (200, Some(&*header)));
    let id = id(&exchange);
    exchange.rest().await.unwrap();
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.evaluation), (Status::Completed, Evaluation::FailedOpen));
    rig.stop().await;
}

#[rstest]
#[tokio::test]
async fn the_model_is_told_which_policies_hold_for_a_request(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
) {
    let start = PolicyOptions { tell_model: true, ..options() };
    let (rig, state) = Rig::governed(Answer::text("hello"), start, |_| {}).await;
    assert_eq!(rig.ask(path(dialect), &turn_in(dialect, false)).await.status, 200);
    state.set(PolicySpec::new("all_caps", json!({})), "a person").await.unwrap();
    let exchange = rig.ask(path(dialect), &turn_in(dialect, false)).await;
    assert_eq!(exchange.header("x-luthien-policy"), Some("all_caps; version=1; evaluation=intervened"));
    let sent = rig.upstream.requests();
    // Where there is nothing to tell, nothing is changed.
    assert_eq!(sent[0].json(), turn_in(dialect, false));
    let text = String::from_utf8(sent[1].body.to_vec()).unwrap();
    assert!(text.contains("- all_caps: Answers in capital letters."), "{text}");
    rig.stop().await;
}
