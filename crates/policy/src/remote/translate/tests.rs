//! What answers mean, and which are none.

use luthien_wire::turn::BlockId;
use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::contract::{BlockScope, OnError};
use crate::scripted::call;

fn at(hook: &str) -> Target {
    let block = BlockId { choice: 0, block: 0 };
    match hook {
        "text" => Target::Text { block },
        "tool_call" => Target::ToolCall { block, id: "toolu_1".to_owned(), name: "Bash".to_owned() },
        _ => Target::Turn,
    }
}

fn read_answer(hook: &str, said: &Value) -> Result<Answer, String> {
    answer(said.to_string().as_bytes(), &at(hook), "webhook")
}

fn text(text: &str) -> Block {
    Block::Text(text.to_owned())
}

#[rstest]
#[case("text", json!({"action": "pass"}), Answer::pass())]
#[case("tool_call", json!({"action": "block", "message": "no"}), Answer::block("no"))]
#[case("tool_call", json!({"action": "block"}),
    Answer::block("[Blocked: the policy `webhook` did not allow this call of the tool `Bash`.]"))]
#[case("tool_call", json!({"action": "block", "message": "no", "scope": "turn", "score": 1, "reason": "why"}),
    Answer { scope: BlockScope::Turn, score: Some(1.0), ..Answer::block("no").because("why") })]
#[case("turn", json!({"action": "pass", "notices": ["seen"], "blocks": null}),
    Answer { notices: vec!["seen".to_owned()], ..Answer::pass() })]
#[case("text", json!({"action": "replace", "blocks": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]}),
    Answer { action: Action::Replace(vec![text("b")]), ..Answer::pass() })]
#[case("text", json!({"action": "replace", "blocks": []}),
    Answer { action: Action::Replace(vec![]), ..Answer::pass() })]
#[case("turn", json!({"action": "ask", "question": {"why": "odd", "denied": "no", "timeout": 1.5}}),
    Answer::ask(Question { why: "odd".to_owned(), denied: "no".to_owned(), unanswered: OnError::Block,
        timeout: Some(Duration::from_millis(1500)) }))]
#[case("tool_call", json!({"action": "replace", "blocks":
        [{"type": "tool_call", "id": "toolu_1", "name": "Bash", "arguments": {"command": "ls"}}]}),
    Answer { action: Action::Replace(vec![Block::ToolCall(call("Bash", json!({"command": "ls"})))]), ..Answer::pass() })]
fn an_answer_is_what_it_says(#[case] hook: &str, #[case] said: Value, #[case] meant: Answer) {
    let mut got = read_answer(hook, &said).unwrap();
    if matches!(meant.action, Action::Ask(_)) {
        got.reason.clone_from(&meant.reason);
    }
    assert_eq!(got, meant);
}

#[test]
fn free_text_stays_a_text() {
    let said =
        json!({"action": "replace", "blocks": [{"type": "tool_call", "name": "patch", "arguments": "*** Begin"}]});
    let Action::Replace(blocks) = read_answer("tool_call", &said).unwrap().action else { panic!() };
    let [Block::ToolCall(call)] = &blocks[..] else { panic!() };
    assert_eq!((call.id.as_str(), call.raw.as_str()), ("", "*** Begin"));
    assert_eq!(call.arguments, Ok(json!("*** Begin")));
}

#[rstest]
#[case("text", json!({"action": "blok"}), "action: unknown variant `blok`")]
#[case("text", json!({"actoin": "block"}), "actoin: unknown field")]
#[case("text", json!({"action": "pass", "mesage": "no"}), "mesage: unknown field")]
#[case("text", json!({"action": "pass", "message": "no"}), "message: goes with `block` only")]
#[case("text", json!({"action": "pass", "blocks": []}), "blocks: goes with `replace` only")]
#[case("text", json!({"action": "replace"}), "blocks: missing at `replace`")]
#[case("text", json!({"action": "block", "scope": "turn"}), "scope: goes with the block of a tool call only")]
#[case("tool_call", json!({"action": "pass", "scope": "turn"}), "scope: goes with the block of a tool call only")]
#[case("tool_call", json!({"action": "pass", "score": 1.5}), "score: must be from 0 to 1")]
#[case("tool_call", json!({"action": "pass", "request": {}}), "request: goes with the hook `request` only")]
#[case("turn", json!({"action": "replace", "blocks": [{"type": "text", "text": 5}]}), "blocks[0]")]
#[case("turn", json!({"action": "replace", "blocks": [{"type": "tool_call", "name": "x", "arguments": 5}]}),
    "blocks[0].arguments: must be an object")]
