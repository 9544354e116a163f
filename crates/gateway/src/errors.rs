//! What can go wrong on the way, whose fault it is, and how the caller is told: once, in its own dialect.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use luthien_policy::contract::{Refusal, RefusalKind};
use luthien_record::model::Status;
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::caps::Reached;

/// Who has to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The caller.
    Client,
    /// The gateway or its operator.
    Gateway,
    /// The upstream, or the way to it.
    Upstream,
    /// A policy.
    Policy,
}

/// Why a request got no answer from a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GatewayError {
    /// No credential came with the request.
    #[error("no credential: send an API key as `x-api-key` or as `Authorization: Bearer`")]
    NoCredential,
    /// A credential came that this gateway does not take.
    #[error("this credential is not accepted: {0}")]
    BadCredential(&'static str),
    /// The gateway key came, and there is no key to exchange it for.
    #[error(
        "the gateway has no server key for the upstream `{0}`: ask its operator to set one, or send a key of your own"
    )]
    NoServerKey(String),
    /// The stored credential that an upstream names is not there, or cannot be used.
    #[error(
        "the gateway cannot use the credential `{credential}` that it has for the upstream `{upstream}`: its operator finds why in the log and with `luthien credentials list`"
    )]
    NoCredentialFor {
        /// The upstream.
        upstream: String,
        /// The credential's name.
        credential: String,
    },
    /// The caller makes too many requests.
    #[error("more than {per_minute} requests a minute: wait {} seconds", wait.as_secs() + 1)]
    TooMany {
        /// How many it may make.
        per_minute: u32,
        /// How long it has to wait.
        wait: Duration,
    },
    /// The caller has used too many tokens.
    #[error("more than {per_minute} tokens a minute were used: wait {} seconds", wait.as_secs() + 1)]
    TooManyTokens {
        /// How many it may use.
        per_minute: u32,
        /// How long it has to wait.
        wait: Duration,
    },
    /// The caller's key, session or user has used what it may.
    #[error("{0}")]
    CapReached(Box<Reached>),
    /// What the request uses could not be counted against a cap.
    #[error("{0}")]
    CapForbids(String),
    /// As many answers are under way as the gateway takes.
    #[error("this gateway has {0} answers under way and takes no more (MAX_CONCURRENT_STREAMS): try again shortly")]
    TooManyStreams(usize),
    /// The body is not what the endpoint takes.
    #[error("{0}")]
    BadRequest(String),
    /// The request means something that the dialect of its upstream cannot say.
    #[error("{message}")]
    Unconvertible {
        /// What it is, and what to do.
        message: String,
        /// The field's path in the caller's body.
        param: Option<String>,
    },
    /// The body or the number of messages is over the limit.
    #[error("Request too large: {0}")]
    TooLarge(String),
    /// The body is in an encoding that the gateway does not read.
    #[error("cannot read a body with `content-encoding: {0}`: use gzip, br, zstd, deflate or none")]
    UnknownEncoding(String),
    /// The body did not come in time.
    #[error("the request's body did not arrive: nothing, or too little, came for {0:?}")]
    SlowBody(Duration),
    /// The client's body ended early or was malformed.
    #[error("the request's body could not be read to its end")]
    BodyBroken,
    /// There is nothing at this path.
    #[error("{0}")]
    NotFound(String),
    /// The path is there, the method is not.
    #[error("`{0}` does not take this method")]
    BadMethod(String),
    /// A WebSocket was asked for. Agents that know HTTP too go on with that at once when they get this answer (W-57).
    #[error("this gateway speaks no WebSocket: send the same request by POST over plain HTTP")]
    NoWebSocket,
    /// The gateway does not pass this path on.
    #[error(
        "`{0}` is not passed on: policies could not see its answers. The operator can allow it with the setting `ALLOWED_PATHS`"
    )]
    PathNotAllowed(String),
    /// A policy refused a request whose answer is no turn.
    #[error("{0}")]
    PolicyBlocked(String),
    /// A policy refused a request with an error.
    #[error("{}", _0.message)]
    PolicyRefused(Refusal),
    /// Another review of the same stored response is under way.
    #[error("this response is being reviewed for another request; try again shortly")]
    UnderReview,
    /// No upstream serves this caller: none speaks the dialect, or one that is near to it, and no rule names the model.
    #[error(
        "no upstream here serves this request in the dialect {0}: the operator can add one, or a rule for the model, in luthien.yaml"
    )]
    NoUpstream(Dialect),
    /// A policy chose an upstream that is not there.
    #[error(
        "a policy sends this request to the upstream `{0}`, which is not configured: see the upstreams in luthien.yaml"
    )]
    NoSuchUpstream(String),
    /// An upstream that is none of the caller's has no key of its own.
    #[error(
        "this request goes to the upstream `{0}`, where a caller's own key never goes, and the gateway has no key for it: its operator can set `upstreams.{0}.api_key` in luthien.yaml, or `upstreams.{0}.auth: none` if it asks for no key"
    )]
    NoOwnKey(String),
    /// The gateway's own key would be used for a caller who did not bring the gateway key.
    #[error(
        "this request goes to the upstream `{0}` with the gateway's own key, which is for callers who bring the gateway key: send that as `x-api-key` or as `Authorization: Bearer`"
    )]
    NotForCaller(String),
    /// A server-side thread for an upstream of another dialect.
    #[error("server-side threads are not available for this model here: send the whole conversation in `messages`")]
    NoThreads,
    /// The upstream could not be reached.
    #[error(
        "cannot reach the upstream `{upstream}` at {host}: {why}. Check its base URL, the network and the proxy settings"
    )]
    Unreachable {
        /// Its name.
        upstream: String,
        /// Its host and port.
        host: String,
        /// What failed.
        why: String,
    },
    /// Connecting took too long.
    #[error(
        "the upstream `{upstream}` at {host} did not accept a connection within {after:?}. Check its base URL, the network and the proxy settings"
    )]
    ConnectTimeout {
        /// Its name.
        upstream: String,
        /// Its host and port.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The upstream went silent before its answer's head, or within an answer that is not streamed.
    #[error("the upstream `{upstream}` sent nothing for {after:?}")]
    UpstreamTimeout {
        /// Its name.
        upstream: String,
        /// The limit.
        after: Duration,
    },
    /// The upstream closed or garbled the connection before its answer was whole.
    #[error("the upstream `{upstream}` broke off before its answer was whole: {why}")]
    UpstreamBroken {
        /// Its name.
        upstream: String,
        /// What failed.
        why: String,
    },
    /// The answer is over the limit.
    #[error("the answer of the upstream `{upstream}` has more than {limit} bytes (MAX_RESPONSE_BYTES)")]
    AnswerTooLarge {
        /// Its name.
        upstream: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The record is required and cannot be kept.
    #[error("the gateway cannot record this request and is set to refuse it then (RECORDING_REQUIRED)")]
    CannotRecord,
    /// The gateway is being stopped.
    #[error("the gateway is shutting down")]
    ShuttingDown,
    /// The operator has stopped traffic.
    #[error("{0}")]
    Halted(String),
    /// The operator has stopped it while it was under way.
    #[error("{0}")]
    HaltedUnderway(String),
    /// A policy that should be in force did not load.
    #[error(
        "the policy `{0}` was rejected when it was loaded, so this gateway passes no traffic that it should check: its operator can see why in the log and in GET /api/admin/policy/current"
    )]
    PolicyRejected(String),
    /// The request asks for a policy that it does not get.
    #[error("`x-luthien-use-policy`: {0}")]
    BadWish(String),
}

