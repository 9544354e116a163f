//! The OpenAPI document: made of the routes and their types, so that it cannot say anything else than they do.

use axum::middleware;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::AdminState;
use super::error::ErrorBody;
use super::who::{Role, at_least};

mod finish;
mod traffic;

pub(super) use finish::finish;

/// The document without its routes.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Luthien")
        .description(Some(
            "Routes of a Luthien gateway. Those under `/api` ask for a credential, as `Authorization: Bearer` or `x-api-key`, and for the \
             role that `x-luthien-role` names; each role may what the ones before it may: `viewer`, `approver`, `admin`. The older paths \
             under `/admin` are answered with a redirect (308) to `/api/admin`. Answers may get more members; ignore those that you do not \
             know. Where a member has nothing to say it is null.",
        ))
        .version(env!("CARGO_PKG_VERSION"));
    let mut components = Components::new();
    components
        .add_security_scheme("bearer", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()));
    components.add_security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key"))));
    let session = ApiKeyValue::new(crate::admin_access::browser::COOKIE);
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let mut schemas = vec![(ErrorBody::name().into_owned(), ErrorBody::schema())];
    ErrorBody::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let mut document = OpenApiBuilder::new().info(info.build()).components(Some(components)).build();
    document.merge(traffic::document());
    document
}

/// The routes of a role: who has less gets 403, which the document says, with the answers that any of them may give.
pub(super) fn of_role(mut routes: OpenApiRouter<AdminState>, role: Role) -> OpenApiRouter<AdminState> {
    describe_all(&mut routes, role);
    routes.route_layer(middleware::from_fn_with_state(role, at_least))
}

fn describe_all(routes: &mut OpenApiRouter<AdminState>, role: Role) {
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        for operation in operations(item) {
            describe(operation, role);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

fn describe(operation: &mut Operation, role: Role) {
    const USUAL: [(&str, &str); 7] = [
        ("400", "The request cannot be read."),
        ("401", "No credential came."),
        ("403", "The credential is not valid here, or its role is too low."),
        ("429", "Too many wrong keys were tried; `Retry-After` says how long to wait."),
        ("422", "Fields are wrong; each is named."),
        ("500", "The record cannot be read."),
        (
            "503",
            "The database does not answer now, or another change is under way; `retry-after` says when to try again.",
        ),
    ];
    let too_large = operation.request_body.is_some().then_some(("413", "The body is too large."));
    for (status, meaning) in USUAL.into_iter().chain(too_large) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name()))).build();
        let response = ResponseBuilder::new().description(meaning).content("application/json", content).build();
        operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
    }
    let none: [&str; 0] = [];
    operation.security =
        Some(["bearer", "key", "session"].map(|scheme| SecurityRequirement::new(scheme, none)).to_vec());
    let needs = ExtensionsBuilder::new().add("x-luthien-role", role.name()).build();
    operation.extensions.get_or_insert_default().merge(needs);
}