#[case("text", json!({"action": "ask"}), "question: missing at `ask`")]
#[case("text", json!({"action": "ask", "question": {"why": "x", "timeout": -1}}), "question.timeout: must not be negative")]
#[case("text", json!({"action": "ask", "question": {"why": "x", "unanswered": "maybe"}}), "question.unanswered: unknown variant")]
#[case("text", json!({"action": "refuse", "refusal": {"kind": "forbidden", "message": "x"}}), "action: `refuse` goes")]
#[case("text", json!({"action": "pass", "sending": {"upstream": "x"}}), "sending: goes with the hook `request` only")]
#[case("text", json!({"action": "block", "question": {"why": "x"}}), "question: goes with `ask` only")]
#[case("text", json!([]), "invalid type: sequence, expected an object")]
#[case("text", json!("pass"), "expected an object")]
fn what_is_no_answer_is_refused_by_its_path(#[case] hook: &str, #[case] said: Value, #[case] why: &str) {
    let refused = read_answer(hook, &said).unwrap_err();
    assert!(refused.starts_with(why) || refused.contains(why), "{refused}");
}

#[rstest]
#[case(br#"{"action": "block", "action": "pass"}"#, "the same key twice")]
#[case(br#"{"action": "pass"} {}"#, "not valid JSON")]
#[case(b"", "cut off")]
#[case(b"\xff", "not UTF-8")]
fn what_can_be_read_in_two_ways_is_refused(#[case] said: &[u8], #[case] why: &str) {
    let refused = answer(said, &at("text"), "webhook").unwrap_err();
    assert!(refused.contains(why), "{refused}");
}

#[test]
fn unreadable_calls_are_shown_raw() {
    let call =
        ToolCall { raw: "{\"a\"".to_owned(), arguments: Err(turn::Unreadable::CutOff), ..call("Bash", json!({})) };
    assert_eq!(
        serde_json::to_value(tool_call(&call)).unwrap(),
        json!({"id": "toolu_1", "name": "Bash", "form": "client", "arguments": null,
            "unreadable": {"why": "cut_off", "raw": "{\"a\""}})
    );
}

const ASKED: &str = r#"{ "model": "m", "max_tokens": 16, "top_k": 1.50,
  "messages": [ {"role": "user", "content": "one"}, { "role": "user", "content": "two" } ] }"#;

fn asked() -> Request {
    Request::parse(Dialect::Messages, RequestKind::Turn, Bytes::from_static(ASKED.as_bytes())).unwrap()
}

fn about_request(said: &Value) -> Result<RequestAnswer, String> {
    request_answer(said.to_string().as_bytes(), &asked(), "webhook")
}

#[test]
fn what_a_server_leaves_of_a_request_keeps_its_bytes() {
    let mut new: Value = serde_json::from_str(ASKED).unwrap();
    new["messages"][0]["content"] = json!("changed");
    let answer = about_request(&json!({"action": "replace", "request": new})).unwrap();
    let RequestAction::Replace(request) = answer.action else { panic!() };
    assert_eq!(
        request.text(),
        concat!(
            r#"{"model":"m","max_tokens":16,"top_k":1.50,"messages":[{"role":"user","content":"changed"},"#,
            r#"{ "role": "user", "content": "two" }]}"#
        )
    );
}

