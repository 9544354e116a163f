//! The tricks of a Responses stream.

use luthien_wire::sse::Frame;

mod bodies;

pub(super) use bodies::bodies;

/// A call that has run, or is to be run, with the canary in all that it says.
const CALL: &str = r#"{"type":"function_call","id":"fc_1","status":"completed","call_id":"call_canary","name":"Bash","arguments":"{\"a\":\"canary\"}"}"#;
const CALL_ADDED: &str =
    r#"{"type":"function_call","id":"fc_1","status":"in_progress","call_id":"call_1","name":"Bash","arguments":""}"#;
const TEXT: &str = r#"{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"x","annotations":[]}]}"#;
const TEXT_ADDED: &str = r#"{"type":"message","id":"msg_1","status":"in_progress","role":"assistant","content":[]}"#;

/// Every item that calls something, of whoever runs it, with the canary.
const KINDS: [(&str, &str); 14] = [
    ("function_call", r#""call_id":"c","name":"Bash","arguments":"canary""#),
    ("custom_tool_call", r#""call_id":"c","name":"Bash","input":"canary""#),
    ("local_shell_call", r#""call_id":"c","action":{"type":"exec","command":["canary"],"env":{}}"#),
    ("shell_call", r#""call_id":"c","action":{"commands":["canary"]}"#),
    ("apply_patch_call", r#""call_id":"c","operation":{"type":"create_file","path":"p","diff":"canary"}"#),
    ("computer_call", r#""call_id":"c","action":{"type":"type","text":"canary"},"pending_safety_checks":[]"#),
    ("mcp_call", r#""name":"roll","server_label":"s","arguments":"canary","output":"canary""#),
    ("mcp_approval_request", r#""name":"roll","server_label":"s","arguments":"canary""#),
    ("web_search_call", r#""action":{"type":"search","query":"canary"}"#),
    ("file_search_call", r#""queries":["canary"],"results":null"#),
    ("code_interpreter_call", r#""code":"canary","container_id":"c","outputs":[]"#),
    ("image_generation_call", r#""result":"canary""#),
    ("tool_search_call", r#""arguments":{"q":"canary"},"execution":"client","call_id":"c""#),
    ("program", r#""call_id":"c","code":"canary","fingerprint":"f""#),
];

fn item(kind: &str, fields: &str) -> String {
    format!(r#"{{"type":"{kind}","id":"it_1","status":"completed",{fields}}}"#)
}

fn lifecycle(kind: &str, status: &str, output: &str) -> String {
    format!(
        r#"{{"type":"response.{kind}","response":{{"id":"resp_1","object":"response","created_at":1,"status":"{status}","model":"m","error":null,"incomplete_details":null,"output":[{output}],"usage":null}}}}"#
    )
}

fn created() -> String {
    lifecycle("created", "in_progress", "")
}

fn completed(output: &str) -> String {
    lifecycle("completed", "completed", output)
}

fn added(index: &str, item: &str) -> String {
    format!(r#"{{"type":"response.output_item.added","output_index":{index},"item":{item}}}"#)
}

fn done(index: &str, item: &str) -> String {
    format!(r#"{{"type":"response.output_item.done","output_index":{index},"item":{item}}}"#)
}

fn arguments(index: &str, ending: &str, said: &str) -> String {
    format!(
        r#"{{"type":"response.function_call_arguments.{ending}","item_id":"fc_1","output_index":{index},"{}":{said}}}"#,
        if ending == "delta" { "delta" } else { "arguments" }
    )
}

const CANARY_ARGUMENTS: &str = r#""{\"a\":\"canary\"}""#;

fn part(ending: &str, part: &str) -> String {
    format!(
        r#"{{"type":"response.content_part.{ending}","item_id":"msg_1","output_index":0,"content_index":0,"part":{part}}}"#
    )
}

fn text(ending: &str, field: &str, said: &str) -> String {
    format!(
        r#"{{"type":"response.output_text.{ending}","item_id":"msg_1","output_index":0,"content_index":0,"{field}":{said},"logprobs":[]}}"#
    )
}

const BLANK_PART: &str = r#"{"type":"output_text","text":"","annotations":[]}"#;
const TEXT_PART: &str = r#"{"type":"output_text","text":"x","annotations":[]}"#;

/// The events of a whole text at index 0.
fn said() -> Vec<String> {
    vec![
        added("0", TEXT_ADDED),
        part("added", BLANK_PART),
        text("delta", "delta", r#""x""#),
        text("done", "text", r#""x""#),
        part("done", TEXT_PART),
        done("0", TEXT),
    ]
}

/// The events of a whole call.
fn called(index: &str) -> Vec<String> {
    vec![
        added(index, CALL_ADDED),
        arguments(index, "delta", CANARY_ARGUMENTS),
        arguments(index, "done", CANARY_ARGUMENTS),
        done(index, &CALL.replace("call_canary", "call_1")),
    ]
}

/// The events with their numbers, in frames.
fn frames(events: &[String]) -> String {
    let numbered = events.iter().enumerate().map(|(number, data)| {
        let kind = data.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a type");
        let data = format!("{},\"sequence_number\":{number}}}", data.strip_suffix('}').expect("an object"));
        String::from_utf8(Frame::write(kind, &data).to_vec()).expect("UTF-8")
    });
    numbered.collect()
}

/// A whole stream of these events.
fn stream(events: &[String], output: &str) -> String {
    frames(&[&[created()], events, &[completed(output)]].concat())
}

fn two(first: &[String], second: &[String]) -> Vec<String> {
    [first, second].concat()
}

/// What a stream is made to say where it does not belong.
fn misplaced() -> Vec<(&'static str, String)> {
    let text_and = |events: &[String], output: &str| stream(&two(&said(), events), &format!("{TEXT}{output}"));
    let with_call = format!(",{CALL}");
    vec![
        ("plainly", stream(&called("0"), &CALL.replace("call_canary", "call_1"))),
        ("behind a text", text_and(&called("1"), &with_call)),
        ("no end", frames(&two(&[created()], &called("0")))),
        ("no end of the call", frames(&two(&[created()], &called("0")[..2]))),
        ("in the last event alone", stream(&[], CALL)),
        ("in the last event beside a text", text_and(&[], &with_call)),
        ("in the last event before the text", stream(&said(), &format!("{CALL},{TEXT}"))),
        ("in a failure", frames(&two(&two(&[created()], &said()), &[lifecycle("failed", "failed", CALL)]))),
        ("in an incomplete end", frames(&[created(), lifecycle("incomplete", "incomplete", CALL)])),
        ("in the first event", frames(&two(&[lifecycle("created", "in_progress", CALL)], &[completed("")]))),
        ("in the second event", stream(&[lifecycle("in_progress", "in_progress", CALL)], "")),
        ("in the queue", stream(&[lifecycle("queued", "queued", CALL)], "")),
        ("in a later state", text_and(&[lifecycle("in_progress", "in_progress", CALL)], "")),
        ("in a response that is cancelled", frames(&[created(), lifecycle("cancelled", "cancelled", CALL)])),
        ("before the start", frames(&two(&called("0"), &[created(), completed(CALL)]))),
        ("without a start", frames(&two(&called("0"), &[completed(CALL)]))),
        ("behind the end", format!("{}{}", stream(&said(), TEXT), frames(&called("1")))),
        ("in a second response", format!("{}{}", stream(&said(), TEXT), stream(&called("0"), CALL))),
        ("in a second end", format!("{}{}", stream(&said(), TEXT), frames(&[completed(CALL)]))),
        ("as an item's end alone", stream(&[done("0", CALL)], "")),
        ("as an item's end alone, behind a text", text_and(&[done("1", CALL)], "")),
        ("as an item's start alone", stream(&[added("0", CALL)], "")),
        ("as the pieces of its arguments alone", stream(&[arguments("0", "delta", CANARY_ARGUMENTS)], "")),
        ("as the end of its arguments alone", stream(&[arguments("0", "done", CANARY_ARGUMENTS)], "")),
        ("as pieces before the item", stream(&[&called("0")[1..2], &called("0")].concat(), CALL)),
        ("as the end of the open text", stream(&two(&said()[..4], &[done("0", CALL)]), "")),
        ("as the end of the open text, elsewhere", stream(&two(&said()[..4], &[done("7", CALL)]), "")),
        ("as the end of a text that has ended", text_and(&[done("0", CALL)], "")),
        ("as pieces within an open text", stream(&two(&said()[..4], &[arguments("0", "delta", CANARY_ARGUMENTS)]), "")),
        (
            "as pieces behind the call's end",
            stream(
                &two(&[added("0", CALL_ADDED), done("0", CALL_ADDED)], &[arguments("0", "delta", CANARY_ARGUMENTS)]),
                CALL_ADDED,
            ),
        ),
        ("at an index that has been", text_and(&called("0"), &with_call)),
        ("at an index that is open", stream(&two(&said()[..3], &called("0")), TEXT)),
        (
            "with the id of a text",
            text_and(&called("1").iter().map(|event| event.replace("fc_1", "msg_1")).collect::<Vec<_>>(), ""),
        ),
    ]
}

/// Places that contradict each other.
fn contradictory() -> Vec<(&'static str, String)> {
    let harmless = CALL_ADDED.replace(r#""arguments":"""#, r#""arguments":"{}""#);
    let harmless_done = harmless.replace("in_progress", "completed");
    let all = |start: &str, delta: &str, end: &str, item: &str, output: &str| {
        stream(
            &[added("0", start), arguments("0", "delta", delta), arguments("0", "done", end), done("0", item)],
            output,
        )
    };
    let (empty, call) = (r#""{}""#, CALL.replace("call_canary", "call_1"));
    vec![
        ("only in the item's start", all(&call, empty, empty, &harmless_done, &harmless_done)),
        ("only in the pieces", all(CALL_ADDED, CANARY_ARGUMENTS, empty, &harmless_done, &harmless_done)),
        ("only in the arguments' end", all(CALL_ADDED, empty, CANARY_ARGUMENTS, &harmless_done, &harmless_done)),
        ("only in the item's end", all(CALL_ADDED, empty, empty, &call, &harmless_done)),
        ("only in the response", all(CALL_ADDED, empty, empty, &harmless_done, &call)),
        ("not in the response", all(CALL_ADDED, CANARY_ARGUMENTS, CANARY_ARGUMENTS, &call, "")),
        ("in its start and its pieces", all(&call, CANARY_ARGUMENTS, CANARY_ARGUMENTS, &call, &call)),
        ("as a call that ends as a text", all(CALL_ADDED, CANARY_ARGUMENTS, CANARY_ARGUMENTS, TEXT, TEXT)),
        ("as a text that ends as a call", stream(&[added("0", TEXT_ADDED), done("0", CALL)], CALL)),
        ("as an item of no kind that ends as a call", stream(&[added("0", "{}"), done("0", CALL)], CALL)),
        (
            "as a thought that ends as a call",
            stream(&[added("0", r#"{"type":"reasoning","id":"fc_1","summary":[]}"#), done("0", CALL)], CALL),
        ),
        ("under two names", all(&CALL_ADDED.replace("Bash", "canary"), empty, empty, &harmless_done, &harmless_done)),
        ("under two ids", all(CALL_ADDED, empty, empty, &harmless_done.replace("call_1", "canary"), &harmless_done)),
    ]
}

/// What no schema has: other types, other places, keys twice.
fn misshapen() -> Vec<(&'static str, String)> {
    let one = |item: &str| stream(&[added("0", item), done("0", item)], item);
    let at = |index: &str| {
        let events = called("0")
            .iter()
            .map(|event| event.replace(r#""output_index":0"#, &format!(r#""output_index":{index}"#)))
            .collect::<Vec<_>>();
        stream(&events, CALL)
    };
    let in_part = |part: &str| TEXT.replace(TEXT_PART, part);
    let within = |inner: &str| {
        stream(
            &[added("0", TEXT_ADDED), part("added", inner), part("done", inner), done("0", &in_part(inner))],
            &in_part(inner),
        )
    };
    let twice = |first: &str, second: &str| {
        let event = |kind: &str| {
            format!(r#"{{"type":"response.output_item.{kind}","output_index":0,"item":{first},"item":{second}}}"#)
        };
        stream(&[event("added"), event("done")], "")
    };
    let odd_end = |output: &str| frames(&two(&two(&[created()], &said()), &[completed("").replace("[]", output)]));
    let two_types = CALL.replace(
        r#"{"type":"function_call""#,
        r#"{"type":"message","role":"assistant","content":[],"type":"function_call""#,
    );
    let types_swapped =
        CALL.replace(r#""id":"fc_1""#, r#""id":"fc_1","type":"message","role":"assistant","content":[]"#);
    vec![
        ("of an unknown kind", one(&CALL.replace("function_call", "function_call_2031"))),
        ("of no kind", one(&CALL.replace(r#""type":"function_call","#, ""))),
        ("of a kind that is no word", one(&CALL.replace(r#""type":"function_call""#, r#""type":7"#))),
        ("of a kind in another case", one(&CALL.replace("function_call", "Function_Call"))),
        ("of a kind written otherwise", one(&CALL.replace("function_call", "function\\u005fcall"))),
        ("of two kinds", one(&two_types)),
        ("of two kinds, the other way", one(&types_swapped)),
        ("as an array", one(&format!("[{CALL}]"))),
        ("as a string", one(&format!("\"{}\"", CALL.replace('\\', "\\\\").replace('"', "\\\"")))),
        ("in a key written otherwise", one(CALL).replace("\"item\"", "\"it\\u0065m\"")),
        ("as the first of two items in one event", twice(CALL, TEXT)),
        ("as the second of two items in one event", twice(TEXT_ADDED, CALL)),
        ("with its arguments twice", one(&CALL.replace(r#""arguments":"#, r#""arguments":"{}","arguments":"#))),
        (
            "with its arguments twice, the other way",
            one(&CALL.replace(CANARY_ARGUMENTS, &format!(r#"{CANARY_ARGUMENTS},"arguments":"{{}}""#))),
        ),
        ("with arguments that are no text", one(&CALL.replace(CANARY_ARGUMENTS, r#"{"a":"canary"}"#))),
        ("as a part of a text", within(CALL)),
        ("as a part of an unknown kind", within(r#"{"type":"tool_call","call":"canary"}"#)),
        (
            "as a part that ends as another",
            stream(&[added("0", TEXT_ADDED), part("added", BLANK_PART), part("done", CALL), done("0", TEXT)], TEXT),
        ),
        ("as a part in the item's end alone", stream(&two(&said()[..5], &[done("0", &in_part(CALL))]), TEXT)),
        ("as a part in the response alone", stream(&said(), &in_part(CALL))),
        (
            "as a piece of text that is none",
            stream(&[&said()[..2], &[text("delta", "delta", CALL)], &said()[3..]].concat(), TEXT),
        ),
        ("as the content of a text that is none", one(&TEXT.replace(&format!("[{TEXT_PART}]"), CALL))),
        ("at no index", at("0").replace(r#""output_index":0,"#, "")),
        ("at index null", at("null")),
        ("at a negative index", at("-1")),
        ("at a huge index", at("18446744073709551615")),
        ("at an index of words", at("\"0\"")),
        ("at two indices", at("7,\"output_index\":0")),
        ("without ids", at("0").replace(r#""id":"fc_1","#, "").replace(r#""item_id":"fc_1","#, "")),
        ("without numbers", remove_numbers(&stream(&called("0"), CALL))),
        (
            "with numbers of words",
            stream(&called("0"), CALL).replace("\"sequence_number\":", "\"sequence_number\":\"x\",\"n\":"),
        ),
        ("in an output twice, first", odd_end(&format!("[{CALL}],\"output\":[]"))),
        ("in an output twice, second", odd_end(&format!("[],\"output\":[{CALL}]"))),
        ("in an output written otherwise", stream(&[], CALL).replace("\"output\":[{", "\"outp\\u0075t\":[{")),
        ("in an output that is an object", odd_end(&format!("{{\"0\":{CALL}}}"))),
        ("in an output that is one item", odd_end(CALL)),
        ("in an output within an output", odd_end(&format!("[[{CALL}]]"))),
        (
            "in two responses of one event",
            stream(&said(), TEXT)
                .replace("\"response\":{", &format!("\"response\":{{\"output\":[{CALL}]}},\"response\":{{")),
        ),
        (
            "in an array of responses",
            stream(&[], CALL).replace("\"response\":{", "\"response\":[{").replace("null}", "null}]"),
        ),
    ]
}

fn remove_numbers(stream: &str) -> String {
    let lines = stream.split('\n').map(|line| match line.rfind(",\"sequence_number\":") {
        Some(at) => format!("{}}}", &line[..at]),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Framing that readers take differently.
fn misframed() -> Vec<(&'static str, String)> {
    let whole = stream(&called("0"), CALL);
    let item_event = "event: response.output_item.added\n";
    let every = |to: &str| {
        let lines = whole.split('\n').map(|line| if line.starts_with("event: ") { to } else { line });
        lines.collect::<Vec<_>>().join("\n")
    };
    let done_as = |name: &str| whole.replace("event: response.output_item.done", &format!("event: {name}"));
    vec![
        ("under no names", every("").replace("\n\n\n", "\n\n")),
        ("under another event's name", every("event: response.in_progress")),
        ("under a name of no event", every("event: x")),
        ("under a keep-alive's name", every("event: keepalive")),
        ("with its end under a text's name", done_as("response.output_text.delta")),
        ("with its end under an error's name", done_as("error")),
        ("with two names", whole.replace(item_event, "event: keepalive\nevent: response.output_item.added\n")),
        ("over two lines of data", whole.replace(",\"output_index\"", ",\ndata: \"output_index\"")),
        ("with single carriage returns", whole.replace('\n', "\r")),
        ("behind a byte order mark", format!("\u{feff}{whole}")),
        ("with a NUL in the name", whole.replace(item_event, "event: response.output_item.added\0\n")),
        ("without spaces", whole.replace("data: ", "data:").replace("event: ", "event:")),
        ("behind [DONE]", format!("{}data: [DONE]\n\n{whole}", stream(&said(), TEXT))),
        ("in frames of no type", whole.replace("\"type\":\"response.output_item.", "\"kind\":\"response.output_item.")),
        (
            "in frames of two types",
            whole.replace("{\"type\":\"response.", "{\"type\":\"keepalive\",\"type\":\"response."),
        ),
        (
            "in frames of two types, the other way",
            whole.replace(",\"output_index\"", ",\"type\":\"keepalive\",\"output_index\""),
        ),
        (
            "in frames whose type is written otherwise",
            whole.replace("response.output_item", "response.output\\u005fitem"),
        ),
        ("in a frame of many", format!("data: [{}]\n\n", [created(), done("0", CALL), completed(CALL)].join(","))),
    ]
}

pub(super) fn streams() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [misplaced(), contradictory(), misshapen(), misframed()]
        .concat()
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect();
    for (kind, fields) in KINDS {
        let call = item(kind, fields);
        all.push((format!("as {kind}"), stream(&[added("0", &call), done("0", &call)], &call)));
        all.push((
            format!("as the end of {kind}"),
            stream(&two(&said(), &[done("1", &call)]), &format!("{TEXT},{call}")),
        ));
        all.push((format!("as {kind} in the response alone"), stream(&said(), &format!("{TEXT},{call}"))));
    }
    all
}
