//! Reads tool definitions and choices.

use serde_json::{Map, Value};

use super::super::super::search::TOOL;
use super::super::super::{Namespaced, Refused};
use super::super::ask::{Ask, Choice, Gone, Takes, Tool};
use super::super::ledger::{Ledger, refuse};
use super::super::search::{Search, is_search};
use super::super::take;
use super::client_tools;

/// `tools` of Messages.
pub(super) fn messages(ask: &mut Ask, tools: Vec<Value>, ledger: &mut Ledger) {
    for (i, tool) in tools.into_iter().enumerate().filter(|(_, tool)| !tool.is_null()) {
        let at = format!("tools[{i}]");
        let mut tool = take::members(tool);
        super::messages_blocks::hints(&mut tool, ledger);
        let kind = take::kind(&mut tool);
        let name = take::text(&mut tool, "name");
        if !kind.is_empty() && kind != "custom" {
            match client_tools::function(&kind, name.as_deref()) {
                Some(tool) => ask.tools.push(tool),
                None if is_search(&kind) && ask.search.is_none() => {
                    ask.search = Some(Search::of_messages(&at, kind, tool, ledger));
                }
                None => gone(ask, &at, kind, name, ledger),
            }
            continue;
        }
        ask.tools.push(Tool {
            name: name.unwrap_or_default(),
            description: take::text(&mut tool, "description"),
            takes: Takes::Json {
                schema: take::some(&mut tool, "input_schema"),
                strict: take::flag(&mut tool, "strict"),
            },
        });
        tool.retain(|_, value| !value.is_null() && *value != Value::Bool(false));
        for name in tool.keys() {
            ledger.drop_each(&format!("{at}.{name}"), &format!("{} of a tool", super::super::ledger::plain(name)));
        }
    }
}

/// `tools` of Chat (`nested`: a tool's members stand below the name of its type) and Responses.
pub(super) fn openai(ask: &mut Ask, tools: Vec<Value>, nested: bool, ledger: &mut Ledger) {
    for (i, tool) in tools.into_iter().enumerate() {
        let at = format!("tools[{i}]");
        let mut tool = take::members(tool);
        let kind = take::kind(&mut tool);
        if kind == "namespace" && !nested {
            namespace(ask, &at, tool, ledger);
            continue;
        }
        if is_search(&kind) && !nested && ask.search.is_none() {
            ask.search = Some(Search::of_responses(&at, kind, tool, ledger));
            continue;
        }
        if kind != "function" && kind != "custom" {
            let name = take::text(&mut tool, "name").or_else(|| take::text(&mut tool, "server_label"));
            gone(ask, &at, kind, name, ledger);
            continue;
        }
        let inside = if nested { take::object(&mut tool, &kind) } else { tool };
        ask.tools.push(if kind == "custom" { free(inside) } else { function(inside) });
    }
}

/// Tools in a namespace, which other dialects do not have: each becomes a tool whose name begins with it.
fn namespace(ask: &mut Ask, at: &str, mut space: Map<String, Value>, ledger: &mut Ledger) {
    let outer = take::text(&mut space, "name").unwrap_or_default();
    for (i, tool) in take::list(&mut space, "tools").into_iter().enumerate() {
        let mut tool = take::members(tool);
        let kind = take::kind(&mut tool);
        let mut tool = match kind.as_str() {
            "function" => function(tool),
            "custom" => free(tool),
            _ => {
                let name = take::text(&mut tool, "name");
                gone(ask, &format!("{at}.tools[{i}]"), kind, name, ledger);
                continue;
            }
        };
        let joined = joined(Some(&outer), tool.name.clone());
        let name = std::mem::replace(&mut tool.name, joined.clone());
        ask.namespaced.push(Namespaced { joined, namespace: outer.clone(), name });
        ask.tools.push(tool);
    }
}

/// The one name for a tool in a namespace.
pub(super) fn joined(namespace: Option<&str>, name: String) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}__{name}"),
        _ => name,
    }
}

/// `functions` of Chat, before there were `tools`.
pub(super) fn functions(ask: &mut Ask, functions: Vec<Value>) {
    for tool in functions {
        ask.tools.push(function(take::members(tool)));
    }
}

/// A function's name, description, schema and strictness.
fn function(mut tool: Map<String, Value>) -> Tool {
    Tool {
        name: take::text(&mut tool, "name").unwrap_or_default(),
        description: take::text(&mut tool, "description"),
        takes: Takes::Json { schema: take::some(&mut tool, "parameters"), strict: take::flag(&mut tool, "strict") },
    }
}

/// A tool that takes free text. What keeps the text to a grammar has no place anywhere else, so the model is told of it.
fn free(mut tool: Map<String, Value>) -> Tool {
    let mut description = take::text(&mut tool, "description").unwrap_or_default();
    let mut format = take::object(&mut tool, "format");
    let mut grammar = take::object(&mut format, "grammar");
    let mut member = |name: &str| take::text(&mut format, name).or_else(|| take::text(&mut grammar, name));
    if let Some(definition) = member("definition") {
        let syntax = member("syntax").unwrap_or_default();
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        description = format!("{description}The input follows this {syntax} grammar:\n{definition}");
    }
    Tool {
        name: take::text(&mut tool, "name").unwrap_or_default(),
        description: Some(description).filter(|text| !text.is_empty()),
        takes: Takes::Text,
    }
}

fn gone(ask: &mut Ask, at: &str, kind: String, name: Option<String>, ledger: &mut Ledger) {
    match &name {
        Some(name) if *name != kind => ledger.drop_as(at, &format!("{kind} {name}")),
        _ => ledger.drop_as(at, &kind),
    }
    ask.gone.push(Gone { kind, name });
}

/// `tool_choice` of Chat and Responses, which differ in where a name stands.
pub(super) fn choice(value: Value) -> Result<Choice, Refused> {
    let unknown = || refuse("tool_choice", "this choice cannot be said in the dialect of the upstream");
    let mut map = match value {
        Value::String(word) => {
            return match word.as_str() {
                "auto" => Ok(Choice::Auto),
                "none" => Ok(Choice::None),
                "required" | "any" => Ok(Choice::Required),
                _ => Err(unknown()),
            };
        }
        value => take::members(value),
    };
    let kind = take::kind(&mut map);
    match kind.as_str() {
        "function" | "custom" => Ok(Choice::Named(name(&kind, map).ok_or_else(unknown)?)),
        "allowed_tools" => {
            let mut inside = take::object(&mut map, "allowed_tools");
            let mut list = take::list(&mut inside, "tools");
            list.extend(take::list(&mut map, "tools"));
            let mode = take::text(&mut inside, "mode").or_else(|| take::text(&mut map, "mode"));
            let names = list.into_iter().filter_map(|tool| {
                let mut tool = take::members(tool);
                let kind = take::kind(&mut tool);
                if is_search(&kind) { Some(TOOL.to_owned()) } else { name(&kind, tool) }
            });
            Ok(Choice::Allowed { required: mode.as_deref() == Some("required"), names: names.collect() })
        }
        "" => Err(unknown()),
        _ => Ok(Choice::Hosted(kind)),
    }
}

fn name(kind: &str, mut map: Map<String, Value>) -> Option<String> {
    let found = take::text(&mut map, "name").or_else(|| take::text(&mut take::object(&mut map, kind), "name"));
    found.map(|name| joined(take::text(&mut map, "namespace").as_deref(), name))
}
