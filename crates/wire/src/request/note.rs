//! Puts an entry behind a request's system prompt. What stands there keeps its bytes, the first entry above all (W-44).

use bytes::Bytes;

use super::{Request, RequestKind, walk};
use crate::conversation::Role;
use crate::dialect::Dialect;
use crate::json;

impl Request {
    /// The same request with one more system entry, behind those that stand at its beginning. Unchanged where nothing of a
    /// conversation is in it.
    #[must_use]
    pub fn with_system_note(&self, note: &str) -> Self {
        let text = json::quote(note);
        let body = match self.dialect {
            Dialect::Messages => self.behind_system(&format!(r#"{{"type":"text","text":{text}}}"#), &text),
            Dialect::Chat => self.behind_first("messages", &format!(r#"{{"role":"system","content":{text}}}"#)),
            Dialect::Responses => {
                let entry = format!(r#"{{"type":"message","role":"developer","content":{text}}}"#);
                self.behind_first("input", &entry)
            }
        };
        // The looser kind: this request has been checked as what it is.
        let read = body.map(|body| Self::parse(self.dialect, RequestKind::CountTokens, Bytes::from(body)));
        match read {
            Some(Ok(request)) => request,
            _ => self.clone(),
        }
    }

    /// Messages: `system` is one text, or a list of them.
    fn behind_system(&self, entry: &str, plain: &str) -> Option<String> {
        let Some(span) = self.span("system").filter(|span| self.slice(span.clone()) != "null") else {
            let absent = self.span("system").is_none();
            return if absent { self.with_member(&format!(r#""system":{plain}"#)) } else { None };
        };
        let old = self.slice(span.clone());
        let new = if old.starts_with('[') {
            appended(old, entry)?
        } else {
            format!(r#"[{{"type":"text","text":{old}}},{entry}]"#)
        };
        Some(json::splice(self.text(), &[(span, new)]))
    }

    /// Behind the system entries at the beginning of a list of messages.
    fn behind_first(&self, member: &str, entry: &str) -> Option<String> {
        let span = self.span(member)?;
        let old = self.slice(span.clone());
        if old.starts_with('"') {
            let new = format!(r#"[{entry},{{"type":"message","role":"user","content":{old}}}]"#);
            return Some(json::splice(self.text(), &[(span, new)]));
        }
        let is_system = |raw: &str| {
            let members = walk::object(raw).unwrap_or_default();
            let role = members.iter().rev().find(|(key, _)| key == "role").map(|(_, raw)| *raw);
            Role::read(role) == Role::System
        };
        let leading = self.messages.iter().take_while(|span| is_system(self.slice((*span).clone()))).last();
        let (at, new) = match (leading, self.messages.first()) {
            (Some(last), _) => (last.end, format!(",{entry}")),
            (None, Some(first)) => (first.start, format!("{entry},")),
            (None, None) => (span.start + 1, entry.to_owned()),
        };
        let text = self.text();
        Some([&text[..at], &new, &text[at..]].concat())
    }

    /// With one more member, behind the others.
    fn with_member(&self, member: &str) -> Option<String> {
        let (_, last) = self.members.iter().max_by_key(|(_, span)| span.end)?;
        let text = self.text();
        Some([&text[..last.end], ",", member, &text[last.end..]].concat())
    }
}

/// A list with one more element.
fn appended(list: &str, entry: &str) -> Option<String> {
    let elements = json::elements(list)?;
    let end = elements.last().map_or(1, |last| last.end);
    let comma = if elements.is_empty() { "" } else { "," };
    Some([&list[..end], comma, entry, &list[end..]].concat())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Dialect::Messages, r#"{"model":"m","messages":[]}"#, r#"{"model":"m","messages":[],"system":"n\"b"}"#)]
    #[case(
        Dialect::Messages,
        r#"{"system": "s\u0041", "model":"m","messages":[]}"#,
        r#"{"system": [{"type":"text","text":"s\u0041"},{"type":"text","text":"n\"b"}], "model":"m","messages":[]}"#
    )]
    #[case(
        Dialect::Messages,
        r#"{"system":[ {"type":"text","text":"s"} ],"model":"m","messages":[]}"#,
        r#"{"system":[ {"type":"text","text":"s"},{"type":"text","text":"n\"b"} ],"model":"m","messages":[]}"#
    )]
    #[case(
        Dialect::Chat,
        r#"{"model":"m","messages":[{"role":"system","content":"s"}, {"role":"user","content":"u"}]}"#,
        r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"system","content":"n\"b"}, {"role":"user","content":"u"}]}"#
    )]
    #[case(
        Dialect::Chat,
        r#"{"model":"m","messages":[ {"role":"user","content":"u"}]}"#,
        r#"{"model":"m","messages":[ {"role":"system","content":"n\"b"},{"role":"user","content":"u"}]}"#
    )]
    #[case(
        Dialect::Responses,
        r#"{"model":"m","input":"u"}"#,
        r#"{"model":"m","input":[{"type":"message","role":"developer","content":"n\"b"},{"type":"message","role":"user","content":"u"}]}"#
    )]
    #[case(
        Dialect::Responses,
        r#"{"model":"m","input":[{"role":"developer","content":"d"},{"role":"user","content":"u"}]}"#,
        r#"{"model":"m","input":[{"role":"developer","content":"d"},{"type":"message","role":"developer","content":"n\"b"},{"role":"user","content":"u"}]}"#
    )]
    #[case(
        Dialect::Responses,
        r#"{"model":"m","input":[]}"#,
        r#"{"model":"m","input":[{"type":"message","role":"developer","content":"n\"b"}]}"#
    )]
    #[case(
        Dialect::Responses,
        r#"{"model":"m","previous_response_id":"r"}"#,
        r#"{"model":"m","previous_response_id":"r"}"#
    )]
    fn a_note_stands_behind_the_system_entries(#[case] dialect: Dialect, #[case] body: &str, #[case] expected: &str) {
        let request = Request::parse(dialect, RequestKind::CountTokens, Bytes::from(body.to_owned())).unwrap();
        let noted = request.with_system_note("n\"b");
        assert_eq!(noted.text(), expected);
        assert_eq!((noted.model(), noted.stream()), ("m", false));
    }
}
