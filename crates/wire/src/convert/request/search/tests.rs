//! A web search that is asked for, in the other dialects.

use serde_json::{Value, json};

use super::super::super::Refused;
use crate::dialect::Dialect::{self, Chat, Messages, Responses};
use crate::request::{Request, RequestKind};

const CLAUDE: &str = "claude-opus-5-5";
const GPT: &str = "gpt-5";
const SEARCHING: &str = "gpt-4o-search-preview";

fn asked(from: Dialect, more: &Value) -> Value {
    let mut body = match from {
        Messages => json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}),
        Chat => json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        Responses => json!({"model": "m", "input": "hi"}),
    };
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn sent(from: Dialect, to: Dialect, model: &str, more: &Value) -> Result<(Value, Vec<String>), Refused> {
    let request = Request::parse(from, RequestKind::Turn, asked(from, more).to_string().into()).unwrap();
    let converted = super::super::request(&request, to, model)?;
    Ok((serde_json::from_slice(&converted.body).unwrap(), converted.dropped))
}

#[test]
fn a_limit_on_where_is_searched_is_kept_or_refused() {
    let domains = json!(["a.test"]);
    let anthropics =
        |name: &str| json!({"tools": [{"type": "web_search_20250305", "name": "web_search", name: domains}]});
    let openais = |name: &str| json!({"tools": [{"type": "web_search", "filters": {name: domains}}]});
    let (body, _) = sent(Messages, Responses, GPT, &anthropics("allowed_domains")).unwrap();
    assert_eq!(body["tools"][0]["filters"]["allowed_domains"], domains);
    for name in ["allowed_domains", "blocked_domains"] {
        let (body, dropped) = sent(Responses, Messages, CLAUDE, &openais(name)).unwrap();
        assert_eq!((&body["tools"][0][name], dropped), (&domains, Vec::new()));
    }
    for (from, to, model, more, at) in [
        (Messages, Responses, GPT, anthropics("blocked_domains"), "tools[0].blocked_domains"),
        (Messages, Chat, SEARCHING, anthropics("allowed_domains"), "tools[0].allowed_domains"),
        (Messages, Chat, SEARCHING, anthropics("blocked_domains"), "tools[0].blocked_domains"),
        (Responses, Chat, SEARCHING, openais("allowed_domains"), "tools[0].filters.allowed_domains"),
    ] {
        let refused = sent(from, to, model, &more).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some(at), "{from} to {to}");
    }
    // Where nothing is searched, nothing is searched elsewhere.
    let (body, dropped) = sent(Messages, Chat, "tiny", &anthropics("blocked_domains")).unwrap();
    assert_eq!((body.get("web_search_options"), dropped), (None, vec!["tools[0] (web_search_20250305)".to_owned()]));
}

#[test]
fn a_search_that_may_not_be_is_left_out() {
    let search = json!({"type": "web_search_preview", "external_web_access": false});
    let own = json!({"type": "function", "name": "web_search", "parameters": {"type": "object"}});
    let plain = json!({"type": "web_search"});
    for (more, expected, left) in [
        (json!({"tools": [search]}), vec!["tools[0] (web_search_preview without access to the web)"], 0),
        (json!({"tools": [plain], "max_tool_calls": 0}), vec!["tools[0] (web_search)", "max_tool_calls"], 0),
        // The client's own has the name.
        (json!({"tools": [own, plain]}), vec!["tools[1] (web_search)"], 1),
        // There is one search.
        (json!({"tools": [plain, search]}), vec!["tools[1] (web_search_preview)"], 1),
    ] {
        let (body, dropped) = sent(Responses, Messages, CLAUDE, &more).unwrap();
        assert_eq!(dropped, expected);
        assert_eq!(body["tools"].as_array().map_or(0, Vec::len), left, "{body}");
    }
}

