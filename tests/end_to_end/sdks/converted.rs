//! Every fixture as the SDKs of the other dialects read it, converted: the same texts and calls as its own dialect's SDK reads.

use luthien_testkit::fixtures;
use luthien_tests::clients::{Job, Sdk, read};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::Value;

use super::fixtures::{refused, with_fixtures};
use super::job;
use crate::said::{Call, said};

/// A fixture, asked for by an SDK of its own dialect and by one of another.
struct Case {
    direct: Job,
    converted: Job,
}

fn cases() -> Vec<Case> {
    let all = Dialect::ALL.into_iter().flat_map(|spoken| fixtures::all(spoken).iter());
    // What a Responses server says of something that is no turn.
    let others = ["body_input_tokens", "body_deleted", "body_input_items", "body_compacted"];
    let answers = all.filter(|fixture| fixture.well_formed && !others.contains(&fixture.name));
    let pairs = answers.flat_map(|fixture| Dialect::ALL.into_iter().map(move |client| (fixture, client)));
    // In a Messages stream nothing can follow a call that has gone out: a text behind it is left out, and the record says so.
    let left_out = |name, client| name == "text_function_call_text" && client == Dialect::Messages;
    let other = pairs.filter(|(fixture, client)| fixture.dialect != *client && !left_out(fixture.name, *client));
    let case = |(fixture, client): (&fixtures::Fixture, Dialect)| {
        let model = format!("{}/{}", fixture.dialect.name(), fixture.name);
        Case {
            direct: job(fixture.dialect, &model, fixture.streamed),
            converted: job(client, &model, fixture.streamed),
        }
    };
    other.map(case).collect()
}

#[rstest]
#[case::python(Sdk::PythonNew)]
#[case::typescript(Sdk::TypeScript)]
#[tokio::test]
async fn every_fixture_is_the_same_message_in_another_dialect(#[case] sdk: Sdk) {
    let upstream = with_fixtures().await;
    let gateway = Gateway::start_converting(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let cases = cases();
    let mut jobs: Vec<_> = cases.iter().flat_map(|case| [case.direct.clone(), case.converted.clone()]).collect();
    jobs.sort_by(|one, other| one.name.cmp(&other.name));
    jobs.dedup_by(|one, other| one.name == other.name);

    let read = read(sdk, gateway.url(), &jobs).await;

    let fault = |case: &Case| compare(case, &read[&case.direct.name], &read[&case.converted.name]).err();
    let faults: Vec<_> = cases.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    gateway.stop().await;
}

fn compare(case: &Case, direct: &Value, converted: &Value) -> Result<(), String> {
    let name = &case.converted.name;
    if refused(direct) {
        return Ok(());
    }
    let direct = said(&case.direct, direct);
    if refused(converted) {
        // Some SDKs raise for answers that were cut short or refused, for arguments that cannot be read, for free text.
        let odd = direct.calls.iter().any(|call| !call.input.is_object() || call.input.get("input").is_some());
        let may = odd || !ENDED_WELL.contains(&direct.stop.as_str());
        return if may { Ok(()) } else { Err(format!("{name}: {}", converted["final"]["error"])) };
    }
    let converted = said(&case.converted, converted);
    // Why it refused may follow what it said.
    let texts =
        if direct.stop == "refusal" { converted.text.starts_with(&direct.text) } else { converted.text == direct.text };
    let calls = direct.calls.len() == converted.calls.len();
    if texts && calls && direct.calls.iter().zip(&converted.calls).all(|(one, other)| alike(one, other)) {
        return Ok(());
    }
    Err(format!("{name}:\n  converted: {converted:?}\n  direct:    {direct:?}"))
}

/// The older calls have no ids, and what each SDK makes of unreadable arguments is its own.
fn alike(one: &Call, other: &Call) -> bool {
    let readable = |call: &Call| call.input.is_object() && call.input.get("INVALID_JSON").is_none();
    one.name == other.name && (!readable(one) || !readable(other) || numbers(&one.input) == numbers(&other.input))
}

/// With all numbers in one form: JavaScript knows no whole ones.
fn numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(all) => all.iter().map(numbers).collect(),
        Value::Object(all) => all.iter().map(|(key, value)| (key.clone(), numbers(value))).collect(),
        other => other.clone(),
    }
}

const ENDED_WELL: [&str; 6] = ["end_turn", "stop", "tool_use", "tool_calls", "function_call", "completed"];
