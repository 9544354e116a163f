//! The front page: what this is and where to go. It holds no data.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};

use super::AdminState;
use super::health::{Signs, VERSION};

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Luthien</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color: #222; background: #fff }
code { background: #eee; padding: .1em .3em; border-radius: 3px }
table { border-collapse: collapse } td { padding: .2rem 1rem .2rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } code { background: #333 } a { color: #8bf } }
</style>
</head>
<body>
<h1>Luthien</h1>
<p>This is a gateway between AI agents and the models they use. It holds what a model says, tool calls above all, until the
policies of whoever runs it have decided, and records every call.</p>
<p>Version {version}, <a href="/health">{status}</a>.</p>
<table>
<tr><td>Claude Code, Codex</td><td><code>luthien claude</code>, <code>luthien codex</code></td></tr>
<tr><td>Anthropic clients</td><td>this address as the base URL: <code>POST /v1/messages</code></td></tr>
<tr><td>OpenAI clients</td><td>this address and <code>/v1</code> as the base URL: <code>POST /v1/chat/completions</code>, <code>POST /v1/responses</code></td></tr>
<tr><td>What was recorded</td><td><code>luthien sessions</code>, <code>luthien show &lt;id&gt;</code></td></tr>
<tr><td>Policies</td><td><code>/api/admin/policy/list</code>, with the admin key from the data folder</td></tr>
<tr><td>Documents</td><td><code>README.md</code> and <code>docs/</code> in the source; <code>luthien --help</code></td></tr>
</table>
</body>
</html>
"#;

/// A page for people: what this is and where to go.
#[utoipa::path(get, path = "/", tag = "pages", responses((status = 200, body = String, content_type = "text/html; charset=utf-8")))]
pub(super) async fn front(State(state): State<AdminState>) -> Response {
    let status = Signs::of(&state).status();
    (HEADERS, Html(PAGE.replace("{version}", VERSION).replace("{status}", status))).into_response()
}
