//! Judges are asked over the upstream client: one question, one HTTP request.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use luthien_policy::judge::{JudgeAnswer, JudgeClient, JudgeError, JudgeRequest, JudgeRoute};
use luthien_wire::Dialect;
use secrecy::ExposeSecret;
use serde_json::Value;
use subtle::ConstantTimeEq;
use tokio_util::task::TaskTracker;

use crate::body::SourceError;
use crate::body::watchdog::Watchdog;
use crate::client_keys::ClientKeys;
use crate::config::{GatewayConfig, JudgeConfig};
use crate::credentials::{Forward, Keys, put};
use crate::errors::GatewayError;
use crate::headers::{API_KEY, UNREVIEWED};
use crate::panic_switch::Interrupt;
use crate::server_credentials::ServerCredentials;
use crate::server_credentials::providers::{Backend, Provider};
use crate::upstream::execute::execute;
use crate::upstream::{Upstream, UpstreamError, Upstreams};
use crate::way::Core;

mod form;

/// What Anthropic wants to see beside a subscription's token, and where.
const SUBSCRIPTION: &str = "oauth-2025-04-20";
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The largest answer of a judge, in bytes.
const LARGEST: usize = 4 << 20;

/// The way to judges for one caller. Holds that caller's credential.
pub(crate) struct Judges {
    upstreams: Arc<Upstreams>,
    keys: Arc<Keys>,
    config: Arc<JudgeConfig>,
    dialect: Dialect,
    /// What a request with the caller's credential carries.
    caller: Result<HeaderMap, GatewayError>,
    /// Counts each question, where they are capped.
    counted: Option<Counted>,
}

/// Counts questions; the error says why one may not be asked.
pub(crate) struct Counted(Box<dyn Fn() -> Result<(), String> + Send + Sync>);

impl Counted {
    /// Counts by this.
    pub(crate) fn new(count: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Box::new(count))
    }
}

/// Where one question goes and what it carries.
struct Seat {
    upstream: Upstream,
    dialect: Dialect,
    headers: HeaderMap,
    /// What the judge is called there, where a rule has another name for it.
    model: Option<String>,
}

impl JudgeConfig {
    /// Whether a request with these headers is a policy's own question: reviewing it would ask the policy again.
    pub(crate) fn is_policys_own(&self, headers: &HeaderMap) -> bool {
        let (Some(token), Some(brought)) = (&self.token, headers.get(UNREVIEWED)) else { return false };
        token.expose_secret().as_bytes().ct_eq(brought.as_bytes()).into()
    }
}

impl fmt::Debug for Judges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judges").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

/// The way to judges where there is no caller: with the upstreams' own keys. Connects to nothing yet; `tasks` owns what its
/// connections need. Questions that would be asked with the caller's credential go like a Messages caller's.
pub fn without_caller(
    config: &GatewayConfig,
    credentials: ServerCredentials,
    tasks: &TaskTracker,
) -> Result<Arc<dyn JudgeClient>, UpstreamError> {
    let upstreams = Arc::new(Upstreams::with(config, credentials, tasks)?);
    let (keys, judge) = (Arc::new(Keys::new(config, ClientKeys::default())), Arc::new(config.judge.clone()));
    let dialect = Dialect::Messages;
    Ok(Arc::new(Judges::with(upstreams, keys, judge, dialect, HeaderMap::new(), &Forward::ServerKey)))
}

