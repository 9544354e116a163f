//! Logging in with a browser: the page, the form, login links, and logging out.

mod page;

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, FromRequest as _, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::Limited;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::auth::seconds;
use super::error::ApiError;
use super::who::Proof;
use super::{AdminState, Who};
use crate::admin_access::browser::{COOKIE, came_by_https, local_target, same_origin};
use crate::admin_access::{AccessError, Holder, Refused, SESSION, peer};
use crate::audit::Deed;

pub(super) use page::style;

/// The longest key or token that is looked at, in bytes.
const LONGEST: usize = 4096;

/// The largest form, in bytes.
const FORM_MAX: usize = 16 * 1024;

/// How long a form may take to come.
const FORM_WITHIN: Duration = Duration::from_secs(10);

const NO_REFERRER: (HeaderName, HeaderValue) = (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

type Pairs = Vec<(String, String)>;

fn value<'p>(pairs: &'p Pairs, name: &str) -> &'p str {
    pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

/// `GET /login`: the page; with a link's token, which is used up, the session.
pub(super) async fn login(
    State(state): State<AdminState>,
    pairs: Result<Query<Pairs>, QueryRejection>,
    request: Request,
) -> Response {
    let (head, _) = request.into_parts();
    let Query(pairs) = pairs.unwrap_or_else(|_| Query(Pairs::new()));
    let next = local_target(value(&pairs, "next"));
    let token = value(&pairs, "token");
    // Who only looks ahead does not use the link up.
    let looks_ahead = ["sec-purpose", "purpose"].iter().any(|name| head.headers.contains_key(*name));
    if token.is_empty() || head.method != Method::GET || looks_ahead {
        let who = state.admin_access.session(&head.headers);
        return page::answer(StatusCode::OK, next, None, who.as_ref());
    }
    let deed = |status| Deed { method: &head.method, route: "/login", target: "/login", status };
    let (status, why) = match state.admin_access.use_link(token.as_bytes()).await {
        Ok(Some(holder)) => match state.admin_access.begin(&holder).await {
            Ok(session) => {
                state.audit.done(&holder.who(Proof::Link), &deed(StatusCode::SEE_OTHER));
                return entered(&session, next, &head.headers);
            }
            Err(error) => failed(&error),
        },
        Ok(None) => {
            state.audit.refused(&deed(StatusCode::FORBIDDEN), peer(&head));
            let why = "This link has been used already, or is too old. `luthien login` prints a new one.";
            (StatusCode::FORBIDDEN, why)
        }
        Err(error) => failed(&error),
    };
    page::answer(status, next, Some(why), None)
}

/// `POST /auth/login`: `password`, which is the admin key or a person's token, and `next_url`.
pub(super) async fn enter(State(state): State<AdminState>, request: Request) -> Response {
    let (head, form) = match read(request).await {
        Ok(read) => read,
        Err(status) => return page::answer(status, "/", Some("The form could not be read."), None),
    };
    let next = local_target(value(&form, "next_url"));
    let password = value(&form, "password").trim();
    let (status, why) = match judge(&state, &head, password) {
        Ok(holder) => match state.admin_access.begin(&holder).await {
            Ok(session) => {
                state.audit.done(&holder.who(Proof::of_credential(&holder)), &of_form(StatusCode::SEE_OTHER));
                return entered(&session, next, &head.headers);
            }
            Err(error) => failed(&error),
        },
        Err(refused) => {
            let (status, why) = match refused {
                Refused::Nothing => (StatusCode::UNAUTHORIZED, "Enter a key."),
                Refused::Wrong => (StatusCode::FORBIDDEN, "This key does not let you in."),
                Refused::TooMany(_) => {
                    (StatusCode::TOO_MANY_REQUESTS, "Too many wrong keys were tried. Wait a little, then try again.")
                }
                Refused::CrossSite => (StatusCode::FORBIDDEN, "The form came from another site. Log in here."),
            };
            state.audit.refused(&of_form(status), peer(&head));
            let mut response = page::answer(status, next, Some(why), None);
            if let Refused::TooMany(wait) = refused {
                response.headers_mut().insert(header::RETRY_AFTER, seconds(wait).into());
            }
            return response;
        }
    };
    page::answer(status, next, Some(why), None)
}

