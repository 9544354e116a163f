//! Which policies a request runs under: chosen once, when it is known who asks for what.

use std::sync::Arc;

use super::{Asked, Core};
use crate::config::DEFAULT_ALLOWED_PATHS;
use crate::errors::GatewayError;
use crate::headers::USE_POLICY;
use crate::live::{InForce, Live};
use crate::models;
use crate::routes::{Kind, Route};
use crate::scopes::Asker;
use crate::session::session_id;
use crate::stored;

/// What this request runs under, by who asks, in which session, and what it asks for; chosen once.
pub(super) fn choose(core: &Core, live: &Live, route: &Route, asked: &Asked) -> Result<Arc<InForce>, GatewayError> {
    let headers = &asked.head.headers;
    if is_unreviewed(core, route, asked) {
        return live.unreviewed();
    }
    let session = match (&route.kind, &asked.request) {
        (_, Some(request)) => session_id(headers, request),
        (Kind::Stored(_), None) => session_id(headers, &stored::request()?),
        (_, None) => None,
    };
    let mut wishes = headers.get_all(USE_POLICY).iter();
    let wish = match (wishes.next(), wishes.next()) {
        (None, _) => None,
        (Some(wish), None) => Some(wish.to_str().map_err(|_| not_a_name())?.trim()),
        (Some(_), Some(_)) => return Err(not_a_name()),
    };
    let asker = Asker { key: Some(asked.caller.identity), session: session.as_deref(), wish };
    let in_force = live.choose(&asker, core.clock.now())?;
    if route.kind == Kind::Side
        && !models::is_list(&route.path)
        && !DEFAULT_ALLOWED_PATHS.contains(&asked.head.uri.path())
    {
        live.panic.refusal_of_unseen(asked.head.uri.path()).map_or(Ok(in_force), Err)
    } else {
        Ok(in_force)
    }
}

/// A policy server's own question to a model: reviewing it would ask the policy again.
pub(super) fn is_unreviewed(core: &Core, route: &Route, asked: &Asked) -> bool {
    matches!(route.kind, Kind::Turn | Kind::CountTokens) && core.judge.is_policys_own(&asked.head.headers)
}

fn not_a_name() -> GatewayError {
    GatewayError::BadWish("give one name, once".to_owned())
}