#[test]
fn settings_without_a_counterpart_are_named() {
    let tool = json!({"type": "web_search_20260209", "name": "web_search", "max_uses": 2, "odd": 1, "strict": false,
                      "allowed_callers": ["direct", "code_execution_20260120"]});
    let (body, dropped) = sent(Messages, Responses, GPT, &json!({"tools": [tool]})).unwrap();
    assert_eq!(body["tools"], json!([{"type": "web_search"}]));
    assert_eq!((&body["max_tool_calls"], dropped), (&json!(2), vec!["tools[0].odd".to_owned()]));
    let tool = json!({"type": "web_search", "search_context_size": "medium", "filters": {"odd": 1},
                      "user_location": {"type": "approximate", "city": null, "odd": "x"}});
    let (body, dropped) = sent(Responses, Messages, CLAUDE, &json!({"tools": [tool]})).unwrap();
    assert_eq!(body["tools"], json!([{"type": "web_search_20250305", "name": "web_search"}]));
    assert_eq!(dropped, ["tools[0].filters.odd"]);
}

#[test]
fn a_choice_that_names_it_stays_one() {
    let read = json!({"type": "function", "name": "read", "parameters": {"type": "object"}});
    let tools = |choice: Value| json!({"tools": [read, {"type": "web_search"}], "tool_choice": choice});
    let allowed = |names: Value| json!({"type": "allowed_tools", "mode": "auto", "tools": names});
    let both = json!([{"type": "web_search"}, {"type": "function", "name": "read"}]);
    let names = |body: &Value| -> Vec<String> {
        let all = body["tools"].as_array().into_iter().flatten();
        all.map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    for (choice, expected, left) in [
        (
            json!({"type": "web_search_preview"}),
            json!({"type": "tool", "name": "web_search"}),
            vec!["read", "web_search"],
        ),
        (allowed(both.clone()), json!({"type": "auto"}), vec!["read", "web_search"]),
        (allowed(json!([both[0]])), json!({"type": "auto"}), vec!["web_search"]),
        (allowed(json!([both[1]])), json!({"type": "auto"}), vec!["read"]),
    ] {
        let (body, _) = sent(Responses, Messages, CLAUDE, &tools(choice)).unwrap();
        assert_eq!((&body["tool_choice"], names(&body)), (&expected, left.iter().map(|&name| name.into()).collect()));
    }

    // Chat has no word for it: models that search do so for every answer.
    let chat = |choice: Value| {
        let (body, _) = sent(Responses, Chat, SEARCHING, &tools(choice)).unwrap();
        (body.get("web_search_options").is_some(), body.get("tool_choice").cloned())
    };
    let one = json!({"mode": "auto", "tools": [{"type": "function", "function": {"name": "read"}}]});
    let one = json!({"type": "allowed_tools", "allowed_tools": one});
    assert_eq!(chat(json!({"type": "web_search"})), (true, None));
    assert_eq!(chat(allowed(both.clone())), (true, Some(one.clone())));
    assert_eq!(chat(allowed(json!([both[1]]))), (false, Some(one)));
    assert_eq!(chat(json!("none")), (false, Some(json!("none"))));
    let alone = json!({"tools": [{"type": "web_search"}], "tool_choice": "required", "parallel_tool_calls": false});
    let (body, _) = sent(Responses, Chat, SEARCHING, &alone).unwrap();
    assert_eq!((body.get("tool_choice"), body.get("parallel_tool_calls")), (None, None));

    // Thinking and a forced search exclude each other.
    let forced = json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}, "reasoning": {"effort": "high"}});
    let (body, dropped) = sent(Responses, Messages, CLAUDE, &forced).unwrap();
    assert_eq!(body.get("thinking"), None);
    assert_eq!(dropped, ["reasoning (a forced tool call leaves no room for thinking)"]);
}

#[test]
fn a_choice_of_one_name_is_written_as_the_target_has_it() {
    let tools = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    let forced = json!({"tools": tools, "tool_choice": {"type": "tool", "name": "web_search"}});
    let (body, _) = sent(Messages, Responses, GPT, &forced).unwrap();
    assert_eq!(body["tool_choice"], json!({"type": "web_search"}));
    let refused = sent(Messages, Responses, "tiny", &forced).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("tool_choice"));
}