fn of_form(status: StatusCode) -> Deed<'static> {
    Deed { method: &Method::POST, route: "/auth/login", target: "/auth/login", status }
}

/// Whose key it is. A form of another site's page would log its visitor in as somebody else.
fn judge(state: &AdminState, head: &Parts, password: &str) -> Result<Holder, Refused> {
    if !same_origin(&head.headers, &head.uri) {
        return Err(Refused::CrossSite);
    }
    if password.is_empty() {
        return Err(Refused::Nothing);
    }
    if password.len() > LONGEST {
        return Err(Refused::Wrong);
    }
    state.admin_access.holder(password.as_bytes(), peer(head))?.ok_or(Refused::Wrong)
}

/// The form, which anybody may send: little of it is read, and not for long.
async fn read(request: Request) -> Result<(Parts, Pairs), StatusCode> {
    let (head, body) = request.into_parts();
    let body = axum::body::Body::new(Limited::new(body, FORM_MAX));
    let again = Request::from_parts(head.clone(), body);
    let form: Result<_, FormRejection> = match timeout(FORM_WITHIN, Form::<Pairs>::from_request(again, &())).await {
        Ok(form) => form,
        Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
    };
    form.map(|Form(pairs)| (head, pairs)).map_err(|rejection| rejection.status())
}

/// Leads on, with the cookie.
fn entered(session: &SecretString, next: &str, headers: &HeaderMap) -> Response {
    leading(next, &cookie(session.expose_secret(), SESSION.as_secs(), headers))
}

fn leading(to: &str, cookie: &str) -> Response {
    let (Ok(to), Ok(mut cookie)) = (HeaderValue::from_str(to), HeaderValue::from_str(cookie)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    cookie.set_sensitive(true);
    let headers = [
        (header::LOCATION, to),
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        NO_REFERRER,
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn cookie(value: &str, lasts: u64, headers: &HeaderMap) -> String {
    let secure = if came_by_https(headers) { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Lax{secure}")
}

fn failed(error: &AccessError) -> (StatusCode, &'static str) {
    tracing::error!(%error, "a login could not be kept");
    (StatusCode::SERVICE_UNAVAILABLE, "The gateway cannot keep the login now: its database does not answer. Try again.")
}

/// `POST /auth/logout`: ends the session.
pub(super) async fn leave(State(state): State<AdminState>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let Some(who) = state.admin_access.session(&head.headers) else {
        return leading("/login", &cookie("", 0, &head.headers));
    };
    if !same_origin(&head.headers, &head.uri) {
        return ApiError::CrossSite.into_response();
    }
    let ended = match who.session() {
        Some(session) => state.admin_access.end(session).await,
        None => Ok(()),
    };
    let response = match &ended {
        Ok(()) => leading("/login", &cookie("", 0, &head.headers)),
        Err(error) => {
            let (status, _) = failed(error);
            page::answer(status, "/", Some("You are still logged in: the database does not answer. Try again."), None)
        }
    };
    let status = response.status();
    state.audit.done(&who, &Deed { method: &head.method, route: "/auth/logout", target: "/auth/logout", status });
    response
}

/// A link that logs a browser in.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginLink {
    /// The path to open on this gateway, with its secret token. It is good once.
    path: String,
    /// From when on it is not good any more.
    expires_at: Timestamp,
}

/// Makes a link that logs a browser in as whoever makes this call, once and within ten minutes.
#[utoipa::path(post, path = "/api/admin/login-links", tag = "access", responses((status = 201, body = LoginLink)))]
pub(super) async fn link(State(state): State<AdminState>, who: Who) -> Result<(StatusCode, Json<LoginLink>), ApiError> {
    let holder = state.admin_access.holder_of(&who).ok_or(ApiError::Forbidden)?;
    let (token, expires_at) = state.admin_access.link(&holder).await?;
    let path = format!("/login?token={}", token.expose_secret());
    Ok((StatusCode::CREATED, Json(LoginLink { path, expires_at })))
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(error) => Self::Record(error),
            error @ AccessError::NoRandomness => Self::Busy(error.to_string()),
        }
    }
}
