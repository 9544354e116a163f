//! Golden conversions: every fixture in the two other dialects, a snapshot for each pair of dialects.

use std::fmt::Write;
use std::path::Path;

use luthien_testkit::fixtures::{self, Fixture};
use luthien_wire::Dialect;
use luthien_wire::convert::{error, whole};
use luthien_wire::sse::Splitter;
use serde_json::{Map, Value};

use crate::support::{context, converted, pairs, streams};

#[test]
fn golden_streams() {
    for (from, to) in pairs() {
        golden(&format!("{from}-streams-to-{to}"), streams(from), |fixture| {
            let (out, converter) = converted(context(from, to), fixture.bytes, usize::MAX);
            let mut lines = frames(to, &out);
            lines.extend(converter.dropped().iter().map(|dropped| format!("dropped {dropped}")));
            lines.extend(converter.trouble().map(|trouble| format!("trouble {trouble}")));
            lines.join("\n")
        });
    }
}

#[test]
fn golden_bodies() {
    for (from, to) in pairs() {
        let bodies = fixtures::all(from).iter().filter(|fixture| !fixture.streamed && fixture.status == 200);
        golden(&format!("{from}-bodies-to-{to}"), bodies, |fixture| match whole(&context(from, to), fixture.bytes) {
            Err(unreadable) => format!("unreadable: {unreadable}"),
            Ok(converted) => {
                let body: Value = serde_json::from_slice(&converted.body).expect(fixture.name);
                let mut lines = vec![told(body).to_string()];
                lines.extend(converted.dropped.iter().map(|dropped| format!("dropped {dropped}")));
                lines.extend(converted.failed.map(|status| format!("failed with {status}")));
                lines.join("\n")
            }
        });
    }
}

#[test]
fn golden_errors() {
    for (from, to) in pairs() {
        let errors = fixtures::all(from).iter().filter(|fixture| fixture.status != 200);
        golden(&format!("{from}-errors-to-{to}"), errors, |fixture| {
            let body = error(from, to, fixture.status, fixture.bytes, "req_own");
            format!("{} {}", fixture.status, String::from_utf8_lossy(&body))
        });
    }
}

fn golden<'a>(name: &str, fixtures: impl Iterator<Item = &'a Fixture>, shown: impl Fn(&Fixture) -> String) {
    let all = fixtures.fold(String::new(), |mut all, fixture| {
        let _ = write!(all, "## {}\n{}\n\n", fixture.name, shown(fixture));
        all
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers/snapshots");
    insta::with_settings!({
        snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true,
    }, {
        insta::assert_snapshot!(name, all);
    });
}

/// A line for each frame. What every chunk of Chat repeats is left out, and of a response what the request gave.
fn frames(dialect: Dialect, stream: &[u8]) -> Vec<String> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(stream);
    let mut lines = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        let data = frame.data.unwrap_or_default();
        let line = match serde_json::from_slice::<Value>(&data) {
            Ok(Value::Object(mut members)) if dialect == Dialect::Chat => {
                if !lines.is_empty() {
                    for name in ["id", "object", "created", "model"] {
                        members.shift_remove(name);
                    }
                }
                Value::Object(members).to_string()
            }
            Ok(Value::Object(mut members)) => {
                if let Some(response) = members.get_mut("response") {
                    *response = told(response.take());
                }
                members.shift_remove("type");
                format!("{} {}", String::from_utf8_lossy(&frame.event), Value::Object(members))
            }
            _ => String::from_utf8_lossy(&data).into_owned(),
        };
        lines.push(line);
    }
    lines
}

/// A response without what the request gave.
fn told(response: Value) -> Value {
    const TOLD: [&str; 9] =
        ["id", "object", "created_at", "status", "error", "incomplete_details", "model", "output", "usage"];
    match response {
        Value::Object(members) if members.get("object").is_some_and(|object| object == "response") => {
            Value::Object(members.into_iter().filter(|(name, _)| TOLD.contains(&name.as_str())).collect::<Map<_, _>>())
        }
        other => other,
    }
}
