//! The vendors' own SDKs: what they read through the gateway is what they read directly, but for what a policy changed.

mod fixtures;

use luthien_testkit::{Answer, Upstream};
use luthien_tests::clients::{Job, Sdk, read_each};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::said::{Call, said};

fn job(dialect: Dialect, model: &str, streamed: bool) -> Job {
    let request = match dialect {
        Dialect::Responses => json!({"model": model, "input": "Go on."}),
        Dialect::Messages | Dialect::Chat => {
            json!({"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": "Go on."}]})
        }
    };
    let form = if streamed { "streamed" } else { "whole" };
    Job { name: format!("{} {model} {form}", dialect.name()), dialect, streamed, request }
}

const SENTENCE: &str = "I will stop it and read the file. Größe: straße.";

/// A text and two parallel calls, the first of which would stop the gateway.
fn two_calls() -> Answer {
    let stop = json!({"command": "docker compose down", "description": "Stops all"});
    let answer = Answer::new().say(SENTENCE).call_with_id("call_stop", "Bash", &stop);
    answer.call_with_id("call_read", "Read", &json!({"path": "/etc/hosts"}))
}

fn tool_stop(job: &Job) -> &'static str {
    match job.dialect {
        Dialect::Messages => "tool_use",
        Dialect::Chat => "tool_calls",
        Dialect::Responses => "completed",
    }
}

fn read_call() -> Call {
    Call { id: "call_read".into(), name: "Read".into(), input: json!({"path": "/etc/hosts"}) }
}

#[rstest]
#[case::python_new(Sdk::PythonNew)]
#[case::python_old(Sdk::PythonOld)]
#[case::typescript(Sdk::TypeScript)]
#[tokio::test]
async fn a_policy_changes_what_it_means_to_and_asks_nothing_again(#[case] sdk: Sdk) {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(two_calls());
    let setup = |class| Setup { upstream: upstream.base_url(), policy: Some((class, json!({}))) };
    let blocking = Gateway::start(&setup("dogfood_safety")).await;
    let shouting = Gateway::start(&setup("all_caps")).await;
    let forms = Dialect::ALL.into_iter().flat_map(|dialect| [true, false].map(|streamed| (dialect, streamed)));
    let jobs: Vec<_> = forms.map(|(dialect, streamed)| job(dialect, "scripted", streamed)).collect();

    let [blocked, shouted] = read_each(sdk, [blocking.url(), shouting.url()], &jobs).await;

    // Chat and Responses streams are read twice, by events and by the helper.
    assert_eq!(upstream.turns().len(), 2 * (jobs.len() + 2), "{sdk:?} asks once for each answer");
    for job in &jobs {
        a_blocked_call_is_a_text_and_the_other_call_remains(job, &blocked[&job.name]);
        a_rewritten_text_leaves_the_calls_alone(job, &shouted[&job.name]);
    }
    blocking.stop().await;
    shouting.stop().await;
}

fn a_blocked_call_is_a_text_and_the_other_call_remains(job: &Job, result: &Value) {
    let said = said(job, result);
    assert!(said.text.starts_with(SENTENCE), "{}: {said:?}", job.name);
    assert!(said.text[SENTENCE.len()..].contains("⛔ BLOCKED"), "{}: {said:?}", job.name);
    assert_eq!(said.calls, [read_call()], "{}", job.name);
    assert_eq!(said.stop, tool_stop(job), "{}", job.name);
    assert!(!result.to_string().contains("call_stop"), "{}: {result}", job.name);
}

fn a_rewritten_text_leaves_the_calls_alone(job: &Job, result: &Value) {
    let said = said(job, result);
    assert_eq!(said.text, "I WILL STOP IT AND READ THE FILE. GRÖSSE: STRASSE.", "{}", job.name);
    let ids: Vec<_> = said.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["call_stop", "call_read"], "{}", job.name);
    assert_eq!(said.calls[1], read_call(), "{}", job.name);
    assert_eq!(said.stop, tool_stop(job), "{}", job.name);
}
