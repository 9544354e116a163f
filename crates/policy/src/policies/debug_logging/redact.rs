//! Takes credentials out of text before it is logged.

use regex::Regex;

const PATTERNS: &[&str] = &[
    r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}",
    // Named values: `api_key: …`, `"password": "…"`, also inside escaped JSON.
    r#"(?i)(?P<keep>\b[\w-]*(?:api[_-]?key|password|passwd|secret|token|authorization)\b\\?["']?\s*[:=]\s*\\?")[^"\\]{4,}"#,
    r#"(?i)(?P<keep>\b[\w-]*(?:api[_-]?key|password|passwd|secret|token|authorization)\b\\?["']?\s*[:=]\s*)[^\s"'\\,}]{6,}"#,
    // Keys that are known by their form: OpenAI and Anthropic, AWS, GitHub, Google, Slack, JSON web tokens, PEM.
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}",
    r"\bAIza[A-Za-z0-9_-]{30,}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
];

/// The patterns, compiled.
#[derive(Debug)]
pub(in crate::policies) struct Redactor {
    patterns: Vec<Regex>,
}

impl Redactor {
    pub(in crate::policies) fn new() -> Result<Self, regex::Error> {
        Ok(Self { patterns: PATTERNS.iter().map(|source| Regex::new(source)).collect::<Result<_, _>>()? })
    }

    /// `text` with each credential replaced by `[redacted]`.
    pub(in crate::policies) fn redacted(&self, text: &str) -> String {
        self.patterns.iter().fold(text.to_owned(), |text, pattern| {
            let with = |found: &regex::Captures<'_>| {
                format!("{}[redacted]", found.name("keep").map_or("", |keep| keep.as_str()))
            };
            pattern.replace_all(&text, with).into_owned()
        })
    }
}