impl GatewayError {
    /// Who has to do something.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::NoCredential
            | Self::BadCredential(_)
            | Self::TooMany { .. }
            | Self::TooManyTokens { .. }
            | Self::CapReached(_)
            | Self::CapForbids(_)
            | Self::BadRequest(_)
            | Self::Unconvertible { .. }
            | Self::NoUpstream(_)
            | Self::TooLarge(_)
            | Self::UnknownEncoding(_)
            | Self::SlowBody(_)
            | Self::BodyBroken
            | Self::NotFound(_)
            | Self::NoWebSocket
            | Self::NoThreads
            | Self::NotForCaller(_)
            | Self::UnderReview
            | Self::BadMethod(_) => Fault::Client,
            Self::NoServerKey(_)
            | Self::NoCredentialFor { .. }
            | Self::NoOwnKey(_)
            | Self::PathNotAllowed(_)
            | Self::NoSuchUpstream(_)
            | Self::CannotRecord
            | Self::TooManyStreams(_)
            | Self::ShuttingDown
            | Self::PolicyRejected(_) => Fault::Gateway,
            Self::PolicyBlocked(_)
            | Self::PolicyRefused(_)
            | Self::Halted(_)
            | Self::HaltedUnderway(_)
            | Self::BadWish(_) => Fault::Policy,
            Self::Unreachable { .. }
            | Self::ConnectTimeout { .. }
            | Self::UpstreamTimeout { .. }
            | Self::UpstreamBroken { .. }
            | Self::AnswerTooLarge { .. } => Fault::Upstream,
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::PolicyRefused(refusal) => match refusal.kind {
                RefusalKind::Unauthenticated => StatusCode::UNAUTHORIZED,
                RefusalKind::Forbidden => StatusCode::FORBIDDEN,
                RefusalKind::Invalid => StatusCode::BAD_REQUEST,
            },
            Self::NoCredential | Self::BadCredential(_) | Self::NoServerKey(_) => StatusCode::UNAUTHORIZED,
            Self::TooMany { .. } | Self::TooManyTokens { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::CapReached(reached) if reached.passes() => StatusCode::TOO_MANY_REQUESTS,
            Self::BadRequest(_)
            | Self::Unconvertible { .. }
            | Self::NoThreads
            | Self::BodyBroken
            | Self::PolicyBlocked(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SlowBody(_) => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound(_) | Self::NoUpstream(_) => StatusCode::NOT_FOUND,
            Self::BadMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnderReview => StatusCode::CONFLICT,
            Self::NoWebSocket => StatusCode::UPGRADE_REQUIRED,
            // Not 500, which some agents try many times over: nothing changes until somebody sets a key.
            Self::PathNotAllowed(_)
            | Self::NotForCaller(_)
            | Self::NoOwnKey(_)
            | Self::NoCredentialFor { .. }
            | Self::NoSuchUpstream(_)
            | Self::CapReached(_)
            | Self::CapForbids(_)
            | Self::BadWish(_) => StatusCode::FORBIDDEN,
            Self::Unreachable { .. } | Self::UpstreamBroken { .. } | Self::AnswerTooLarge { .. } => {
                StatusCode::BAD_GATEWAY
            }
            Self::ConnectTimeout { .. } | Self::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::CannotRecord
            | Self::TooManyStreams(_)
            | Self::ShuttingDown
            | Self::Halted(_)
            | Self::HaltedUnderway(_)
            | Self::PolicyRejected(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable type in the envelope.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::PolicyRefused(refusal) => match refusal.kind {
                RefusalKind::Unauthenticated => "authentication_error",
                RefusalKind::Forbidden => "permission_error",
                RefusalKind::Invalid => "invalid_request_error",
            },
            Self::NoCredential | Self::BadCredential(_) | Self::NoServerKey(_) => "authentication_error",
            Self::BadRequest(_)
            | Self::Unconvertible { .. }
            | Self::NoThreads
            | Self::BodyBroken
            | Self::UnknownEncoding(_)
            | Self::SlowBody(_)
            | Self::NoWebSocket
            | Self::BadMethod(_) => "invalid_request_error",
            Self::TooMany { .. } | Self::TooManyTokens { .. } => "rate_limit_error",
            Self::CapReached(reached) if reached.passes() => "rate_limit_error",
            Self::TooLarge(_) => "request_too_large",
            Self::NotFound(_) | Self::NoUpstream(_) => "not_found_error",
            Self::PathNotAllowed(_)
            | Self::NotForCaller(_)
            | Self::NoOwnKey(_)
            | Self::NoCredentialFor { .. }
            | Self::NoSuchUpstream(_)
            | Self::CapReached(_)
            | Self::CapForbids(_)
            | Self::BadWish(_) => "permission_error",
            Self::PolicyBlocked(_) => "policy_blocked",
            Self::PolicyRejected(_) => "policy_rejected",
            Self::Halted(_) | Self::HaltedUnderway(_) => "operator_stop",
            Self::UnderReview => "conflict_error",
            Self::ConnectTimeout { .. } | Self::UpstreamTimeout { .. } => "timeout_error",
            Self::CannotRecord | Self::ShuttingDown | Self::TooManyStreams(_) => "overloaded_error",
            Self::Unreachable { .. } | Self::UpstreamBroken { .. } | Self::AnswerTooLarge { .. } => "api_error",
        }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn retry_can_help(&self) -> bool {
        if let Self::CapReached(reached) = self {
            return reached.passes_soon();
        }
        matches!(
            self,
            Self::SlowBody(_)
                | Self::TooMany { .. }
                | Self::TooManyTokens { .. }
                | Self::TooManyStreams(_)
                | Self::BodyBroken
                | Self::UnderReview
                | Self::Unreachable { .. }
                | Self::ConnectTimeout { .. }
                | Self::UpstreamTimeout { .. }
                | Self::UpstreamBroken { .. }
                | Self::CannotRecord
                | Self::ShuttingDown
        )
    }

    /// How many seconds to wait before another try, where that is known and no header says it yet.
    pub(crate) fn wait(&self) -> Option<u64> {
        match self {
            Self::CapReached(reached) => reached.wait(),
            Self::TooManyStreams(_) => Some(1),
            _ => None,
        }
    }

    /// How the record calls a transaction that ends so.
    pub(crate) fn record_status(&self) -> Status {
        match (self, self.fault()) {
            (Self::ShuttingDown | Self::HaltedUnderway(_), _) => Status::Interrupted,
            (Self::PolicyBlocked(_) | Self::PolicyRefused(_), _) => Status::Completed,
            (_, Fault::Upstream) => Status::UpstreamError,
            _ => Status::Refused,
        }
    }

    /// The body in the caller's dialect. `id` is the transaction's.
    pub(crate) fn body(&self, dialect: Dialect, id: &str) -> Bytes {
        let body = dialect.error_body(self.kind(), &self.to_string(), id);
        let (name, value) = match self {
            // OpenAI's clients know by it that waiting helps.
            error if dialect != Dialect::Messages && error.status() == StatusCode::TOO_MANY_REQUESTS => {
                ("code", json!("rate_limit_exceeded"))
            }
            Self::CapReached(_) if dialect != Dialect::Messages => ("code", json!("insufficient_quota")),
            Self::NoThreads => ("details", json!({"error_code": "thread_unsupported_request"})),
            // Anthropic's envelope has no place for the field.
            Self::Unconvertible { param: Some(param), .. } if dialect != Dialect::Messages => ("param", json!(param)),
            _ => return body.into(),
        };
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
            error.insert(name.to_owned(), value);
        }
        body.to_string().into()
    }
}

#[cfg(test)]
mod tests;
