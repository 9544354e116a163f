//! What went wrong at an upstream, and the words for it in each dialect.

use serde_json::{Value, json};

use crate::dialect::Dialect;

/// Claude Code knows a full context by these words alone.
const TOO_LONG: &str = "prompt is too long";

/// What kind of thing went wrong: what agents act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::convert) enum Class {
    Invalid,
    /// The prompt does not fit the model's context.
    ContextLength,
    Authentication,
    Billing,
    Permission,
    NotFound,
    Conflict,
    TooLarge,
    RateLimit,
    Overloaded,
    Timeout,
    Server,
}

/// An upstream's failure.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::convert) struct Failure {
    pub(in crate::convert) class: Class,
    /// Word for word.
    pub(in crate::convert) message: String,
    /// The vendor's type and code, which stay where the client's dialect has the same vocabulary.
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    from: Dialect,
}

impl Failure {
    /// A failure that the upstream did not tell itself.
    pub(in crate::convert) fn own(class: Class, message: String) -> Self {
        Self { class, message, kind: None, code: None, param: None, from: Dialect::Messages }
    }

    /// Reads the `error` of an upstream, an object or a text. Without a `status` (within a stream) type and code alone say
    /// what it is.
    pub(in crate::convert) fn read(from: Dialect, error: &Value, status: Option<u16>) -> Self {
        let text = |name: &str| {
            let value = error.get(name)?;
            value.as_str().map(str::to_owned).or_else(|| value.as_number().map(ToString::to_string))
        };
        let message = text("message").or_else(|| error.as_str().map(str::to_owned));
        let message = message.unwrap_or_else(|| error.to_string());
        let (kind, code) = (text("type"), text("code"));
        let number = code.as_deref().and_then(|code| code.parse().ok());
        let named = code.as_deref().and_then(by_name).or_else(|| kind.as_deref().and_then(by_name));
        let by_status = status.or(number).and_then(by_status);
        let class = match (named, by_status) {
            // These say more than a status does.
            (Some(named @ (Class::ContextLength | Class::Billing | Class::Overloaded)), _) | (Some(named), None) => {
                named
            }
            (_, found) => found.unwrap_or(Class::Server),
        };
        let class = match class {
            Class::Invalid | Class::TooLarge | Class::Server if is_context_length(&message) => Class::ContextLength,
            other => other,
        };
        // A bare number is a status: nothing that the client's dialect would call a code.
        let code = if number.is_some() { None } else { code };
        Self { class, message, kind, code, param: text("param"), from }
    }

    /// The status of an answer that is this failure, where the upstream gave it none of its own.
    pub(in crate::convert) fn status(&self, to: Dialect) -> u16 {
        match self.class {
            Class::Invalid | Class::ContextLength => 400,
            Class::Authentication => 401,
            Class::Billing if to == Dialect::Messages => 402,
            Class::Permission => 403,
            Class::NotFound => 404,
            Class::Conflict => 409,
            Class::TooLarge => 413,
            Class::Billing | Class::RateLimit => 429,
            Class::Overloaded if to == Dialect::Messages => 529,
            Class::Overloaded => 503,
            Class::Timeout => 504,
            Class::Server => 500,
        }
    }

    /// The error of a Messages envelope.
    pub(in crate::convert) fn messages(&self) -> Value {
        let kind = match &self.kind {
            Some(kind) if self.from == Dialect::Messages => kind.as_str(),
            _ => match self.class {
                Class::Invalid | Class::ContextLength => "invalid_request_error",
                Class::Authentication => "authentication_error",
                Class::Billing => "billing_error",
                Class::Permission => "permission_error",
                Class::NotFound => "not_found_error",
                Class::Conflict => "conflict_error",
                Class::TooLarge => "request_too_large",
                Class::RateLimit => "rate_limit_error",
                Class::Overloaded => "overloaded_error",
                Class::Timeout => "timeout_error",
                Class::Server => "api_error",
            },
        };
        if self.class == Class::ContextLength && self.from != Dialect::Messages && !self.message.starts_with(TOO_LONG) {
            return json!({"type": kind, "message": format!("{TOO_LONG}: {}", self.message)});
        }
        json!({"type": kind, "message": self.message})
    }