impl Judges {
    /// For a caller who came with these headers.
    pub(crate) fn new(core: &Core, dialect: Dialect, brought: &HeaderMap, forward: &Forward) -> Self {
        const KEPT: [HeaderName; 4] = [
            API_KEY,
            AUTHORIZATION,
            HeaderName::from_static("anthropic-version"),
            HeaderName::from_static("anthropic-beta"),
        ];
        let mut headers = HeaderMap::new();
        for name in KEPT {
            for value in brought.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let (upstreams, keys, config) = (Arc::clone(&core.upstreams), Arc::clone(&core.keys), Arc::clone(&core.judge));
        Self::with(upstreams, keys, config, dialect, headers, forward)
    }

    fn with(
        upstreams: Arc<Upstreams>,
        keys: Arc<Keys>,
        config: Arc<JudgeConfig>,
        dialect: Dialect,
        mut headers: HeaderMap,
        forward: &Forward,
    ) -> Self {
        let caller = match upstreams.default_for(dialect) {
            None => Err(GatewayError::NoUpstream(dialect)),
            Some(upstream) => keys.apply(&mut headers, forward, dialect, upstream).map(|()| headers),
        };
        Self { upstreams, keys, config, dialect, caller, counted: None }
    }

    /// With each question counted.
    pub(crate) fn counted(self, counted: Option<Counted>) -> Self {
        Self { counted, ..self }
    }

    /// Where the judge sits. The caller's credential goes to the caller's own upstream only.
    fn seat(&self, model: &str, usual_model: bool, route: &JudgeRoute) -> Result<Seat, JudgeError> {
        let upstreams = &self.upstreams;
        if let Some(base) = &self.config.api_base {
            return self.seat_at(base, model);
        }
        match route {
            JudgeRoute::UserCredentials => {
                // Like the agent's own model, so rules for models hold for judges too.
                let nowhere = || refused(&GatewayError::NoUpstream(self.dialect));
                let target = upstreams.targets(self.dialect, Some(model)).into_iter().next().ok_or_else(nowhere)?;
                let dialect = spoken(target.upstream, self.dialect).ok_or_else(nowhere)?;
                let headers = if let Some(headers) = self.judges_key(target.upstream, dialect)? {
                    headers
                } else if target.callers {
                    self.caller.clone().map_err(|error| refused(&error))?
                } else {
                    self.servers_key(target.upstream, dialect)?
                };
                Ok(Seat { upstream: target.upstream.clone(), dialect, headers, model: target.model })
            }
            JudgeRoute::Provider(name) => {
                if let Some(provider) = upstreams.credentials.provider(name) {
                    let provider = provider.map_err(|why| {
                        JudgeError::Refused(format!("the inference provider `{name}` cannot be used: {why}"))
                    })?;
                    return self.seat_of(&provider, usual_model);
                }
                let unknown = || {
                    JudgeError::Refused(format!(
                        "there is no inference provider and no upstream `{name}`: see `luthien providers list`, and the upstreams in luthien.yaml"
                    ))
                };
                let upstream = upstreams.named(name).ok_or_else(unknown)?;
                let dialect = spoken(upstream, self.dialect).ok_or_else(unknown)?;
                let headers = match self.judges_key(upstream, dialect)? {
                    Some(headers) => headers,
                    None => self.servers_key(upstream, dialect)?,
                };
                Ok(Seat { upstream: upstream.clone(), dialect, headers, model: None })
            }
            JudgeRoute::ApiBase(base) => self.seat_at(base, model),
        }
    }

    /// At an inference provider, with its credential alone.
    fn seat_of(&self, provider: &Provider, usual_model: bool) -> Result<Seat, JudgeError> {
        let refused = |why: String| {
            JudgeError::Refused(format!("the inference provider `{}` cannot be used: {why}", provider.name))
        };
        let credential = provider.credential.as_deref().map(|name| self.upstreams.credentials.find(name));
        let credential = credential.transpose().map_err(|why| refused(why.to_string()))?;
        let (dialect, base) =
            provider.place(credential.as_deref()).map_err(|(field, why)| refused(format!("its `{field}` {why}")))?;
        let upstream = self.upstreams.at(&base, dialect).map_err(|error| refused(error.to_string()))?;
        let upstream = Upstream { name: provider.name.clone(), ..upstream };
        let mut headers = HeaderMap::new();
        if let Some(credential) = &credential {
            credential.put(&mut headers, dialect, &upstream.base).map_err(|why| refused(why.to_string()))?;
        }
        if provider.backend == Backend::ClaudeCode {
            headers.insert(BETA, HeaderValue::from_static(SUBSCRIPTION));
        }
        Ok(Seat { upstream, dialect, headers, model: provider.model.clone().filter(|_| usual_model) })
    }

    fn seat_at(&self, base: &str, model: &str) -> Result<Seat, JudgeError> {
        let dialect = if model.starts_with("claude") { Dialect::Messages } else { Dialect::Chat };
        let upstream = self.upstreams.at(base, dialect).map_err(|error| JudgeError::Refused(error.to_string()))?;
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.config.api_key {
            put(&mut headers, dialect, key.expose_secret().as_bytes()).map_err(|error| refused(&error))?;
        }
        Ok(Seat { upstream, dialect, headers, model: None })
    }

    /// What a request with the key for judges carries. It is for the default upstreams, and for the place that settings or a
    /// policy name for judges, and not for others that a rule or a policy leads to.
    fn judges_key(&self, upstream: &Upstream, dialect: Dialect) -> Result<Option<HeaderMap>, JudgeError> {
        let Some(key) = &self.config.api_key else { return Ok(None) };
        let default = self.upstreams.default_for(dialect).is_some_and(|default| default.name == upstream.name);
        if !default || upstream.keyless {
            return Ok(None);
        }
        let mut headers = HeaderMap::new();
        put(&mut headers, dialect, key.expose_secret().as_bytes()).map_err(|error| refused(&error))?;
        Ok(Some(headers))
    }

    /// What a request with the upstream's own key carries.
    fn servers_key(&self, upstream: &Upstream, dialect: Dialect) -> Result<HeaderMap, JudgeError> {
        let mut headers = HeaderMap::new();
        let applied = self.keys.apply(&mut headers, &Forward::ServerKey, dialect, upstream);
        applied.map(|()| headers).map_err(|error| refused(&error))
    }

    async fn answer(&self, question: JudgeRequest) -> Result<JudgeAnswer, JudgeError> {
        let model = self.config.model.clone().unwrap_or_else(|| question.model.clone());
        let model = ["anthropic/", "openai/"].iter().find_map(|vendor| model.strip_prefix(vendor)).unwrap_or(&model);
        let usual = question.usual_model && self.config.model.is_none();
        let seat = self.seat(model, usual, &question.via)?;
        if let Some(Counted(count)) = &self.counted {
            count().map_err(JudgeError::Refused)?;
        }
        let model = seat.model.as_deref().unwrap_or(model);
        let mut body = form::question(seat.dialect, model, &question);
        loop {
            let (status, answer) = send(&seat, &body).await?;
            if status == 400 && form::adapt(&mut body, &answer) {
                continue;
            }
            let mut answer = read(seat.dialect, status, &answer)?;
            answer.model.clone_from(&seat.model);
            return Ok(answer);
        }
    }
}

impl JudgeClient for Judges {
    fn version(&self) -> u64 {
        self.upstreams.credentials.number()
    }

