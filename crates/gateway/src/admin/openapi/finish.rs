//! What the derived document lacks: names of operations, what is never absent in answers, and the older places of routes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// Members of answers that may be absent. All others are always there, null where they have nothing to say.
const MAY_BE_ABSENT: &[(&str, &str)] = &[
    ("RedisLink", "dropped"),
    ("RedisLink", "ignored"),
    ("RedisCheck", "dropped"),
    ("RedisCheck", "ignored"),
    ("MadeClientKey", "assignment"),
];

/// Routes that stand in a second place too.
const ALSO: &[(&str, &str)] = &[
    ("/api/request-logs", "/request-logs"),
    ("/api/request-logs/{id}", "/request-logs/{id}"),
    ("/livez", "/healthz"),
    ("/readyz", "/ready"),
    ("/openapi.json", "/api/openapi.json"),
    ("/docs", "/api/docs"),
];

/// What is one of several shapes that are told apart by a word in them: JSON Schema takes some for two of them.
const ANY_OF: &str = "Rung";

/// The document as it is served.
pub(in crate::admin) fn finish(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, also) in ALSO {
            if let Some(item) = paths.get(*path).cloned() {
                paths.insert((*also).to_owned(), item);
            }
        }
        paths.sort_keys();
        for (path, item) in paths.iter_mut() {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                name(path, method, operation);
            }
        }
    }
    require(&mut document);
    document
}

/// A name that no other operation has, and parameters that are never null: a query has no such thing.
fn name(path: &str, method: &str, operation: &mut Value) {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = words.fold(method.to_owned(), |id, word| format!("{id}_{word}"));
    operation["operationId"] = json!(id);
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(response) = response.as_object_mut() {
            response.entry("description").or_insert_with(|| json!("As asked."));
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(schema) = parameter.get_mut("schema") else { continue };
        if let Some(types) = schema.get_mut("type")
            && let Some(kind) = types.as_array().and_then(|types| types.iter().find(|kind| *kind != "null").cloned())
        {
            *types = kind;
        }
        let others = schema.get("oneOf").and_then(Value::as_array);
        if let Some(kept) = others.and_then(|all| all.iter().find(|kind| kind["type"] != "null").cloned()) {
            *schema = kept;
        }
    }
}

/// Says of what only answers hold that all of it is always there.
fn require(document: &mut Value) {
    let (mut answers, mut asked) = (BTreeSet::new(), BTreeSet::new());
    let schemas = document["components"]["schemas"].clone();
    for operation in document["paths"].as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object) {
        for operation in operation.values() {
            refer(&operation["responses"], &schemas, &mut answers);
            refer(&operation["requestBody"], &schemas, &mut asked);
        }
    }
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    if let Some(shapes) = schemas.get_mut(ANY_OF).and_then(Value::as_object_mut)
        && let Some(all) = shapes.remove("oneOf")
    {
        shapes.insert("anyOf".to_owned(), all);
    }
    for (name, schema) in schemas.iter_mut().filter(|(name, _)| answers.contains(*name) && !asked.contains(*name)) {
        complete(name, schema);
    }
}

fn complete(name: &str, schema: &mut Value) {
    let parts =
        ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|of| schema.get(of)).filter_map(Value::as_array).count();
    if parts > 0 {
        for of in ["allOf", "oneOf", "anyOf"] {
            for part in schema.get_mut(of).and_then(Value::as_array_mut).into_iter().flatten() {
                complete(name, part);
            }
        }
    }
    let Some(members) = schema.get("properties").and_then(Value::as_object) else { return };
    let always: Vec<&String> =
        members.keys().filter(|member| !MAY_BE_ABSENT.contains(&(name, member.as_str()))).collect();
    schema["required"] = json!(always);
}

/// The names of the schemas that a part of the document refers to, and those that they refer to.
fn refer(part: &Value, schemas: &Value, names: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            if let Some(name) =
                members.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix("#/components/schemas/"))
                && names.insert(name.to_owned())
            {
                refer(&schemas[name], schemas, names);
            }
            members.values().for_each(|member| refer(member, schemas, names));
        }
        Value::Array(parts) => parts.iter().for_each(|part| refer(part, schemas, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_absent_is_in_the_document() {
        let document = crate::admin::document();
        for (schema, member) in MAY_BE_ABSENT {
            let schema = &document["components"]["schemas"][schema];
            let listed = schema["properties"].get(member).or_else(|| {
                let mut parts = ["allOf", "oneOf"].into_iter().filter_map(|of| schema[of].as_array()).flatten();
                parts.find_map(|part| part["properties"].get(member))
            });
            assert!(listed.is_some(), "{schema} has no {member}");
        }
        for (path, also) in ALSO {
            let paths = document["paths"].as_object().unwrap();
            assert!(paths.contains_key(*path) && paths.contains_key(*also), "{path}");
        }
    }
}