    /// The error of an OpenAI envelope.
    pub(in crate::convert) fn openai(&self) -> Value {
        let (kind, code) = self.names();
        json!({"message": self.message, "type": kind, "param": self.param, "code": code})
    }

    /// The code of a failed response. Codex knows by it whether to try again, and when.
    pub(in crate::convert) fn response_code(&self) -> &str {
        match (self.names().1, self.class) {
            // What is wrong with the request itself is not mended by trying again.
            (None, Class::Invalid | Class::Conflict | Class::TooLarge | Class::NotFound) => "invalid_prompt",
            (None, _) => "server_error",
            (Some(code), _) => code,
        }
    }

    fn names(&self) -> (&str, Option<&str>) {
        let (kind, code) = match self.class {
            Class::Invalid | Class::Conflict => ("invalid_request_error", None),
            Class::ContextLength => ("invalid_request_error", Some("context_length_exceeded")),
            Class::Authentication => ("authentication_error", Some("invalid_api_key")),
            Class::Billing => ("insufficient_quota", Some("insufficient_quota")),
            Class::Permission => ("permission_error", None),
            Class::NotFound => ("not_found_error", None),
            Class::TooLarge => ("invalid_request_error", Some("request_too_large")),
            Class::RateLimit => ("rate_limit_error", Some("rate_limit_exceeded")),
            Class::Overloaded => ("server_error", Some("server_is_overloaded")),
            Class::Timeout | Class::Server => ("server_error", None),
        };
        match (&self.kind, &self.code) {
            _ if self.from == Dialect::Messages && self.kind.as_deref().is_some_and(|kind| by_name(kind).is_none()) => {
                (self.kind.as_deref().unwrap_or(kind), code)
            }
            (own, own_code) if self.from != Dialect::Messages => {
                (own.as_deref().unwrap_or(kind), own_code.as_deref().or(code))
            }
            _ => (kind, code),
        }
    }
}

/// What a type or code of any vendor means.
fn by_name(name: &str) -> Option<Class> {
    Some(match name {
        "invalid_request_error" | "invalid_prompt" | "BadRequestError" | "invalid_request" => Class::Invalid,
        "context_length_exceeded" | "exceed_context_size_error" => Class::ContextLength,
        "authentication_error" | "invalid_api_key" | "invalid_authentication" => Class::Authentication,
        "billing_error" | "insufficient_quota" | "billing_hard_limit_reached" => Class::Billing,
        "permission_error" | "permission_denied" => Class::Permission,
        "not_found_error" | "model_not_found" | "NotFoundError" => Class::NotFound,
        "conflict_error" => Class::Conflict,
        "request_too_large" => Class::TooLarge,
        "rate_limit_error" | "rate_limit_exceeded" | "requests" | "tokens" | "usage_limit_reached" => Class::RateLimit,
        "overloaded_error" | "server_is_overloaded" | "slow_down" | "unavailable_error" => Class::Overloaded,
        "timeout_error" => Class::Timeout,
        "api_error" | "server_error" | "internal_error" | "InternalServerError" => Class::Server,
        _ => return None,
    })
}

fn by_status(status: u16) -> Option<Class> {
    Some(match status {
        401 => Class::Authentication,
        402 => Class::Billing,
        403 => Class::Permission,
        404 => Class::NotFound,
        408 | 504 => Class::Timeout,
        409 => Class::Conflict,
        413 => Class::TooLarge,
        429 => Class::RateLimit,
        529 => Class::Overloaded,
        400..=499 => Class::Invalid,
        500..=599 => Class::Server,
        _ => return None,
    })
}

/// Vendors and servers that have no code for it say it in one of these ways.
fn is_context_length(message: &str) -> bool {
    const WAYS: [&str; 6] = [
        "prompt is too long",
        "maximum context length",
        "exceeds the available context size",
        "exceed context limit",
        "exceeds the context window",
        "context_length_exceeded",
    ];
    WAYS.iter().any(|way| message.contains(way))
}
