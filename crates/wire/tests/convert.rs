//! Golden conversions: each request below `convert/requests`, in the two other dialects, beside it as a snapshot.

use std::path::{Path, PathBuf};

use luthien_wire::Dialect;
use luthien_wire::convert;
use luthien_wire::request::{Request, RequestKind};
use serde_json::{Map, Value};

/// What the upstream calls the model, and what it does where a request's file says so: some models take less than others.
const MODEL: &str = "upstream-model";
const MODELS: [(&str, &str); 2] = [("budget", "claude-sonnet-4-5"), ("gpt-4o", "gpt-4o")];

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
            let answer = converted.answer;
            lines.extend(answer.free_text_tools.iter().map(|name| format!("free text {name}")));
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
