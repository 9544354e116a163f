//! Golden conversions: each request below `convert/requests`, in the two other dialects, beside it as a snapshot.

use std::path::{Path, PathBuf};

use luthien_wire::Dialect;
use luthien_wire::convert::{self, StreamConverter};
use luthien_wire::request::{Request, RequestKind};
use serde_json::{Map, Value, json};

/// What the upstream calls the model, and what it does where a request's file says so: some models take less than others.
const MODEL: &str = "upstream-model";
const MODELS: [(&str, &str); 5] = [
    ("budget", "claude-sonnet-4-5"),
    ("gpt-4o", "gpt-4o"),
    ("gpt-5", "gpt-5"),
    ("opus", "claude-opus-5-5"),
    ("searching", "gpt-4o-search-preview"),
];

#[test]
fn golden_conversions_of_requests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert");
    for from in Dialect::ALL {
        for path in requests(&folder, from) {
            let body = std::fs::read(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let kind = if name.starts_with("count") { RequestKind::CountTokens } else { RequestKind::Turn };
            let request = Request::parse(from, kind, body.into()).unwrap();
            let model = MODELS.iter().find(|(part, _)| name.contains(part)).map_or(MODEL, |(_, model)| model);
            for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
                insta::with_settings!({
                    snapshot_path => folder.join("snapshots"), prepend_module_to_snapshot => false, omit_expression => true,
                }, {
                    insta::assert_snapshot!(format!("{from}-{name}-to-{to}"), shown(&request, kind, to, model));
                });
            }
        }
    }
}

#[test]
fn calls_of_renamed_tools_come_back_under_the_clients_names() {
    let long = format!("mcp__{}", "server_".repeat(10));
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "go"}],
                      "tools": [{"name": long, "input_schema": {"type": "object"}}]});
    let request = Request::parse(Dialect::Messages, RequestKind::Turn, body.to_string().into()).unwrap();
    let converted = convert::request(&request, Dialect::Chat, "m").unwrap();
    let sent: Value = serde_json::from_slice(&converted.body).unwrap();
    let name = sent["tools"][0]["function"]["name"].as_str().unwrap();
    assert_eq!(name.len(), 64);

    let call = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}});
    let part = |member: &str| {
        let said = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        json!({"id": "c", "created": 1, "model": "m", "choices": [{"index": 0, member: said, "finish_reason": "tool_calls"}]})
    };
    let whole = convert::whole(&converted.answer, part("message").to_string().as_bytes()).unwrap();
    let whole: Value = serde_json::from_slice(&whole.body).unwrap();
    assert_eq!(whole["content"][0]["name"], long);

    let mut converter = StreamConverter::new(converted.answer, 1 << 20);
    let mut streamed = converter.push(format!("data: {}\n\ndata: [DONE]\n\n", part("delta")).as_bytes()).to_vec();
    streamed.extend_from_slice(&converter.finish());
    let streamed = String::from_utf8(streamed).unwrap();
    assert!(streamed.contains(&format!(r#""name":"{long}""#)) && !streamed.contains(name), "{streamed}");
}

#[test]
fn calls_of_tools_in_a_namespace_name_it() {
    let tool = json!({"type": "function", "name": "greet", "parameters": {}});
    let body = json!({"model": "m", "input": "go", "tools": [{"type": "namespace", "name": "pal", "tools": [tool]}]});
    let request = Request::parse(Dialect::Responses, RequestKind::Turn, body.to_string().into()).unwrap();
    let converted = convert::request(&request, Dialect::Chat, "m").unwrap();
    let call =
        json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "pal__greet", "arguments": "{}"}});
    let part = |member: &str| {
        let said = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        json!({"id": "c", "created": 1, "model": "m", "choices": [{"index": 0, member: said, "finish_reason": "tool_calls"}]})
    };
    let whole = convert::whole(&converted.answer, part("message").to_string().as_bytes()).unwrap();
    let whole: Value = serde_json::from_slice(&whole.body).unwrap();
    let item = &whole["output"][0];
    assert_eq!((&item["name"], &item["namespace"]), (&json!("greet"), &json!("pal")));

    let mut converter = StreamConverter::new(converted.answer, 1 << 20);
    let mut streamed = converter.push(format!("data: {}\n\ndata: [DONE]\n\n", part("delta")).as_bytes()).to_vec();
    streamed.extend_from_slice(&converter.finish());
    let streamed = String::from_utf8(streamed).unwrap();
    assert!(streamed.contains(r#""name":"greet","arguments":"{}""#), "{streamed}");
    // The item begins, ends, and stands in the response.
    assert_eq!(streamed.matches(r#""namespace":"pal""#).count(), 3, "{streamed}");
    assert!(!streamed.contains("pal__greet"), "{streamed}");
}

/// The requests of a dialect, in order.
fn requests(folder: &Path, from: Dialect) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("requests").join(from.name())).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    assert!(!paths.is_empty(), "no requests in {from}");
    paths.sort();
    paths
}

/// A conversion as people read it.
fn shown(request: &Request, kind: RequestKind, to: Dialect, model: &str) -> String {
    let counts = kind == RequestKind::CountTokens;
    let converted = if counts { convert::count(request, to, model) } else { convert::request(request, to, model) };
    match converted {
        Err(refused) => format!("refused {}\n{refused}", refused.param.as_deref().unwrap_or("as a whole")),
        Ok(converted) => {
            let mut lines = vec![laid_out(&converted.body)];
            lines.extend(converted.dropped.iter().map(|dropped| format!("dropped {dropped}")));
            lines.extend(converted.added.iter().map(|added| format!("added {added}")));
            let answer = converted.answer;
            lines.extend(answer.free_text_tools.iter().map(|name| format!("free text {name}")));
            lines.extend(answer.renamed_tools.iter().map(|(there, here)| format!("{there} is {here}")));
            let spaces = answer.namespaced_tools.iter();
            lines.extend(spaces.map(|tool| format!("{} is {} of {}", tool.joined, tool.name, tool.namespace)));
            lines.extend(answer.include_usage.then(|| "usage chunk wanted".to_owned()));
            lines.extend(answer.legacy_functions.then(|| "function_call wanted".to_owned()));
            lines.join("\n")
        }
    }
}

/// A body with a line for each member, and for each element of a list of objects.
fn laid_out(body: &[u8]) -> String {
    let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let line = |(name, value): (&String, &Value)| match value.as_array() {
        Some(list) if list.iter().any(Value::is_object) => {
            let lines: Vec<String> = list.iter().map(|element| format!("    {element}")).collect();
            format!("  {name:?}: [\n{}\n  ]", lines.join(",\n"))
        }
        _ => format!("  {name:?}: {value}"),
    };
    format!("{{\n{}\n}}", members.iter().map(line).collect::<Vec<_>>().join(",\n"))
}
