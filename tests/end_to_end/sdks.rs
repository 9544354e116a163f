//! The vendors' own SDKs: what they read through the gateway is what they read directly.

use luthien_testkit::fixtures::{self, Fixture};
use luthien_testkit::{Answer, Asked, Reply, Script, Upstream};
use luthien_tests::clients::{Job, Sdk, read};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::said::{Call, said};

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "messages",
        Dialect::Chat | Dialect::Responses => "chat",
    }
}

fn job(dialect: Dialect, model: &str, streamed: bool) -> Job {
    let request = json!({"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": "Go on."}]});
    let form = if streamed { "streamed" } else { "whole" };
    Job { name: format!("{} {model} {form}", name(dialect)), dialect: name(dialect), streamed, request }
}

/// Whole answers, and errors before the first byte. What a gateway owes a broken stream is an error where an SDK alone may see none.
fn complete(dialect: Dialect) -> impl Iterator<Item = &'static Fixture> {
    fixtures::all(dialect).iter().filter(|fixture| fixture.well_formed || fixture.status >= 400)
}

/// An upstream that answers each request with the fixture that its model names.
async fn with_fixtures() -> Upstream {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Script::new(|asked: &Asked| {
        Reply::fixture(fixtures::named(asked.dialect, asked.model()).expect("a fixture of that name"))
    }));
    upstream
}

#[rstest]
#[case::python_new(Sdk::PythonNew)]
#[case::python_old(Sdk::PythonOld)]
#[case::typescript(Sdk::TypeScript)]
#[tokio::test]
async fn every_fixture_reads_the_same_through_the_gateway(#[case] sdk: Sdk) {
    let upstream = with_fixtures().await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let all = [Dialect::Messages, Dialect::Chat].into_iter().flat_map(complete);
    let jobs: Vec<_> = all.map(|fixture| job(fixture.dialect, fixture.name, fixture.streamed)).collect();
    assert!(jobs.len() > 40, "only {} fixtures", jobs.len());

    let direct = read(sdk, &upstream.base_url(), &jobs).await;
    let through = read(sdk, gateway.url(), &jobs).await;

    let differ: Vec<_> = jobs.iter().filter(|job| direct[&job.name] != through[&job.name]).collect();
    let shown =
        |job: &&Job| format!("{}\n  direct:  {}\n  through: {}", job.name, direct[&job.name], through[&job.name]);
    assert!(differ.is_empty(), "{}", differ.iter().map(shown).collect::<Vec<_>>().join("\n"));
    let accepted = jobs.iter().filter(|job| direct[&job.name]["final"]["error"].is_null()).count();
    assert!(accepted > 30, "{sdk:?} accepts only {accepted} of {} fixtures directly", jobs.len());
    gateway.stop().await;
}

/// Several readers take the end of the connection for the end of the answer. Through the gateway none does.
#[rstest]
#[case::python_new(Sdk::PythonNew)]
#[case::python_old(Sdk::PythonOld)]
#[case::typescript(Sdk::TypeScript)]
#[tokio::test]
async fn a_stream_that_is_cut_short_is_an_error(#[case] sdk: Sdk) {
    let upstream = with_fixtures().await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let dialects = [Dialect::Messages, Dialect::Chat].into_iter();
    let jobs: Vec<_> =
        dialects.flat_map(|dialect| ["cut_in_text", "cut_in_tool"].map(|name| job(dialect, name, true))).collect();
    let through = read(sdk, gateway.url(), &jobs).await;
    for job in jobs {
        assert!(through[&job.name]["final"]["error"].is_string(), "{}: {}", job.name, through[&job.name]);
    }
    gateway.stop().await;
}

const SENTENCE: &str = "I will stop it and read the file. Größe: straße.";

/// A text and two parallel calls, the first of which would stop the gateway.
fn two_calls() -> Answer {
    let stop = json!({"command": "docker compose down", "description": "Stops all"});
    let answer = Answer::new().say(SENTENCE).call_with_id("call_stop", "Bash", &stop);
    answer.call_with_id("call_read", "Read", &json!({"path": "/etc/hosts"}))
}

/// What `sdk` reads of that answer through a gateway with this policy: in both dialects, streamed and not.
async fn through_policy(sdk: Sdk, class: &'static str) -> Vec<(Job, Value)> {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(two_calls());
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: Some((class, json!({}))) }).await;
    let forms = [(Dialect::Messages, true), (Dialect::Messages, false), (Dialect::Chat, true), (Dialect::Chat, false)];
    let jobs = forms.map(|(dialect, streamed)| job(dialect, "scripted", streamed));
    let mut results = read(sdk, gateway.url(), &jobs).await;
    // A Chat stream is read twice, by chunks and by the helper; nothing else is asked again.
    assert_eq!(upstream.turns().len(), jobs.len() + 1, "{sdk:?} asks once for each answer");
    gateway.stop().await;
    jobs.into_iter().map(|job| (job.clone(), results.remove(&job.name).expect("a result"))).collect()
}

fn tool_stop(job: &Job) -> &'static str {
    if job.dialect == "messages" { "tool_use" } else { "tool_calls" }
}

fn read_call() -> Call {
    Call { id: "call_read".into(), name: "Read".into(), input: json!({"path": "/etc/hosts"}) }
}

#[rstest]
#[case::python_new(Sdk::PythonNew)]
#[case::python_old(Sdk::PythonOld)]
#[case::typescript(Sdk::TypeScript)]
#[tokio::test]
async fn a_blocked_call_is_a_text_and_the_other_call_remains(#[case] sdk: Sdk) {
    for (job, result) in through_policy(sdk, "dogfood_safety").await {
        let said = said(&job, &result);
        assert!(said.text.starts_with(SENTENCE), "{}: {said:?}", job.name);
        assert!(said.text[SENTENCE.len()..].contains("⛔ BLOCKED"), "{}: {said:?}", job.name);
        assert_eq!(said.calls, [read_call()], "{}", job.name);
        assert_eq!(said.stop, tool_stop(&job), "{}", job.name);
        assert!(!result.to_string().contains("call_stop"), "{}: {result}", job.name);
    }
}

#[rstest]
#[case::python_new(Sdk::PythonNew)]
#[case::python_old(Sdk::PythonOld)]
#[case::typescript(Sdk::TypeScript)]
#[tokio::test]
async fn a_rewritten_text_leaves_the_calls_alone(#[case] sdk: Sdk) {
    for (job, result) in through_policy(sdk, "all_caps").await {
        let said = said(&job, &result);
        assert_eq!(said.text, "I WILL STOP IT AND READ THE FILE. GRÖSSE: STRASSE.", "{}", job.name);
        let ids: Vec<_> = said.calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["call_stop", "call_read"], "{}", job.name);
        assert_eq!(said.calls[1], read_call(), "{}", job.name);
        assert_eq!(said.stop, tool_stop(&job), "{}", job.name);
    }
}
