//! Every fixture as the SDKs read it: directly, through the gateway, through one that rewrites and one that blocks.

use std::collections::BTreeSet;

use luthien_testkit::fixtures::{self, Fixture};
use luthien_testkit::{Answer, Asked, Play, Reply, Script, Upstream};
use luthien_tests::clients::{Job, Sdk, read_each};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use super::job;
use crate::said::text_places;

/// The model's name that the judge is asked by.
const JUDGE: &str = "judge-of-calls";

/// What stands in place of a blocked call.
const BLOCKED: &str = "[Blocked.]";

/// What is replaced by what; long enough to be cut by the ends of deltas.
const REPLACED: [(&str, &str); 2] = [("the", "THE"), ("e", "é")];

/// A fixture and how an SDK asks for it.
struct Case {
    fixture: &'static Fixture,
    job: Job,
}

fn cases() -> Vec<Case> {
    let all = Dialect::ALL.into_iter().flat_map(|dialect| fixtures::all(dialect).iter());
    // A compacted conversation is the answer of another endpoint.
    let turns = all.filter(|fixture| fixture.name != "body_compacted");
    turns.map(|fixture| Case { fixture, job: job(fixture.dialect, fixture.name, fixture.streamed) }).collect()
}

fn jobs(cases: &[Case]) -> Vec<Job> {
    cases.iter().map(|case| case.job.clone()).collect()
}

/// An upstream that answers each request with the fixture that its model names, and a judge with what it fears most.
pub(super) async fn with_fixtures() -> Upstream {
    let upstream = Upstream::start().await.expect("an upstream");
    let verdict = Answer::text(&json!({"probability": 1, "explanation": "harmful"}).to_string());
    upstream.default_script(Script::new(move |asked: &Asked| {
        if asked.model() == JUDGE {
            return Play::from(verdict.clone());
        }
        Reply::fixture(fixtures::named(asked.dialect, asked.model()).expect("a fixture of that name")).into()
    }));
    upstream
}

