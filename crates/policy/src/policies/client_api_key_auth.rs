//! `client_api_key_auth`: only callers who bring a key of the gateway's are served.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::request::Request;

use crate::catalogue::{LoadError, Loading, NoConfig};
use crate::contract::{
    Policy, PolicyError, Refusal, RefusalKind, RequestAction, RequestAnswer, Review, ReviewContext, Watch,
};
use crate::tree::Tree;

#[derive(Debug)]
struct ClientApiKeyAuth;

struct Checking {
    gateway_key: bool,
}

impl Policy for ClientApiKeyAuth {
    fn name(&self) -> &'static str {
        "client_api_key_auth"
    }

    fn watches(&self) -> Watch {
        Watch { request: true, ..Watch::default() }
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Checking { gateway_key: context.gateway_key })
    }
}

impl Review for Checking {
    fn request<'a>(&'a self, _request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async {
            if self.gateway_key {
                return Ok(RequestAnswer::default());
            }
            let message =
                "a policy asks for a key of this gateway: send it as `x-api-key` or as `Authorization: Bearer`";
            let refusal = Refusal { kind: RefusalKind::Unauthenticated, message: message.to_owned() };
            let reason = Some("the caller brought no key of the gateway's".to_owned());
            Ok(RequestAnswer { action: RequestAction::Refuse(refusal), reason, ..RequestAnswer::default() })
        })
    }
}

/// Takes no settings.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let NoConfig {} = loading.read()?;
    Ok(Tree::of(ClientApiKeyAuth))
}