#[rstest]
#[case(json!({"action": "replace"}), "request: missing")]
#[case(json!({"action": "replace", "request": {"model": "m", "max_tokens": 1}}), "request: messages")]
#[case(json!({"action": "replace", "request": {"model": "m", "messages": []}}), "request: max_tokens")]
#[case(json!({"action": "replace", "request": {"model": "m", "messages": [], "max_tokens": 1, "stream": true}}),
    "request.stream: cannot be changed")]
#[case(json!({"action": "pass", "blocks": []}), "blocks: does not go with")]
#[case(json!({"action": "block", "sending": {"upstream": "x"}}), "sending: goes with requests that are sent")]
#[case(json!({"action": "refuse"}), "refusal: missing")]
#[case(json!({"action": "refuse", "refusal": {"kind": "teapot", "message": "x"}}), "refusal.kind: unknown variant")]
#[case(json!({"action": "pass", "request": {}}), "request: goes with `replace` only")]
fn what_is_no_answer_about_a_request_is_refused(#[case] said: Value, #[case] why: &str) {
    let refused = about_request(&said).unwrap_err();
    assert!(refused.starts_with(why), "{refused}");
}

#[test]
fn a_request_is_blocked_with_words() {
    let blocked = |said: &Value| match about_request(said).unwrap().action {
        RequestAction::Block(message) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(blocked(&json!({"action": "block", "message": "no"})), "no");
    assert_eq!(blocked(&json!({"action": "block"})), "[Blocked: the policy `webhook` did not allow this request.]");
}

#[test]
fn a_request_is_refused_or_sent_elsewhere() {
    let refused = json!({"action": "refuse", "refusal": {"kind": "forbidden", "message": "not you"}});
    let RequestAction::Refuse(refusal) = about_request(&refused).unwrap().action else { panic!() };
    assert_eq!(refusal, Refusal { kind: RefusalKind::Forbidden, message: "not you".to_owned() });
    let sent =
        json!({"action": "pass", "sending": {"upstream": "local", "credential": "sk"}, "score": 0.5, "notices": ["n"]});
    let answer = about_request(&sent).unwrap();
    assert_eq!(
        (answer.sending.upstream.as_deref(), answer.score, answer.notices),
        (Some("local"), Some(0.5), vec!["n".to_owned()])
    );
    assert_eq!(answer.sending.credential.unwrap().secret.expose_secret(), "sk");
}

/// An answer with anything in the places of its fields.
fn any_answer() -> impl Strategy<Value = Value> {
    let field = prop::sample::select(vec![
        "action", "message", "blocks", "notices", "score", "reason", "scope", "question", "request", "sending", "more",
    ]);
    let value = prop::sample::select(vec![
        json!("pass"),
        json!("block"),
        json!("replace"),
        json!("ask"),
        json!("refuse"),
        json!("turn"),
        json!(null),
        json!(-1),
        json!(1e308),
        json!(0.5),
        json!([]),
        json!([""]),
        json!({}),
        json!([{"type": "text", "text": "b"}]),
        json!([{"type": "tool_call", "name": "Bash", "arguments": []}]),
        json!({"why": "w", "timeout": 1e308}),
        json!({"why": "w", "timeout": -1}),
        json!([{"type": "tool_call", "id": "", "name": "", "arguments": {}}]),
    ]);
    prop::collection::vec((field, value), 0..4).prop_map(|fields| {
        let mut said = json!({"action": "block"});
        said.as_object_mut().unwrap().extend(fields.into_iter().map(|(field, value)| (field.to_owned(), value)));
        said
    })
}

proptest! {
    /// A block is a block, whatever stands beside it, or no answer at all.
    #[test]
    fn any_answer_is_refused_or_means_its_action(
        hook in prop::sample::select(vec!["text", "tool_call", "turn"]),
        said in any_answer(),
    ) {
        if let Ok(answer) = read_answer(hook, &said) {
            prop_assert_eq!(action(&answer.action), said["action"].as_str().unwrap());
            prop_assert!(answer.score.is_none_or(|score| (0.0..=1.0).contains(&score)), "{:?}", answer.score);
        }
    }
}
