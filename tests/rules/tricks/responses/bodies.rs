//! The tricks of a whole response.

use super::{CALL, CANARY_ARGUMENTS, KINDS, TEXT, TEXT_PART, called, completed, item, stream};

/// Everything that could be sent for a response in one piece.
pub(in crate::tricks) fn bodies() -> Vec<(String, String)> {
    let response = |fields: &str| {
        format!(
            r#"{{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m",{fields},"usage":null}}"#
        )
    };
    let output = |items: &str| response(&format!(r#""output":[{items}]"#));
    let two_types = CALL.replace(
        r#"{"type":"function_call""#,
        r#"{"type":"message","role":"assistant","content":[],"type":"function_call""#,
    );
    let tricks = [
        ("plainly", output(CALL)),
        ("behind a text", output(&format!("{TEXT},{CALL}"))),
        ("output twice, second", response(&format!(r#""output":[{TEXT}],"output":[{CALL}]"#))),
        ("output twice, first", response(&format!(r#""output":[{CALL}],"output":[{TEXT}]"#))),
        ("output three times", response(&format!(r#""output":[],"output":[{CALL}],"output":[{TEXT}]"#))),
        ("output in a key written otherwise", response(&format!(r#""outp\u0075t":[{CALL}]"#))),
        ("output both ways", response(&format!(r#""output":[{TEXT}],"outp\u0075t":[{CALL}]"#))),
        ("output as an object", response(&format!(r#""output":{{"0":{CALL}}}"#))),
        ("output as one item", response(&format!(r#""output":{CALL}"#))),
        ("output within an output", response(&format!(r#""output":[[{CALL}]]"#))),
        ("no kind", output(&CALL.replace(r#""type":"function_call","#, ""))),
        ("an unknown kind", output(&CALL.replace("function_call", "function_call_2031"))),
        ("two kinds", output(&two_types)),
        ("arguments twice", output(&CALL.replace(r#""arguments":"#, r#""arguments":"{}","arguments":"#))),
        ("arguments that are no text", output(&CALL.replace(CANARY_ARGUMENTS, r#"{"a":"canary"}"#))),
        ("as a part of a text", output(&TEXT.replace(TEXT_PART, CALL))),
        ("as a second part of a text", output(&TEXT.replace(TEXT_PART, &format!("{TEXT_PART},{CALL}")))),
        ("the same id twice", output(&format!("{},{CALL}", TEXT.replace("msg_1", "fc_1")))),
        ("in a failure", output(CALL).replace(r#""status":"completed","model""#, r#""status":"failed","model""#)),
        (
            "in an incomplete response",
            output(CALL).replace(r#""status":"completed","model""#, r#""status":"incomplete","model""#),
        ),
        (
            "in a queued response",
            output(CALL).replace(r#""status":"completed","model""#, r#""status":"queued","model""#),
        ),
        ("in a response within", format!(r#"{{"response":{}}}"#, output(CALL))),
        ("in an array", format!("[{}]", output(CALL))),
        ("two values", format!("{}{}", output(TEXT), output(CALL))),
        ("behind a byte order mark", format!("\u{feff}{}", output(CALL))),
        ("cut", output(CALL).trim_end_matches('}').to_owned()),
        ("as a stream", stream(&called("0"), CALL)),
        ("as a list", format!(r#"{{"object":"list","data":[{CALL}]}}"#)),
        ("as a compaction", output(CALL).replace(r#""object":"response""#, r#""object":"response.compaction""#)),
        ("as an event", completed(CALL)),
    ];
    let mut all: Vec<(String, String)> = tricks.into_iter().map(|(name, body)| (name.to_owned(), body)).collect();
    all.extend(KINDS.map(|(kind, fields)| (format!("as {kind}"), output(&item(kind, fields)))));
    all
}
