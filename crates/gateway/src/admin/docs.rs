//! The OpenAPI document and a page to browse it. All that the page loads is in the binary, and it may load nothing else.

use std::sync::Arc;

use axum::extract::{Extension, Path};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

use super::error::ApiError;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// Looked at again each time, so that a newer gateway's page is not mixed with an older one's.
const CACHE: HeaderValue = HeaderValue::from_static("no-cache");

// The addresses are relative: the page stands in two places.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Luthien: routes</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="routes"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"#;

const START: &str = r##"SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#routes",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"##;

/// The files of Swagger UI that the page needs, and what they are.
const FILES: [(&str, &str); 2] =
    [("swagger-ui.css", "text/css; charset=utf-8"), ("swagger-ui-bundle.js", "text/javascript; charset=utf-8")];

/// The document's bytes.
#[derive(Clone, Debug)]
pub(super) struct Document(Arc<Asset>);

impl Document {
    pub(super) fn new(document: &Value) -> Self {
        Self(Arc::new(Asset::new("application/json", document.to_string())))
    }
}

/// What is served, with the tag by which a reader knows that it has it.
#[derive(Clone, Debug)]
struct Asset {
    kind: &'static str,
    tag: Option<HeaderValue>,
    bytes: Bytes,
}

impl Asset {
    fn new(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let tag = format!("\"{}\"", &blake3::hash(&bytes).to_hex()[..32]);
        Self { kind, tag: HeaderValue::from_str(&tag).ok(), bytes }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
        const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
        let headers: [(HeaderName, HeaderValue); 4] = [
            (header::CACHE_CONTROL, CACHE),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, NOSNIFF),
            (header::REFERRER_POLICY, NO_REFERRER),
        ];
        let known = asked.get(header::IF_NONE_MATCH).is_some_and(|given| Some(given) == self.tag.as_ref());
        let mut response = if known {
            (StatusCode::NOT_MODIFIED, headers).into_response()
        } else {
            let kind = HeaderValue::from_static(self.kind);
            (headers, [(header::CONTENT_TYPE, kind)], self.bytes.clone()).into_response()
        };
        if let Some(tag) = &self.tag {
            response.headers_mut().insert(header::ETAG, tag.clone());
        }
        response
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "document", responses((status = 200, body = Value), (status = 304, description = "It is what `if-none-match` names.")))]
pub(super) async fn document(Extension(document): Extension<Document>, headers: HeaderMap) -> Response {
    document.0.answer(&headers)
}

/// A page to browse this document. It loads nothing from elsewhere.
#[utoipa::path(get, path = "/docs", tag = "document", responses(
    (status = 200, body = String, content_type = "text/html; charset=utf-8"), (status = 304, description = "It is what `if-none-match` names.")))]
pub(super) async fn page(headers: HeaderMap) -> Response {
    Asset::new("text/html; charset=utf-8", PAGE).answer(&headers)
}

/// `GET /docs/{file}`: what the page loads.
pub(super) async fn file(path: Path<String>, headers: HeaderMap) -> Response {
    let asset = match path.as_str() {
        "start.js" => Some(Asset::new("text/javascript; charset=utf-8", START)),
        name => FILES.iter().find(|(known, _)| *known == name).and_then(|(name, kind)| swagger(name, kind)),
    };
    match asset {
        Some(asset) => asset.answer(&headers),
        None => ApiError::NotFound("there is no such route".to_owned()).into_response(),
    }
}

fn swagger(name: &str, kind: &'static str) -> Option<Asset> {
    let file = utoipa_swagger_ui::serve(name, Arc::default()).ok().flatten()?;
    let bytes = match file.bytes {
        std::borrow::Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    };
    Some(Asset::new(kind, bytes))
}
