//! Requests that agents really send, however odd their shape, with credentials in either form (W-64, W-65).

use luthien_testkit::Answer;
use luthien_testkit::client::post;
use luthien_wire::Dialect;

use crate::support::{KEYS, Rig, Told, judge, path};

/// Requests of Messages and Chat.
const ODD: [&str; 14] = [
    r#"{"model":"m","max_tokens":16,"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]}"#,
    r#"{"model":"m","max_tokens":16,"messages":[{"role":"user","content":"hi","name":"x","cache_control":{"type":"ephemeral"},"id":7}]}"#,
    r#"{"model":"m","max_tokens":16,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search_20260318","name":"web_search"},{"type":"custom","name":"x"},{"type":"new_in_2031"},{}]}"#,
    r#"{"model":"m","max_tokens":16,"messages":[{"role":"user","content":"hi"}],"metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"s\"}"},"future":{"a":[null,{}]},"thinking":{"type":"adaptive","new":1}}"#,
    r#"{"model":"m","max_tokens":16,"messages":[{"role":"user","content":[{"type":"hologram","rays":[1,2]},{"type":"text","text":"hi","citations":null},{}]}]}"#,
    r#"{"model":"m","max_tokens":16,"messages":[{"role":"developer","content":"d"},{"role":"function","name":"f","content":"r"},{"role":"martian","content":"?"},{"role":"user","content":"hi"}]}"#,
    r#"{"model":"m","max_tokens":16,"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"custom","custom":{"name":"n","input":"i"}}]},{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"r"}]}]}"#,
    r#"{"model":"m","max_tokens":16,"messages":[{"role":"user"},{"role":"user","content":""},{"role":"assistant","content":[]}]}"#,
    r#"{"model":"m","max_tokens":16,"messages":[],"system":[]}"#,
    r#"{"model":"m","max_tokens":16,"stream":false,"stream_options":null,"messages":[{"role":"user","content":"hi"}],"metadata":null,"system":null,"tools":null}"#,
    r#"{"model":"vendor/m:free@2026","max_tokens":16.0,"messages":[{"role":"user","content":"\u0000 \ud800 \uffff"}]}"#,
    r#"{"metadata":{"user_id":7},"messages":[{"content":"hi","role":"user"}],"max_tokens":1,"model":"m","mcp_servers":[{"type":"url"}],"container":{"id":null}}"#,
    r#"{"model":"m","max_tokens":16,"n":2,"messages":[{"role":"user","content":"hi"}],"functions":[{"name":"f"}],"function_call":"auto","store":true,"prediction":{}}"#,
    "\n\t {\"model\":\"m\",\"max_tokens\":16,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}\r\n ",
];

/// Requests of Responses.
const ODD_ITEMS: [&str; 14] = [
    r#"{"model":"m","input":"hi"}"#,
    r#"{"model":"m","input":[{"role":"developer","content":"be brief"},{"role":"system","content":[{"type":"input_text","text":"s"}]},{"role":"user","content":"hi"}]}"#,
    r#"{"model":"m","input":[{"type":"message","id":"msg_mine","role":"user","content":[{"type":"input_text","text":"hi"},{"type":"input_image","image_url":"data:image/png;base64,AA=="},{"type":"hologram"},{}],"status":null,"x":7}],"instructions":null}"#,
    r#"{"model":"m","input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},{"type":"function_call","call_id":"c","name":"f","arguments":"{not json"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"r"}]}]}"#,
    r#"{"model":"m","input":[{"type":"custom_tool_call","call_id":"c","name":"apply_patch","input":"*** Begin"},{"type":"custom_tool_call_output","call_id":"c","output":"Done"}]}"#,
    r#"{"model":"m","input":[{"type":"local_shell_call","id":"l","call_id":"c","status":"completed","action":{"type":"exec","command":["ls"],"env":{}}},{"type":"local_shell_call_output","id":"l","output":"x"},{"type":"mcp_approval_response","approval_request_id":"a","approve":true}]}"#,
    r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"},{"id":"msg_2"},{"type":"compaction","encrypted_content":"gAAA"},{"type":"new_in_2031","x":[null]}]}"#,
    r#"{"model":"m","input":[{"role":"user","content":"hi"}],"tools":[{"type":"namespace","name":"multi_agent_v1","tools":[{"type":"function","name":"spawn"}]},{"type":"web_search","external_web_access":true},{"type":"custom","name":"apply_patch","format":{"type":"grammar","syntax":"lark","definition":"x"}},{"type":"new_in_2031"},{}]}"#,
    r#"{"model":"m","input":[{"role":"user","content":"hi"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]},"include":["reasoning.encrypted_content"],"prompt_cache_key":"k","client_metadata":{},"text":{"verbosity":"low"},"service_tier":"priority","reasoning":{"effort":"xhigh","summary":"auto","x":1}}"#,
    r#"{"model":"m","input":[],"stream":false,"stream_options":null,"metadata":null,"tools":null,"instructions":"","previous_response_id":null}"#,
    r#"{"model":"vendor/m:free@2026","input":"\u0000 \ud800 \uffff","max_output_tokens":16.0,"future":{"a":[null,{}]}}"#,
    r#"{"input":[{"content":"hi","role":"user"},{"role":"assistant","content":[{"type":"output_text","text":"x","annotations":[]}],"phase":"commentary"}],"model":"m","safety_identifier":7}"#,
    r#"{"model":"m","input":[{"role":"martian","content":"?"},{"role":"user"},{"role":"user","content":""},{"role":"assistant","content":[]}]}"#,
    "\n\t {\"model\":\"m\",\"input\":\"hi\"}\r\n ",
];