async fn gateway(upstream: &Upstream, policy: Option<(&'static str, Value)>) -> Gateway {
    Gateway::start(&Setup { upstream: upstream.base_url(), policy }).await
}

/// Whether there is no message: the SDK raised something, or it tells of a failed response.
pub(super) fn refused(result: &Value) -> bool {
    !result["final"]["error"].is_null()
}

#[rstest]
#[case::python_new(Sdk::PythonNew)]
#[case::python_old(Sdk::PythonOld)]
#[case::typescript(Sdk::TypeScript)]
#[tokio::test]
async fn every_fixture_is_the_same_message_through_the_gateway(#[case] sdk: Sdk) {
    let upstream = with_fixtures().await;
    let passing = gateway(&upstream, None).await;
    let replacing = gateway(&upstream, Some(("string_replacement", json!({"replacements": REPLACED})))).await;
    let blocking = gateway(&upstream, Some(("tool_call_judge", json!({"model": JUDGE, "feedback": "none"})))).await;
    let cases = cases();
    assert!(cases.len() > 120, "only {} fixtures", cases.len());

    let bases = [&upstream.base_url(), passing.url(), replacing.url(), blocking.url()];
    let [direct, passed, replaced, blocked] = read_each(sdk, bases, &jobs(&cases)).await;

    let mut faults = Vec::new();
    for case in &cases {
        let name = &case.job.name;
        let direct = &direct[name];
        let checks = [
            ("passed", same(case, direct, &passed[name])),
            ("replaced", with_texts_replaced(case, direct, &replaced[name])),
            ("blocked", without_calls(case, direct, &blocked[name])),
        ];
        for (what, fault) in checks {
            faults.extend(fault.err().map(|fault| format!("{name}, {what}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let accepted = cases.iter().filter(|case| !refused(&direct[&case.job.name])).count();
    assert!(accepted > 90, "{sdk:?} accepts only {accepted} of {} fixtures directly", cases.len());
    for gateway in [passing, replacing, blocking] {
        gateway.stop().await;
    }
}

fn equal(through: &Value, expected: &Value) -> Result<(), String> {
    let mut differ = Vec::new();
    compare("", through, expected, &mut differ);
    if differ.is_empty() { Ok(()) } else { Err(differ.join("")) }
}

/// Where the two differ, with what is there and what should be.
fn compare(place: &str, through: &Value, expected: &Value, differ: &mut Vec<String>) {
    match (through, expected) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let missing = json!("(nothing)");
                let [one, other] = [one, other].map(|object| object.get(key).unwrap_or(&missing));
                compare(&format!("{place}/{key}"), one, other, differ);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (n, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{place}/{n}"), one, other, differ);
            }
        }
        _ if through == expected => {}
        _ => differ.push(format!("\n  at {place}: {through}\n    not {expected}")),
    }
}

/// What a gateway owes a broken stream is an error where an SDK alone may see none; all else is the same.
fn same(case: &Case, direct: &Value, through: &Value) -> Result<(), String> {
    if case.fixture.well_formed {
        return equal(through, direct);
    }
    if case.fixture.name.starts_with("cut_in") && !refused(through) {
        return Err(format!("several readers take the end of the connection for the end of the answer: {through}"));
    }
    // What an SDK refuses the gateway may have repaired.
    if refused(through) || refused(direct) { Ok(()) } else { equal(&through["final"], &direct["final"]) }
}

fn with_texts_replaced(case: &Case, direct: &Value, through: &Value) -> Result<(), String> {
    let (mut expected, mut through) = (direct["final"].clone(), through["final"].clone());
    if !case.fixture.well_formed {
        // A broken stream is repaired or ended; how is not the same for all readers, but no text gets round the policy.
        let left = said(case, &through).into_iter().find(|text| REPLACED.iter().any(|(from, _)| text.contains(from)));
        return left.map_or(Ok(()), |text| Err(format!("not replaced: {text}")));
    }
    for place in text_places(case.job.dialect, &expected) {
        let text = expected.pointer_mut(&place).expect("a text");
        *text = REPLACED.iter().fold(words(text), |text, (from, to)| text.replace(from, to)).into();
        // What points into a text, or tells of its tokens, goes with the text.
        let block = place.rsplit_once('/').map_or("", |(block, _)| block);
        for answer in [&mut expected, &mut through] {
            if let Some(block) = answer.pointer_mut(block).and_then(Value::as_object_mut) {
                block.retain(|key, _| !ABOUT_TEXT.contains(&key.as_str()));
            }
        }
    }
    for answer in [&mut expected, &mut through] {
        for choice in answer.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
            choice["logprobs"] = Value::Null;
        }
    }
    equal(&through, &expected)
}

const ABOUT_TEXT: [&str; 4] = ["annotations", "citations", "logprobs", "x_part"];

fn without_calls(case: &Case, direct: &Value, through: &Value) -> Result<(), String> {
    let (direct, through) = (&direct["final"], &through["final"]);
    let calls = calls(through);
    if !calls.is_empty() {
        return Err(format!("calls {calls:?} are left: {through}"));
    }
    // What made an SDK refuse it may have gone with the call.
    if !case.fixture.well_formed || direct == through || direct["error"].is_string() {
        return Ok(());
    }
    let text =
        |answer| said(case, answer).iter().map(|text| text.replace(BLOCKED, "").trim().to_owned()).collect::<String>();
    if through["error"].is_string() {
        equal(through, direct)
    } else {
        equal(&text(through).into(), &text(direct).into())
    }
}

fn said(case: &Case, answer: &Value) -> Vec<String> {
    text_places(case.job.dialect, answer).iter().filter_map(|place| answer.pointer(place).map(words)).collect()
}

fn words(text: &Value) -> String {
    text.as_str().unwrap_or_default().to_owned()
}

/// The kinds of everything in an answer that a client, or the vendor, would run or has run.
fn calls(answer: &Value) -> Vec<String> {
    let list = |place: &Value| place.as_array().cloned().unwrap_or_default();
    let kinds = |list: Vec<Value>| -> Vec<String> {
        list.iter().filter_map(|one| one["type"].as_str()).map(str::to_owned).collect()
    };
    let mut found: Vec<String> = kinds(list(&answer["content"]))
        .into_iter()
        .chain(kinds(list(&answer["output"])))
        .filter(|kind| kind.ends_with("tool_use") || kind.ends_with("_call"))
        .collect();
    for choice in list(&answer["choices"]) {
        let message = &choice["message"];
        found.extend(kinds(list(&message["tool_calls"])));
        found.extend(message["function_call"].as_object().map(|_| "function_call".to_owned()));
    }
    found
}
