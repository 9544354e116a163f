//! What is remembered of withheld calls, and the requests that are completed with it.

use luthien_policy::plan::Summary;
use luthien_wire::Dialect;

use super::*;
use crate::fates::{Fate, Fates};

const ALICE: [u8; 16] = [1; 16];
const BOB: [u8; 16] = [2; 16];

fn call(kind: &str, id: &str) -> OpenCall {
    OpenCall { kind: kind.to_owned(), id: id.to_owned(), blocked: true }
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
    known.complete(caller, &request(body), false).unwrap().map(|completed| completed.request.text().to_owned())
}

fn output(kind: &str, id: &str) -> String {
    json!({"type": format!("{kind}_output"), "call_id": id, "output": BLOCKED}).to_string()
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
        .complete(ALICE, &request(r#"{"model":"m","previous_response_id":"resp_1","input":"hi"}"#), false)
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

fn watch(known: &Arc<OpenCalls>, fates: &Arc<Fates>, of: Of) -> CallWatch {
    CallWatch::new(known, fates, ALICE, 1 << 20, of)
}

/// A whole answer: what becomes of the next one who reads it.
fn whole(known: &Arc<OpenCalls>, fates: &Arc<Fates>, of: Of, vendors: &str, clients: &str) {
    let mut watching = watch(known, fates, of);
    watching.whole_came(vendors.as_bytes()).unwrap();
    let summary = Summary { watched: true, intervened: vendors != clients, ..Summary::default() };
    watching.whole_went(clients.as_bytes(), summary, vendors != clients);
}

fn ending(summary: Summary, differs: bool, ended: bool) -> Ending {
    Ending { summary, differs, ended }
}

/// The status with which a read is refused; 0 where it is not.
fn refused(fates: &Arc<Fates>, response: &str) -> u16 {
    fates.read(response).err().map_or(0, |error| error.status().as_u16())
}

const CREATED: &str =
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_9\",\"output\":[]}}\n\n";
const DONE: &str =
    "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c9\"}}\n\n";
const SEARCH: &str =
    "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"tool_search_call\",\"call_id\":null}}\n\n";
const COMPLETED: &str =
    "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_9\",\"conversation\":null,\"output\":[7]}}\n\n";
const PASSED: Summary =
    Summary { watched: true, intervened: false, failed_open: false, undecided: false, repaired: false };

#[test]
fn what_came_and_did_not_go_on_is_remembered_however_it_was_cut() {
    let (known, fates) = (OpenCalls::new(), Fates::new());
    let mut watching = watch(&known, &fates, Of::Turn);
    for byte in [CREATED, SEARCH, DONE, COMPLETED].concat().bytes() {
        watching.came(&[byte]).unwrap();
    }
    assert_eq!(refused(&fates, "resp_9"), 409);
    watching.went(CREATED.as_bytes());
    watching.settle(ending(PASSED, true, true));
    assert_eq!(known.of(ALICE, "resp_9"), [call("function_call", "c9")]);
    assert_eq!(refused(&fates, "resp_9"), 400);
}

#[test]
fn what_went_on_is_not_remembered() {
    let (known, fates) = (OpenCalls::new(), Fates::new());
    let mut watching = watch(&known, &fates, Of::Turn);
    let all = [CREATED, DONE, COMPLETED].concat();
    watching.came(all.as_bytes()).unwrap();
    watching.went(all.as_bytes());
    watching.settle(ending(PASSED, false, true));
    assert!(!knows(&known, "resp_9"));
    assert!(fates.read("resp_9").is_ok() && fates.read("resp_9").is_ok());
}

#[test]
fn an_answer_that_nobody_saw_the_end_of_is_judged_when_it_is_read_unless_a_policy_stepped_in() {
    for (intervened, status) in [(false, 0), (true, 400)] {
        let (known, fates) = (OpenCalls::new(), Fates::new());
        let mut watching = watch(&known, &fates, Of::Turn);
        watching.came([CREATED, DONE].concat().as_bytes()).unwrap();
        watching.went(CREATED.as_bytes());
        watching.settle(ending(Summary { intervened, ..PASSED }, false, false));
        drop(watching);
        assert_eq!(refused(&fates, "resp_9"), status);
        // A reader who sees only the beginning closes nothing.
        let mut reading = watch(&known, &fates, Of::Read);
        assert_eq!(reading.came(CREATED.as_bytes()).is_ok(), !intervened);
        reading.settle(ending(PASSED, false, false));
        // Nobody says of the call that a policy blocked it.
        let body = r#"{"model":"m","previous_response_id":"resp_9","input":[]}"#;
        let body = completed(&known, ALICE, body).unwrap();
        assert!(body.contains(LOST) && !body.contains("policy"), "{body}");
    }
}

#[test]
fn a_changed_request_alone_makes_no_changed_answer() {
    for (differs, status) in [(false, 0), (true, 400)] {
        let (known, fates) = (OpenCalls::new(), Fates::new());
        let mut watching = watch(&known, &fates, Of::Turn).request_changed(true);
        watching.came([CREATED, COMPLETED].concat().as_bytes()).unwrap();
        watching.settle(ending(Summary { intervened: true, ..PASSED }, differs, true));
        assert_eq!(refused(&fates, "resp_9"), status);
    }
}

#[test]
fn a_stream_that_turns_out_to_be_a_changed_response_goes_no_further() {
    let (known, fates) = (OpenCalls::new(), Fates::new());
    fates.answer("resp_9").end(Fate::Changed);
    let mut watching = watch(&known, &fates, Of::Read);
    watching.is_of("RESP_9").unwrap();
    assert!(matches!(watching.came(CREATED.as_bytes()), Err(GatewayError::PolicyBlocked(_))));
}

#[test]
fn a_whole_answer_is_compared_and_its_fate_kept() {
    let vendors = r#"{"id":"resp_9","output":[{"type":"function_call","call_id":"c9"},{"type":"mcp_call","id":"m"}]}"#;
    for (clients, status) in [(vendors, 0), (r#"{"id":"resp_9","output":[{"type":"message"}]}"#, 400)] {
        let (known, fates) = (OpenCalls::new(), Fates::new());
        whole(&known, &fates, Of::Turn, vendors, clients);
        assert_eq!(knows(&known, "resp_9"), status != 0);
        assert_eq!(refused(&fates, "resp_9"), status);
    }
}

#[test]
fn nothing_odd_in_an_answer_switches_the_memory_off() {
    let call = r#"{"type":"function_call","call_id":"c9"}"#;
    for vendors in [
        format!(r#"{{"id":"resp_9","output":[{{"type":"tool_search_call","call_id":null}},{call}]}}"#),
        format!(r#"{{"id":"resp_9","conversation":"conv_1","output":[{{"type":null,"call_id":7}},null,[],{call}]}}"#),
        format!(r#"{{"id":"resp_9","conversation":null,"status":null,"error":null,"output":[7,{call}]}}"#),
        format!(r#"{{"id":"resp_9","id":"resp_9","conversation":[7],"output":[{call}]}}"#),
    ] {
        let (known, fates) = (OpenCalls::new(), Fates::new());
        whole(&known, &fates, Of::Turn, &vendors, r#"{"id":"resp_9","output":null}"#);
        assert!(knows(&known, "resp_9"), "{vendors}");
        assert_eq!(refused(&fates, "resp_9"), 400, "{vendors}");
    }
}

#[test]
fn a_response_that_still_grows_has_no_fate_yet() {
    let (known, fates) = (OpenCalls::new(), Fates::new());
    for status in ["queued", "in_progress"] {
        let vendors = format!(r#"{{"id":"resp_9","status":"{status}","output":[]}}"#);
        whole(&known, &fates, Of::Turn, &vendors, &vendors);
        let reading = fates.read("resp_9").unwrap();
        assert_eq!(refused(&fates, "resp_9"), 409, "it is judged by one at a time");
        drop(reading);
    }
}

#[test]
fn what_is_open_in_a_conversation_is_what_its_last_answer_left_open() {
    let (known, fates) = (OpenCalls::new(), Fates::new());
    let vendors = |call: &str| {
        let output = json!([{"type": "function_call", "call_id": call}]);
        json!({"id": format!("resp_{call}"), "conversation": {"id": "conv_1"}, "output": output}).to_string()
    };
    let nothing = r#"{"id":"resp_x","output":[]}"#;
    for conversation in [r#""conv_1""#, r#"{"id":"conv_1"}"#] {
        whole(&known, &fates, Of::Turn, &vendors("c1"), nothing);
        let body = format!(r#"{{"model":"m","conversation":{conversation},"input":[]}}"#);
        assert!(completed(&known, ALICE, &body).unwrap().contains(&output("function_call", "c1")));
        // Until the vendor has answered: a turn that it refuses changes nothing.
        assert!(completed(&known, ALICE, &body).is_some());
        whole(&known, &fates, Of::Turn, &vendors("c2"), &vendors("c2"));
        assert_eq!(completed(&known, ALICE, &body), None);
    }
    assert!(knows(&known, "resp_c1"), "a response is gone on from as often as one likes");
}

#[test]
fn reading_an_old_response_opens_nothing_in_its_conversation() {
    let (known, fates) = (OpenCalls::new(), Fates::new());
    let vendors = r#"{"id":"resp_9","conversation":{"id":"conv_1"},"output":[{"type":"function_call","call_id":"c"}]}"#;
    whole(&known, &fates, Of::Read, vendors, r#"{"id":"resp_9","output":[]}"#);
    assert!(knows(&known, "resp_9") && !knows(&known, "conv_1"));
}

#[test]
fn outputs_of_a_conversation_are_given_once_where_nobody_sees_the_answer() {
    let known = OpenCalls::new();
    known.now_open(ALICE, "conv_1", vec![call("function_call", "c")]);
    let body = request(r#"{"model":"m","conversation":"conv_1","input":"hi"}"#);
    assert!(known.complete(ALICE, &body, true).unwrap().is_some());
    assert!(known.complete(ALICE, &body, true).unwrap().is_none());
}
