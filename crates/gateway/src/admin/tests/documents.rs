//! The OpenAPI document, and the page to browse it.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::json;

use super::*;

/// What is in the source tree is what is served. With `UPDATE_DOCS=1` it is written.
#[test]
fn the_document_in_the_source_tree_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let mut text = serde_json::to_string_pretty(&document()).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/openapi.json is out of date: UPDATE_DOCS=1 cargo nextest run -p luthien-gateway documents"
    );
}

#[tokio::test]
async fn the_document_is_served_in_both_places_to_anybody() {
    let fixture = Fixture::new().await;
    for path in ["/openapi.json", "/api/openapi.json"] {
        let answer = fixture.call(Method::GET, path, None, "").await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
        assert_eq!(answer.json(), document());
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[test]
fn every_operation_is_named_described_and_says_who_may_call_it() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{at}");
        assert!(operation["summary"].as_str().is_some_and(|summary| summary.ends_with('.')), "{at}");
        let guarded = path.starts_with("/api/") && !matches!(path, "/api/openapi.json" | "/api/docs")
            || path.starts_with("/request-logs");
        assert_eq!(operation["x-luthien-role"].is_string(), guarded, "{at}");
        assert_eq!(operation["responses"]["401"].is_object(), guarded, "{at}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{at} {}", parameter["name"]);
        }
    }
}

/// No route is served that the document does not have: what the router knows is asked of axum by a method that no route takes.
#[tokio::test]
async fn every_operation_is_a_route() {
    let fixture = Fixture::new().await;
    let document = document();
    for (path, method, _) in operations(&document).filter(|(path, ..)| !path.starts_with("/v1/")) {
        let path = path.replace("{id}", "none").replace("{user_id}", "none").replace("{key}", "none");
        let method: Method = method.to_uppercase().parse().unwrap();
        if path == "/api/activity/stream" {
            fixture.state.stopping.cancel();
        }
        let answer = fixture.call(method.clone(), &path, Some(KEY), "[]").await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(!answer.text.contains("there is no such route"), "{method} {path}");
    }
}

#[rstest]
#[case("")]
#[case("/api")]
#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere(#[case] prefix: &str) {
    let fixture = Fixture::new().await;
    let get = async |path: &str| fixture.call(Method::GET, path, None, "").await;
    let page = get(&format!("{prefix}/docs")).await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    let mut loaded = Vec::new();
    for part in page.text.split(['"', '\'']).filter(|part| part.starts_with("docs/")) {
        loaded.push(part);
        let answer = get(&format!("{prefix}/{part}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{part}");
        assert!(answer.header("content-type").starts_with("text/"), "{part}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        // The browser is told to load nothing but what is here, whatever the scripts ask for.
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
        if part != "docs/swagger-ui-bundle.js" {
            let urls: Vec<_> =
                ["http:", "https:", "url(//", "@import"].into_iter().filter(|url| answer.text.contains(url)).collect();
            let drawings = answer.text.matches("http://www.w3.org/2000/svg").count();
            let all = answer.text.matches("http:").count() + answer.text.matches("https:").count();
            assert_eq!(all, drawings, "{part}: {urls:?}");
        }
    }
    assert_eq!(loaded, ["docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"]);
    assert!(!page.text.contains("http") && !page.text.contains("<style") && !page.text.contains("style="));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(page.text.matches("<script").count(), page.text.matches("<script src=").count());
}

#[tokio::test]
async fn what_a_reader_has_is_not_sent_again() {
    let fixture = Fixture::new().await;
    for path in ["/openapi.json", "/docs", "/docs/swagger-ui-bundle.js"] {
        let first = fixture.call(Method::GET, path, None, "").await;
        let tag = first.header("etag").to_owned();
        assert_eq!((first.header("cache-control"), tag.len()), ("no-cache", 34), "{path}");
        let again = Request::get(path).header("if-none-match", &tag).body(Body::empty()).unwrap();
        let again = fixture.send(again).await;
        assert_eq!((again.status, again.header("etag"), again.text.as_str()), (StatusCode::NOT_MODIFIED, &*tag, ""));
    }
    for unknown in ["/docs/index.html", "/docs/swagger-ui.js", "/docs/..%2fstart.js", "/docs/x/y"] {
        let answer = fixture.call(Method::GET, unknown, None, "").await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::NOT_FOUND, json!({"detail": "there is no such route"}))
        );
    }
}
