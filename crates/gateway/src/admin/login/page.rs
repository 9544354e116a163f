//! The login page: made here, without scripts and without anything from elsewhere.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::admin::Who;

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // With `no-referrer` a browser would hide from the form's own site that the form is its own (`Origin: null`).
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

const STYLE: &str = "\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 28rem; margin: 3rem auto; padding: 0 1rem; color: #222; background: #fff }
label { display: block; font-weight: 600 }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; margin: .25rem 0 1rem; border: 1px solid #767676; border-radius: 4px; color: inherit; background: inherit }
button { font: inherit; padding: .5rem 1.25rem; border: 1px solid #1a56b0; border-radius: 4px; color: #fff; background: #1a56b0; cursor: pointer }
input:focus-visible, button:focus-visible { outline: 3px solid #f0a000; outline-offset: 2px }
.error { padding: .5rem .75rem; border-left: 4px solid #b00020; background: #fdecee; color: #7a0016 }
code { background: #eee; padding: .1em .3em; border-radius: 3px }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } code { background: #333 } .error { background: #3a0f16; color: #ffb3bd } }
";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/auth/login.css">
</head>
<body>
<main>
<h1>Luthien</h1>
{error}{known}<form method="post" action="/auth/login">
<input type="hidden" name="next_url" value="{next}">
<label for="password">Admin key, or your own token</label>
<input type="password" id="password" name="password" required autofocus autocomplete="current-password" aria-describedby="{described}"{invalid}>
<button type="submit">Log in</button>
</form>
<p id="help">On the machine of the gateway, <code>luthien login</code> prints a link that logs you in without it.</p>
</main>
</body>
</html>
"#;

/// The page. An error is read out first, and the form keeps where it leads.
pub(super) fn answer(status: StatusCode, next: &str, error: Option<&str>, who: Option<&Who>) -> Response {
    let told = error.map(|why| format!("<p class=\"error\" role=\"alert\" id=\"error\">{}</p>\n", escaped(why)));
    let known = who.map(|who| {
        format!(
            "<form method=\"post\" action=\"/auth/logout\"><p>You are logged in as <strong>{}</strong>. <button type=\"submit\">Log out</button></p></form>\n",
            escaped(who.name())
        )
    });
    // In one pass: what is put in is not looked through again.
    let mut out = String::with_capacity(PAGE.len() + 1024);
    for piece in PAGE.split_inclusive('}') {
        let (text, name) = piece.rsplit_once('{').unwrap_or((piece, ""));
        out.push_str(text);
        match name {
            "title}" if error.is_some() => out.push_str("Error: log in to Luthien"),
            "title}" => out.push_str("Log in to Luthien"),
            "error}" => out.push_str(told.as_deref().unwrap_or_default()),
            "known}" => out.push_str(known.as_deref().unwrap_or_default()),
            "next}" => out.push_str(&escaped(next)),
            "described}" => out.push_str(if error.is_some() { "error help" } else { "help" }),
            "invalid}" if error.is_some() => out.push_str(" aria-invalid=\"true\""),
            _ => {}
        }
    }
    (status, HEADERS, Html(out)).into_response()
}

/// `GET /auth/login.css`
pub(in crate::admin) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], STYLE)
        .into_response()
}

/// A text as HTML.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}