    fn ask(&self, request: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        Box::pin(self.answer(request))
    }
}

/// The dialect in which an upstream is asked: the caller's, where it speaks that.
fn spoken(upstream: &Upstream, callers: Dialect) -> Option<Dialect> {
    if upstream.dialects.contains(&callers) { Some(callers) } else { upstream.dialects.first().copied() }
}

async fn send(seat: &Seat, body: &Value) -> Result<(u16, Bytes), JudgeError> {
    let url = seat
        .upstream
        .base
        .url(seat.dialect, seat.dialect.path(), "")
        .map_err(|error| JudgeError::Refused(error.to_string()))?;
    let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url;
    let mut headers = seat.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if seat.dialect == Dialect::Messages {
        headers.entry("anthropic-version").or_insert(HeaderValue::from_static("2023-06-01"));
    }
    *request.headers_mut() = headers;
    let response = execute(&seat.upstream, request).await.map_err(|error| match error {
        GatewayError::UpstreamTimeout { after, .. } | GatewayError::ConnectTimeout { after, .. } => {
            JudgeError::TimedOut(after)
        }
        other => JudgeError::Unavailable(other.to_string()),
    })?;
    let status = response.status().as_u16();
    collect(&seat.upstream, response).await.map(|body| (status, body))
}

async fn collect(upstream: &Upstream, response: Response<Incoming>) -> Result<Bytes, JudgeError> {
    use http_body_util::{BodyExt, Limited};
    let body = Watchdog::new(response.into_body(), upstream.idle, &Interrupt::never());
    match Limited::new(body, LARGEST).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(match error.downcast_ref::<SourceError>() {
            Some(SourceError::Silent(after)) => JudgeError::TimedOut(*after),
            Some(other) => JudgeError::Unavailable(other.to_string()),
            None => JudgeError::Unavailable(format!("the judge's answer has more than {LARGEST} bytes")),
        }),
    }
}

/// The text of an answer, or what its status means.
fn read(dialect: Dialect, status: u16, body: &[u8]) -> Result<JudgeAnswer, JudgeError> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    if status != 200 {
        let why = value.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason given");
        let why = format!("status {status}: {}", why.chars().take(200).collect::<String>());
        return Err(if status == 429 {
            JudgeError::RateLimited(why)
        } else if status == 408 || status >= 500 {
            JudgeError::Unavailable(why)
        } else {
            JudgeError::Refused(why)
        });
    }
    let text = form::text(dialect, &value).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| JudgeError::Unavailable("the judge's answer holds no text".to_owned()))?;
    let (input_tokens, output_tokens) = form::usage(dialect, &value);
    Ok(JudgeAnswer { text, input_tokens, output_tokens, model: None })
}

fn refused(error: &GatewayError) -> JudgeError {
    JudgeError::Refused(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_unavailable_and_what_may_not_is_refused() {
        assert!(matches!(read(Dialect::Chat, 429, b""), Err(JudgeError::RateLimited(_))));
        for status in [408, 500, 529] {
            assert!(matches!(read(Dialect::Chat, status, b""), Err(JudgeError::Unavailable(_))), "{status}");
        }
        for status in [302, 400, 401, 403, 404] {
            assert!(matches!(read(Dialect::Chat, status, b""), Err(JudgeError::Refused(_))), "{status}");
        }
        assert!(matches!(read(Dialect::Chat, 200, b"<html>"), Err(JudgeError::Unavailable(_))));
        assert!(matches!(read(Dialect::Responses, 200, br#"{"output":[]}"#), Err(JudgeError::Unavailable(_))));
    }
}
