//! The routes for models, in short: their bodies are the vendors', and pass through.

use utoipa::OpenApi;

/// What the document says of them.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Traffic::openapi()
}

#[derive(OpenApi)]
#[openapi(paths(messages, count_tokens, chat, responses, input_tokens, models, model))]
struct Traffic;

#[expect(dead_code, reason = "for the document; the way of a request begins in routes.rs")]
#[utoipa::path(post, path = "/v1/messages", tag = "models", summary = "A turn in Anthropic's dialect (Messages).",
    description = "Bodies and errors are those of the vendor's API, streams included. Answers carry `x-luthien-transaction-id`, `x-call-id` and `x-luthien-policy`.",
    request_body = Value, responses((status = 200, body = Value), (status = "default", description = "An error in the dialect of the path.", body = Value)))]
fn messages() {}

#[expect(dead_code, reason = "for the document")]
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "models", summary = "Counts tokens, in Anthropic's dialect.", description = "Not a turn.",
    request_body = Value, responses((status = 200, body = Value), (status = "default", description = "An error in the dialect of the path.", body = Value)))]
fn count_tokens() {}

#[expect(dead_code, reason = "for the document")]
#[utoipa::path(post, path = "/v1/chat/completions", tag = "models", summary = "A turn in OpenAI's dialect (Chat Completions).",
    description = "Bodies and errors are those of the vendor's API, streams included.",
    request_body = Value, responses((status = 200, body = Value), (status = "default", description = "An error in the dialect of the path.", body = Value)))]
fn chat() {}

#[expect(dead_code, reason = "for the document")]
#[utoipa::path(post, path = "/v1/responses", tag = "models", summary = "A turn in OpenAI's dialect (Responses).",
    description = "Bodies and errors are those of the vendor's API, streams included. Requests to upgrade the connection are answered 426.",
    request_body = Value, responses((status = 200, body = Value), (status = "default", description = "An error in the dialect of the path.", body = Value)))]
fn responses() {}

#[expect(dead_code, reason = "for the document")]
#[utoipa::path(post, path = "/v1/responses/input_tokens", tag = "models", summary = "Counts tokens, in OpenAI's dialect.", description = "Not a turn.",
    request_body = Value, responses((status = 200, body = Value), (status = "default", description = "An error in the dialect of the path.", body = Value)))]
fn input_tokens() {}

#[expect(dead_code, reason = "for the document")]
#[utoipa::path(get, path = "/v1/models", tag = "models", summary = "The models, in the caller's dialect.",
    description = "Anthropic's form for callers with `anthropic-version` or an Anthropic key and no other, else OpenAI's.",
    responses((status = 200, body = Value), (status = "default", description = "An error in the caller's dialect.", body = Value)))]
fn models() {}

#[expect(dead_code, reason = "for the document")]
#[utoipa::path(get, path = "/v1/models/{id}", tag = "models", summary = "One model, in the caller's dialect.", description = "As in the list.",
    params(("id" = String, Path, description = "The model's name.")),
    responses((status = 200, body = Value), (status = "default", description = "An error in the caller's dialect.", body = Value)))]
fn model() {}
