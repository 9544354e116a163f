//! Which calls an agent makes beside its conversation.

use std::ops::Range;

use crate::body::split::Outline;

/// Answers this short are no turn.
const TINY: u64 = 32;

/// How much of the system prompt is searched.
const LOOKED_AT: usize = 4096;

/// Whether this request is a probe of the agent's own and no turn of its conversation: it belongs to the session but gives
/// it neither title nor turn. So are calls
/// - with a limit of one token: a check of quota or credentials;
/// - in a session the client named, without tools, and with a tiny limit or a system prompt that asks for a title. Clients
///   that name no session may well mean such a call.
pub(super) fn is_preflight(body: &[u8], outline: &Outline, named_session: bool) -> bool {
    if outline.max_tokens.is_some_and(|limit| limit <= 1) {
        return true;
    }
    if !named_session || outline.tools {
        return false;
    }
    outline.max_tokens.is_some_and(|limit| limit <= TINY)
        || (outline.messages.len() <= 2 && asks_for_title(body, outline))
}

fn asks_for_title(body: &[u8], outline: &Outline) -> bool {
    let has = |text: &[u8], word: &[u8]| text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    let start = |span: &Range<usize>| &body[span.start..span.end.min(span.start + LOOKED_AT)];
    if let Some(system) = &outline.system {
        return has(start(system), b"title");
    }
    // In Chat the system prompt is the first message; in Responses it may be.
    let first = outline.messages.first().map(start).unwrap_or_default();
    (has(first, b"\"system\"") || has(first, b"\"developer\"")) && has(first, b"title")
}

#[cfg(test)]
mod tests {
    use luthien_wire::Dialect;
    use serde_json::{Value, json};

    use super::is_preflight;
    use crate::body::split::split;

    #[test]
    fn only_an_agents_own_probes_are_preflight() {
        let user = json!({"role": "user", "content": "write a title"});
        let cases: [(Value, bool, bool); 14] = [
            (json!({"max_tokens": 1, "messages": [user]}), false, true),
            (json!({"max_tokens": 1, "tools": [{}], "messages": [user]}), true, true),
            (json!({"max_tokens": 20, "messages": [user]}), true, true),
            (json!({"max_tokens": 20, "messages": [user]}), false, false),
            (json!({"max_tokens": 20, "tools": [{}], "messages": [user]}), true, false),
            (json!({"max_tokens": 900, "messages": [user]}), true, false),
            (json!({"max_tokens": 900, "system": "Make a Title", "messages": [user]}), true, true),
            (json!({"max_tokens": 900, "system": "Make a Title", "tools": [{}], "messages": [user]}), true, false),
            (json!({"messages": [{"role": "system", "content": "title this"}, user]}), true, true),
            (json!({"max_output_tokens": 1, "input": "quota"}), false, true),
            (json!({"instructions": "Make a Title", "input": [user]}), true, true),
            (json!({"instructions": "Make a Title", "input": [user], "tools": [{}]}), true, false),
            (json!({"input": [{"type": "message", "role": "developer", "content": "title this"}, user]}), true, true),
            (json!({"input": [{"type": "message", "role": "developer", "content": "help"}, user]}), true, false),
        ];
        for (body, named, expected) in cases {
            let text = body.to_string();
            let dialect = if body.get("input").is_some() { Dialect::Responses } else { Dialect::Messages };
            assert_eq!(
                is_preflight(text.as_bytes(), &split(dialect, text.as_bytes()), named),
                expected,
                "{text} {named}"
            );
        }
    }
}
