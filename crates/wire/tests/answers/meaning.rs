//! A stream and the whole answer that it stands for say the same in every other dialect.

use luthien_testkit::accumulate::accumulate;
use luthien_wire::convert::whole;
use serde_json::{Map, Value};

use crate::support::{context, converted, pairs, streams};

/// What a value says: without members that say nothing, with arguments as what they mean. Those that mean nothing are a
/// text in a stream and marked in a body.
fn said(value: Value) -> Value {
    match value {
        Value::Object(members) if members.contains_key("INVALID_JSON") => members["INVALID_JSON"].clone(),
        Value::Object(members) => {
            let is_choice = members.contains_key("message");
            let kept = members.into_iter().map(|(name, value)| match &value {
                Value::String(text) if name == "arguments" => (name, serde_json::from_str(text).unwrap_or(value)),
                _ => (name, said(value)),
            });
            // A stream numbers the elements of its lists.
            let numbered = |name: &str| name == "index" && !is_choice;
            Value::Object(kept.filter(|(name, value)| !value.is_null() && !numbered(name)).collect::<Map<_, _>>())
        }
        Value::Array(values) => uncut(values.into_iter().map(said).collect()),
        other => other,
    }
}

/// Blocks without the cuts that a body of Messages has where sources begin and end: a stream tells sources behind the text.
fn uncut(values: Vec<Value>) -> Value {
    let is_text = |value: &Value| value["type"] == "text" && value["text"].is_string();
    let mut out: Vec<Value> = Vec::new();
    for mut value in values {
        let sources = value.get_mut("citations").and_then(Value::as_array_mut);
        for source in sources.into_iter().flatten() {
            *source = source["url"].take();
        }
        match out.last_mut().filter(|last| is_text(last) && is_text(&value)) {
            Some(last) => {
                let texts = [&last["text"], &value["text"]].map(|text| text.as_str().unwrap_or_default());
                last["text"] = texts.concat().into();
                let all = [&last["citations"], &value["citations"]].into_iter().filter_map(Value::as_array).flatten();
                last["citations"] = all.cloned().collect();
            }
            None => out.push(value),
        }
    }
    out.into()
}

#[test]
fn a_stream_means_what_its_whole_means() {
    let mut wrong = Vec::new();
    for (from, to) in pairs() {
        for fixture in streams(from).filter(|fixture| fixture.well_formed) {
            let body = accumulate(from, fixture.bytes).expect(fixture.name).to_string();
            let whole = whole(&context(from, to), body.as_bytes()).expect(fixture.name);
            let whole: Value = serde_json::from_slice(&whole.body).expect(fixture.name);
            let (out, _) = converted(context(from, to), fixture.bytes, 64);
            let stream = accumulate(to, &out).expect(fixture.name);
            if said(stream.clone()) != said(whole.clone()) {
                wrong.push(format!("{from} {} in {to}:\n{}\n{}", fixture.name, said(stream), said(whole)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
