//! Makes a client's request fit one upstream: the model's name as it is known there, and the dialect that is spoken there.

use bytes::Bytes;
use luthien_record::model::TransactionId;
use luthien_wire::Dialect;
use luthien_wire::convert::{self, AnswerContext, Converted, Refused};
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
    /// What the request lost on the way.
    pub(crate) dropped: Vec<String>,
    /// What the conversion has put in.
    pub(crate) added: Vec<String>,
    /// What the answer has to be converted by, where it comes in another dialect than the client's.
    pub(crate) answer: Option<AnswerContext>,
}

impl Fitted {
    /// In the client's own dialect.
    fn same(route: &Route, body: Option<Bytes>, dropped: Vec<String>) -> Self {
        Self { dialect: route.dialect, path: route.path.clone(), body, dropped, added: Vec::new(), answer: None }
    }
}

/// The request for this upstream. `changed` says that policies have changed it; `id` is the transaction's.
pub(crate) fn fit(
    target: &Target<'_>,
    route: &Route,
    request: Option<&Request>,
    changed: bool,
    id: TransactionId,
) -> Result<Fitted, GatewayError> {
    let Some(request) = request else {
        return Ok(Fitted::same(route, None, Vec::new()));
    };
    if target.upstream.dialects.contains(&route.dialect) {
        let model = target.model.as_deref().unwrap_or(request.model());
        let unwanted = || target.shared && route.dialect == Dialect::Chat && convert::takes_no_reasoning(model);
        if convert::is_shared(request.body()) || unwanted() {
            // Others have served this conversation, or may have: what they gave is theirs.
            let own = convert::request(request, route.dialect, model).map_err(refused)?;
            return Ok(Fitted::same(route, Some(own.body), own.dropped));
        }
        let body = match &target.model {
            Some(model) => Some(request.with_model(model).body().clone()),
            None => changed.then(|| request.body().clone()),
        };
        return Ok(Fitted::same(route, body, Vec::new()));
    }
    convertible(route, request)?;
    let mut first_refusal = None;
    for dialect in target.upstream.asked_in(route.dialect) {
        match converted(target, route, request, dialect, id) {
            Ok(fitted) => return Ok(fitted),
            // What the best dialect cannot say another may.
            Err(error) => first_refusal = first_refusal.or(Some(error)),
        }
    }
    Err(first_refusal.unwrap_or(GatewayError::NoUpstream(route.dialect)))
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
    id: TransactionId,
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
    let Converted { body, dropped, added, answer } = converted.map_err(refused)?;
    let answer = AnswerContext { id: id.0.simple().to_string(), ..answer };
    Ok(Fitted { dialect, path: path.to_owned(), body: Some(body), dropped, added, answer: Some(answer) })
}

fn refused(refused: Refused) -> GatewayError {
    let Refused { message, param } = refused;
    GatewayError::Unconvertible { message, param }
}
