//! A transaction's bodies as they were on the wire, made safe to print.

use luthien_record::store::TransactionDetail;

use crate::terminal::visible;

/// The four bodies, each under a heading; those that are equal are said to be.
pub(crate) fn bodies(call: &TransactionDetail) -> String {
    let mut out = body("request of the client", &call.request);
    out.push_str(&match &call.upstream_request {
        Some(sent) if sent.body == call.request => note("request to the upstream: the same"),
        Some(sent) => body(&format!("request to the upstream{}", dialect(call)), &sent.body),
        None => note("request to the upstream: none was sent"),
    });
    out.push_str(&body(&format!("response of the upstream{}", dialect(call)), &call.upstream_response));
    out.push_str(&match &call.own_response {
        Some(own) => body("response to the client", own),
        None => note("response to the client: the same"),
    });
    out
}

/// What the upstream speaks, where the client speaks another dialect.
fn dialect(call: &TransactionDetail) -> String {
    if call.converted() { format!(" (in {})", call.upstream_dialect()) } else { String::new() }
}

fn body(heading: &str, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let end = if bytes.ends_with(b"\n") { "\n" } else { "\n\n" };
    format!("=== {heading}, {} bytes\n{}{end}", bytes.len(), visible(&text))
}

fn note(heading: &str) -> String {
    format!("=== {heading}\n\n")
}
