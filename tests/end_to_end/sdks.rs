//! The vendors' own SDKs: what they read through the gateway is what they read directly, but for what a policy changed.

mod converted;
mod fixtures;

use luthien_testkit::{Answer, Upstream};
use luthien_tests::clients::{Job, Sdk, read_each};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::said::{Call, Said, said};

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

/// Thoughts, a text and two parallel calls, the first of which would stop the gateway.
fn two_calls() -> Answer {
    let stop = json!({"command": "docker compose down", "description": "Stops all"});
    let answer = Answer::new().think("Let me see.", "c2lnbmF0dXJl").say(SENTENCE);
    let answer = answer.call_with_id("call_stop", "Bash", &stop);
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
async fn an_answer_of_any_dialect_reaches_clients_of_any_but_for_what_a_policy_changes(#[case] sdk: Sdk) {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(two_calls());
    let gateway = async |class: Option<&'static str>| {
        let policy = class.map(|class| (class, json!({})));
        Gateway::start_converting(&Setup { upstream: upstream.base_url(), policy }).await
    };
    let gateways = [gateway(None).await, gateway(Some("dogfood_safety")).await, gateway(Some("all_caps")).await];
    let ways = Dialect::ALL.into_iter().flat_map(|client| Dialect::ALL.map(|spoken| (client, spoken)));
    let forms = ways.flat_map(|way| [true, false].map(|streamed| (way, streamed)));
    let jobs: Vec<_> = forms
        .map(|((client, spoken), streamed)| job(client, &format!("{}/scripted", spoken.name()), streamed))
        .collect();

    let [passed, blocked, shouted] = read_each(sdk, gateways.each_ref().map(Gateway::url), &jobs).await;

    // Chat and Responses streams are read twice, by events and by the helper; nothing else is asked again.
    let twice = jobs.iter().filter(|job| job.streamed && job.dialect != Dialect::Messages).count();
    assert_eq!(upstream.turns().len(), 3 * (jobs.len() + twice), "{sdk:?} asks once for each answer");
    for job in &jobs {
        everything_is_there(job, &passed[&job.name]);
        a_blocked_call_is_a_text_and_the_other_call_remains(job, &blocked[&job.name]);
        a_rewritten_text_leaves_the_calls_alone(job, &shouted[&job.name]);
    }
    for gateway in gateways {
        gateway.stop().await;
    }
}

fn everything_is_there(job: &Job, result: &Value) {
    let said = said(job, result);
    let stop = json!({"command": "docker compose down", "description": "Stops all"});
    let stop = Call { id: "call_stop".into(), name: "Bash".into(), input: stop };
    let expected = Said { text: SENTENCE.into(), calls: vec![stop, read_call()], stop: tool_stop(job).into() };
    assert_eq!(said, expected, "{}", job.name);
    assert!(result["final"].to_string().contains("Let me see."), "{}: the thoughts are there: {result}", job.name);
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
