//! What is remembered of withheld calls, and the requests that are completed with it.

use luthien_wire::Dialect;

use super::*;

const ALICE: [u8; 16] = [1; 16];
const BOB: [u8; 16] = [2; 16];

fn call(kind: &str, id: &str) -> OpenCall {
    OpenCall { kind: kind.to_owned(), id: id.to_owned() }
}

fn knows(known: &OpenCalls, response: &str) -> bool {
    !known.of(ALICE, response).is_empty()
}

fn known(calls: &[(&str, &str)]) -> Arc<OpenCalls> {
    let known = OpenCalls::new();
    known.remember(ALICE, "resp_1", calls.iter().map(|(kind, id)| call(kind, id)).collect());
    known
}

fn request(body: &str) -> Request {
    Request::parse(Dialect::Responses, RequestKind::Turn, Bytes::from(body.to_owned())).unwrap()
}

fn completed(known: &OpenCalls, caller: [u8; 16], body: &str) -> Option<String> {
    known.complete(caller, &request(body), true).unwrap().map(|completed| completed.request.text().to_owned())
}

fn output(kind: &str, id: &str) -> String {
    json!({"type": format!("{kind}_output"), "call_id": id, "output": NOT_RUN}).to_string()
}

#[test]
fn outputs_stand_in_front_of_the_input_and_all_else_stays() {
    let known = known(&[("function_call", "c1"), ("custom_tool_call", "c2")]);
    let both = format!("{},{}", output("function_call", "c1"), output("custom_tool_call", "c2"));
    for (input, expected) in [
        (r#"[ {"role":"user","content":"a"}]"#, format!(r#"[{both}, {{"role":"user","content":"a"}}]"#)),
        ("[ ]", format!("[{both} ]")),
        (r#""say \u0061""#, format!(r#"[{both},{{"type":"message","role":"user","content":"say \u0061"}}]"#)),
    ] {
        let body = |input: &str| {
            format!(r#"{{"x":1.0, "previous_response_id":"resp_1","input":{input} ,"model":"m","stream":true}} "#)
        };
        assert_eq!(completed(&known, ALICE, &body(input)).as_deref(), Some(body(&expected).as_str()));
    }
    let without = r#"{"model":"m","previous_response_id":"resp_1" } "#;
    let expected = format!(r#"{{"model":"m","previous_response_id":"resp_1" ,"input":[{both}]}} "#);
    assert_eq!(completed(&known, ALICE, without), Some(expected));
}

#[test]
fn calls_that_the_client_answers_itself_need_no_output() {
    let known = known(&[("function_call", "c1"), ("function_call", "c2")]);
    let body = r#"{"model":"m","previous_response_id":"resp_1","input":[{"type":"function_call_output","call_id":"c1","output":"x"}]}"#;
    let completed = completed(&known, ALICE, body).unwrap();
    assert!(completed.contains(&output("function_call", "c2")));
    assert_eq!(completed.matches("\"c1\"").count(), 1);
}

#[test]
fn unknown_responses_and_other_callers_pass_as_they_are() {
    let known = known(&[("function_call", "c1")]);
    for (caller, body) in [
        (BOB, r#"{"model":"m","previous_response_id":"resp_1","input":"hi"}"#),
        (ALICE, r#"{"model":"m","previous_response_id":"resp_2","input":"hi"}"#),
        (ALICE, r#"{"model":"m","input":"hi"}"#),
    ] {
        assert_eq!(completed(&known, caller, body), None, "{body}");
    }
}

#[test]
fn a_call_that_no_text_can_answer_is_a_400_that_says_what_to_do() {
    let known = known(&[("computer_call", "c1")]);
    let error = known
        .complete(ALICE, &request(r#"{"model":"m","previous_response_id":"resp_1","input":"hi"}"#), true)
        .unwrap_err();
    assert_eq!(error.status(), 400);
    assert!(error.to_string().contains("go on without it"), "{error}");
}

#[test]
fn the_memory_is_bounded_and_forgets_what_was_not_asked_for_longest() {
    let known = OpenCalls::new();
    for n in 0..=MOST {
        known.remember(ALICE, &format!("resp_{n}"), vec![call("function_call", "c")]);
        assert!(knows(&known, "resp_0") || n == MOST, "resp_0 is asked for all the time");
    }
    assert!(knows(&known, "resp_0") && !knows(&known, "resp_1"));
    known.remember(ALICE, "large", vec![call("function_call", &"x".repeat(MOST_BYTES))]);
    assert!(!knows(&known, "large") && !knows(&known, "resp_0"));
    assert_eq!(known.0.lock().unwrap().bytes, 0);
}

fn watch(known: &Arc<OpenCalls>) -> CallWatch {
    CallWatch::new(Arc::clone(known), ALICE, 1 << 20, true)
}

const CREATED: &str =
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_9\",\"output\":[]}}\n\n";
const DONE: &str =
    "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c9\"}}\n\n";

#[test]
fn what_came_and_did_not_go_on_is_remembered_however_it_was_cut() {
    let known = OpenCalls::new();
    let mut watching = watch(&known);
    for byte in [CREATED, DONE].concat().bytes() {
        watching.came(&[byte]);
    }
    watching.went(CREATED.as_bytes());
    watching.settle();
    assert_eq!(known.of(ALICE, "resp_9"), [call("function_call", "c9")]);
}

#[test]
fn what_went_on_is_not_remembered() {
    let known = OpenCalls::new();
    let mut watching = watch(&known);
    watching.came([CREATED, DONE].concat().as_bytes());
    watching.went([CREATED, DONE].concat().as_bytes());
    drop(watching);
    assert!(!knows(&known, "resp_9"));
}

#[test]
fn a_whole_answer_is_compared_and_not_handed_out_after_a_block() {
    let known = OpenCalls::new();
    let vendors = br#"{"id":"resp_9","output":[{"type":"function_call","call_id":"c9"},{"type":"mcp_call","id":"m"}]}"#;
    let clients = br#"{"id":"resp_9","output":[{"type":"message"}]}"#;
    assert_eq!(watch(&known).whole(vendors, vendors), Ok(()));
    assert!(!knows(&known, "resp_9"));
    assert_eq!(watch(&known).whole(vendors, clients), Ok(()));
    assert_eq!(known.of(ALICE, "resp_9"), [call("function_call", "c9")]);
    assert!(matches!(watch(&known).whole(vendors, vendors), Err(GatewayError::PolicyBlocked(_))));
}

#[test]
fn what_is_open_in_a_conversation_is_what_its_last_answer_left_open() {
    let known = OpenCalls::new();
    let vendors = |call: &str| {
        let output = json!([{"type": "function_call", "call_id": call}]);
        json!({"id": format!("resp_{call}"), "conversation": {"id": "conv_1"}, "output": output}).to_string()
    };
    let nothing = br#"{"id":"resp_x","output":[]}"#;
    for conversation in [r#""conv_1""#, r#"{"id":"conv_1"}"#] {
        watch(&known).whole(vendors("c1").as_bytes(), nothing).unwrap();
        let body = format!(r#"{{"model":"m","conversation":{conversation},"input":[]}}"#);
        assert!(completed(&known, ALICE, &body).unwrap().contains(&output("function_call", "c1")));
        // Until the vendor has answered: a turn that it refuses changes nothing.
        assert!(completed(&known, ALICE, &body).is_some());
        let given = vendors("c2");
        watch(&known).whole(given.as_bytes(), given.as_bytes()).unwrap();
        assert_eq!(completed(&known, ALICE, &body), None);
    }
    assert!(knows(&known, "resp_c1"), "a response is gone on from as often as one likes");
}

#[test]
fn reading_an_old_response_opens_nothing_in_its_conversation() {
    let known = OpenCalls::new();
    let reading = CallWatch::new(Arc::clone(&known), ALICE, 1 << 20, false);
    let vendors =
        br#"{"id":"resp_9","conversation":{"id":"conv_1"},"output":[{"type":"function_call","call_id":"c"}]}"#;
    reading.whole(vendors, br#"{"id":"resp_9","output":[]}"#).unwrap();
    assert!(knows(&known, "resp_9") && !knows(&known, "conv_1"));
}

#[test]
fn outputs_of_a_conversation_are_given_once_where_nobody_sees_the_answer() {
    let known = OpenCalls::new();
    known.conversation(ALICE, "conv_1", vec![call("function_call", "c")]);
    let body = request(r#"{"model":"m","conversation":"conv_1","input":"hi"}"#);
    assert!(known.complete(ALICE, &body, false).unwrap().is_some());
    assert!(known.complete(ALICE, &body, false).unwrap().is_none());
}