fn odd(dialect: Dialect) -> [&'static str; 14] {
    if dialect == Dialect::Responses { ODD_ITEMS } else { ODD }
}

#[tokio::test]
async fn no_request_is_refused_for_its_shape() {
    for policy in [None, Some(judge())] {
        let rig = Rig::new(Answer::text("hello"), policy).await;
        for dialect in Dialect::ALL {
            for body in odd(dialect) {
                rig.upstream.clear();
                let told = post(&rig.url(path(dialect)), &KEYS, body).await;
                let told = Told::of(told.expect("an answer")).await;
                let turns = rig.upstream.turns();
                assert_eq!(turns.len(), 1, "{body}: {} {}", told.status, told.text());
                assert_eq!(turns[0].body, body);
                rig.gateway.call(told.id()).await;
            }
        }
        let sessions = rig.gateway.api("/api/history/sessions").await;
        for session in sessions["sessions"].as_array().expect("sessions") {
            let id = session["session_id"].as_str().expect("an id");
            rig.gateway.api(&format!("/api/history/sessions/{id}")).await;
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_key_is_taken_in_either_header_and_leaves_in_the_one_it_came_in() {
    let rig = Rig::new(Answer::text("hello"), None).await;
    for dialect in Dialect::ALL {
        for credential in
            [("x-api-key", "sk-one"), ("authorization", "Bearer sk-two"), ("authorization", "bearer sk-3")]
        {
            rig.upstream.clear();
            let body = odd(dialect)[0];
            let headers = [credential, ("anthropic-version", "1999-01-01")];
            let told = Told::of(post(&rig.url(path(dialect)), &headers, body).await.expect("an answer")).await;
            assert_eq!(told.status, 200);
            assert!(told.header(dialect.request_id_header()).is_some());
            let turn = rig.upstream.turns().remove(0);
            assert_eq!(turn.header(credential.0), Some(credential.1));
            let other = if credential.0 == "x-api-key" { "authorization" } else { "x-api-key" };
            assert_eq!(turn.header(other), None);
            assert_eq!(turn.header("anthropic-version"), Some("1999-01-01"));
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_body_of_nearly_32_mib_passes_and_a_larger_one_is_too_large() {
    let rig = Rig::new(Answer::text("hello"), None).await;
    for dialect in Dialect::ALL {
        let list = if dialect == Dialect::Responses { "input" } else { "messages" };
        let body = |size: usize| {
            let start = format!(r#"{{"model":"m","max_tokens":16,"{list}":[{{"role":"user","content":""#);
            let end = r#""}]}"#;
            [&start, "x".repeat(size - start.len() - end.len()).as_str(), end].concat()
        };
        rig.upstream.clear();
        let largest = body(32 << 20);
        let told = Told::of(post(&rig.url(path(dialect)), &KEYS, largest.clone()).await.expect("an answer")).await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert!(rig.upstream.turns()[0].body == largest);
        let told = Told::of(post(&rig.url(path(dialect)), &KEYS, body((32 << 20) + 1)).await.expect("an answer")).await;
        assert_eq!((told.status, told.header("x-should-retry")), (413, Some("false")));
        assert_eq!(told.json()["error"]["type"], "request_too_large");
        assert_eq!(told.json().get("type").is_some(), dialect == Dialect::Messages);
        assert_eq!(rig.upstream.turns().len(), 1);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_query_passes_as_it_came() {
    let rig = Rig::new(Answer::text("hello"), None).await;
    for dialect in Dialect::ALL {
        for query in ["?beta=true", "?", "?a=%2f%2F+%20&&b&=c&=&a=2&a=1", "?%zz", "?x=[1]{}|^`", "?q=a?b/c:d@e!$'()*,;"]
        {
            rig.upstream.clear();
            let target = format!("{}{query}", path(dialect));
            let told = Told::of(post(&rig.url(&target), &KEYS, odd(dialect)[0]).await.expect("an answer")).await;
            let paths: Vec<String> = rig.upstream.requests().into_iter().map(|request| request.path).collect();
            assert_eq!(paths, [target.trim_end_matches('?')], "{} {}", told.status, told.text());
        }
    }
    rig.stop().await;
}
