//! What policies and the gateway did in a turn, in a line each.

use serde_json::Value;

use super::session::Annotation;
use crate::model::{Decision, Event};
use crate::store::TransactionDetail;

/// Decisions first, then events.
pub(super) fn annotations(call: &TransactionDetail) -> Vec<Annotation> {
    let decisions = call.decisions.iter().map(|decision| Annotation {
        policy_name: decision.policy.clone(),
        event_type: decision_event(decision),
        summary: summary(decision),
        details: serde_json::to_value(decision).unwrap_or_default(),
    });
    let events = call.events.iter().map(|event| Annotation {
        policy_name: author(&event.event_type).to_owned(),
        event_type: event.event_type.clone(),
        summary: told(event),
        details: event.data.clone(),
    });
    decisions.chain(events).collect()
}

/// Whose event it is.
fn author(event_type: &str) -> &str {
    match event_type.split_once('.') {
        Some(("policy", rest)) => rest.split('.').next().unwrap_or_default(),
        _ => "gateway",
    }
}

/// An event in a line.
fn told(event: &Event) -> String {
    let text = |name: &str| event.data[name].as_str().unwrap_or_default();
    if let Some(summary) = event.data["summary"].as_str() {
        return summary.to_owned();
    }
    let listed = |name: &str, what: &str| {
        let names = event.data[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        let names = names.collect::<Vec<_>>().join(", ");
        if names.is_empty() { String::new() } else { format!("{what}{names}") }
    };
    match event.event_type.as_str() {
        "transaction.converted" => {
            let (lost, put_in) = (listed("dropped", "; left out: "), listed("added", "; put in: "));
            format!("converted from {} to {}{lost}{put_in}", text("from"), text("to"))
        }
        "transaction.answer_converted" => match event.data["error"].as_str() {
            Some(error) => format!("the answer could not be converted: {error}"),
            None => format!("the answer was converted{}", listed("dropped", "; left out: ")),
        },
        "transaction.fallback" => {
            format!("{} could not answer ({}), {} was asked", text("from"), text("why"), text("to"))
        }
        "transaction.fallback_skipped" => format!("{} was passed over: {}", text("upstream"), text("why")),
        "transaction.calls_answered" => {
            let origin = if event.data["conversation"].is_string() { "conversation" } else { "previous_response_id" };
            format!("calls that were withheld in {} were answered in the client's place", text(origin))
        }
        other => words(other),
    }
}

/// The type of the event that a decision is.
pub(super) fn decision_event(decision: &Decision) -> String {
    format!("policy.{}.decision", decision.policy)
}

fn summary(decision: &Decision) -> String {
    let mut out = decision.action.clone();
    if let Some(name) = decision.target["name"].as_str() {
        out = format!("{out} {name}");
    }
    if decision.mode != "enforce" {
        out = format!("{out} ({} only)", decision.mode);
    }
    if decision.failed {
        out.push_str(" (could not decide)");
    }
    match &decision.reason {
        Some(reason) => format!("{out}: {reason}"),
        None => out,
    }
}

fn words(event_type: &str) -> String {
    event_type.rsplit('.').next().unwrap_or_default().replace('_', " ")
}
