//! The layers before the admin routes: who calls, and the note of what they do.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminState;
use super::error::ApiError;
use super::who::Who;
use crate::admin_access::{self, Refused};
use crate::audit::Deed;

/// Finds out who calls, for the layers and routes behind; who brings no credential, or a wrong one, is refused here.
pub(super) async fn identify(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    match state.admin_access.identify(&head) {
        Ok(who) => {
            head.extensions.insert(who);
            next.run(Request::from_parts(head, body)).await
        }
        Err(refused) => {
            let response = ApiError::from(refused).into_response();
            if refused != Refused::Nothing {
                let route = head.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
                let deed = Deed { method: &head.method, route, target: head.uri.path(), status: response.status() };
                state.audit.refused(&deed, admin_access::peer(&head));
            }
            response
        }
    }
}

/// Notes what is done, by whom, and how it went; reading is not noted.
pub(super) async fn note(State(state): State<AdminState>, who: Who, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let (method, target) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let deed = Deed { method: &method, route, target: &target, status: response.status() };
    state.audit.done(&who, &deed);
    response
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Nothing => Self::Unauthorized,
            Refused::Wrong => Self::Forbidden,
            Refused::TooMany(wait) => Self::TooManyGuesses(seconds(wait)),
            Refused::CrossSite => Self::CrossSite,
        }
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
