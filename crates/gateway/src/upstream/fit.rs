//! Makes a client's request fit one upstream: the model's name as it is known there, and the dialect that is spoken there.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::convert::{self, AnswerContext};
use luthien_wire::request::Request;

use super::choice::Target;
use crate::errors::GatewayError;
use crate::routes::{Kind, Route};

/// A request as one upstream takes it.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// The dialect that it is in.
    pub(crate) dialect: Dialect,
    /// Where it goes, as it stands after `/v1`.
    pub(crate) path: String,
    /// Its body, decoded; `None` where that is the client's as it came.
    pub(crate) body: Option<Bytes>,
    /// What the answer has to be converted by.
    pub(crate) conversion: Option<Conversion>,
}

/// Between the client's dialect and the upstream's.
#[derive(Debug)]
pub(crate) struct Conversion {
    pub(crate) answer: AnswerContext,
    /// What the request lost on the way.
    pub(crate) dropped: Vec<String>,
}

/// The request for this upstream. `changed` says that policies have changed it; `id` is the transaction's, without dashes.
pub(crate) fn fit(
    target: &Target<'_>,
    route: &Route,
    request: Option<&Request>,
    changed: bool,
    id: &str,
) -> Result<Fitted, GatewayError> {
    let Some(request) = request else {
        return Ok(Fitted { dialect: route.dialect, path: route.path.clone(), body: None, conversion: None });
    };
    if target.upstream.dialects.contains(&route.dialect) {
        let body = match &target.model {
            Some(model) => Some(request.with_model(model).body().clone()),
            None => changed.then(|| request.body().clone()),
        };
        return Ok(Fitted { dialect: route.dialect, path: route.path.clone(), body, conversion: None });
    }
    convertible(route, request)?;
    let mut refused = None;
    for dialect in target.upstream.asked_in(route.dialect) {
        match converted(target, route, request, dialect, id) {
            Ok(fitted) => return Ok(fitted),
            // What the best dialect cannot say another may.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or(GatewayError::NoUpstream(route.dialect)))
}

/// Refuses what no conversion can carry over.
fn convertible(route: &Route, request: &Request) -> Result<(), GatewayError> {
    if route.kind == Kind::Compact {
        let message = format!(
            "`{}` is served by an upstream that cannot compact conversations: compact this one in the client",
            request.model()
        );
        return Err(GatewayError::NotFound(message));
    }
    if route.dialect == Dialect::Messages && request.raw("thread").is_some_and(|thread| thread != "null") {
        return Err(GatewayError::NoThreads);
    }
    Ok(())
}

fn converted(
    target: &Target<'_>,
    route: &Route,
    request: &Request,
    dialect: Dialect,
    id: &str,
) -> Result<Fitted, GatewayError> {
    let model = target.model.as_deref().unwrap_or(request.model());
    let counts = route.kind == Kind::CountTokens;
    let path = match (dialect, counts) {
        (Dialect::Messages, true) => "/messages/count_tokens",
        (Dialect::Responses, true) => "/responses/input_tokens",
        (Dialect::Chat, true) => {
            // Clients that are told so count in another way.
            let message = format!("`{}` is served by an upstream that cannot count tokens", request.model());
            return Err(GatewayError::NotFound(message));
        }
        (_, false) => dialect.path(),
    };
    let converted =
        if counts { convert::count(request, dialect, model) } else { convert::request(request, dialect, model) };
    let converted = converted.map_err(|refused| GatewayError::BadRequest(refused.message))?;
    let answer = AnswerContext { id: id.to_owned(), ..converted.answer };
    let conversion = Conversion { answer, dropped: converted.dropped };
    Ok(Fitted { dialect, path: path.to_owned(), body: Some(converted.body), conversion: Some(conversion) })
}
