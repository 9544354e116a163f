//! Status codes by route and key, and the forms of errors.

use rstest::rstest;
use serde_json::json;

use super::*;

/// Too long to be a guess: those have to wait after a few.
const WRONG: &str = "a-wrong-key-that-nobody-would-guess-by-chance";

/// Method, path, and the status without a key, with a wrong one, with the right one.
const TABLE: &[(&str, &str, u16, u16, u16)] = &[
    ("GET", "/", 200, 200, 200),
    ("GET", "/health", 200, 200, 200),
    ("GET", "/livez", 200, 200, 200),
    ("GET", "/healthz", 200, 200, 200),
    ("GET", "/ready", 200, 200, 200),
    ("GET", "/readyz", 200, 200, 200),
    ("POST", "/health", 405, 405, 405),
    ("GET", "/nowhere", 404, 404, 404),
    ("GET", "/api/admin/policy/current", 401, 403, 200),
    ("GET", "/api/admin/policy/list", 401, 403, 200),
    ("GET", "/api/admin/system-status", 401, 403, 200),
    ("POST", "/api/admin/policy/set", 401, 403, 422),
    ("GET", "/api/admin/policy/set", 401, 403, 405),
    ("PUT", "/api/admin/policy/current", 401, 403, 405),
    ("POST", "/api/admin/policy/validate", 401, 403, 422),
    ("GET", "/api/admin/policy/history", 401, 403, 200),
    ("POST", "/api/admin/policy/rollback", 401, 403, 422),
    ("GET", "/api/admin/policy/effective", 401, 403, 200),
    ("GET", "/api/admin/policy/effective?key=x", 401, 403, 422),
    ("GET", "/api/admin/policy/assignments", 401, 403, 200),
    ("POST", "/api/admin/policy/assignments", 401, 403, 422),
    ("GET", "/api/admin/policy/assignments/1", 401, 403, 404),
    ("DELETE", "/api/admin/policy/assignments/x", 401, 403, 404),
    ("GET", "/api/admin/panic", 401, 403, 200),
    ("POST", "/api/admin/panic", 401, 403, 422),
    ("GET", "/api/admin/panic/history", 401, 403, 200),
    ("GET", "/api/admin/policy/assignments/ended", 401, 403, 200),
    ("GET", "/api/history/sessions", 401, 403, 200),
    ("GET", "/api/history/sessions?limit=0", 401, 403, 422),
    ("GET", "/api/history/sessions/none", 401, 403, 404),
    ("GET", "/api/history/sessions/%FF", 401, 403, 404),
    ("DELETE", "/api/history/sessions/none", 401, 403, 404),
    ("DELETE", "/api/history/users/none", 401, 403, 404),
    ("GET", "/api/admin/retention", 401, 403, 200),
    ("GET", "/api/history/sessions/none/export", 401, 403, 404),
    ("GET", "/api/history/sessions/none/export/jsonl", 401, 403, 404),
    ("GET", "/api/history/sessions/none/export/json", 401, 403, 404),
    ("GET", "/api/request-logs", 401, 403, 200),
    ("GET", "/request-logs", 401, 403, 200),
    ("GET", "/api/request-logs?limit=201", 401, 403, 422),
    ("GET", "/api/request-logs?direction=sideways", 401, 403, 422),
    ("GET", "/request-logs/01938f00-0000-7000-8000-000000000000", 401, 403, 404),
    ("GET", "/api/debug/calls", 401, 403, 200),
    ("GET", "/api/debug/calls?limit=1001", 401, 403, 422),
    ("GET", "/api/debug/calls/not-an-id", 401, 403, 404),
    ("GET", "/api/debug/calls/01938f00-0000-7000-8000-000000000000", 401, 403, 404),
    ("GET", "/api/debug/calls/01938f00-0000-7000-8000-000000000000/diff", 401, 403, 404),
    ("GET", "/api/admin/credentials", 401, 403, 200),
    ("POST", "/api/admin/credentials", 401, 403, 422),
    ("GET", "/api/admin/credentials/none", 401, 403, 404),
    ("DELETE", "/api/admin/credentials/none", 401, 403, 404),
    ("GET", "/api/admin/inference-providers", 401, 403, 200),
    ("POST", "/api/admin/inference-providers", 401, 403, 422),
    ("GET", "/api/admin/inference-providers/none", 401, 403, 404),
    ("DELETE", "/api/admin/inference-providers/none", 401, 403, 404),
    ("GET", "/api/admin/client-keys", 401, 403, 200),
    ("GET", "/api/admin/caps", 401, 403, 200),
    ("GET", "/api/admin/caps/user/x", 401, 403, 200),
    ("PUT", "/api/admin/caps/user/x", 401, 403, 422),
    ("DELETE", "/api/admin/caps/user/x", 401, 403, 404),
    ("POST", "/api/admin/client-keys", 401, 403, 422),
    ("GET", "/api/admin/client-keys/x", 401, 403, 404),
    ("DELETE", "/api/admin/client-keys/01938f00-0000-7000-8000-000000000000", 401, 403, 404),
    ("GET", "/api/admin/auth/config", 401, 403, 200),
    ("POST", "/api/admin/auth/config", 401, 403, 200),
    ("PUT", "/api/admin/auth/config", 401, 403, 405),
    ("GET", "/api/admin/auth/credentials", 401, 403, 200),
    ("DELETE", "/api/admin/auth/credentials", 401, 403, 200),
    ("DELETE", "/api/admin/auth/credentials/00000000000000000000000000000000", 401, 403, 404),
    ("DELETE", "/api/admin/auth/credentials/x", 401, 403, 404),
    ("GET", "/api/admin/billing-status", 401, 403, 200),
    ("GET", "/api/admin/config", 401, 403, 200),
    ("PUT", "/api/admin/config/none", 401, 403, 422),
    ("DELETE", "/api/admin/config/none", 401, 403, 404),
    ("GET", "/api/nonsense", 401, 403, 404),
    ("GET", "/api", 401, 403, 404),
    ("GET", "/api/", 404, 404, 404),
    ("GET", "/admin", 308, 308, 308),
    ("GET", "/admin/policy/current", 308, 308, 308),
    ("POST", "/admin/policy/set", 308, 308, 308),
];

#[tokio::test]
async fn every_route_asks_for_the_key_where_there_is_data() {
    let fixture = Fixture::new().await;
    for (method, path, without, wrong, right) in TABLE {
        let method: Method = method.parse().unwrap();
        for (key, expected) in [(None, without), (Some(WRONG), wrong), (Some(KEY), right)] {
            let answer = fixture.call(method.clone(), path, key, "{}").await;
            assert_eq!(answer.status.as_u16(), *expected, "{method} {path} with {key:?}");
            assert!(expected < &400 || answer.json()["detail"] != json!(null), "{method} {path}: {}", answer.text);
        }
    }
}

#[rstest]
#[case("authorization", "Bearer the-right-key", 200)]
#[case("authorization", "bearer   the-right-key ", 200)]
#[case("x-api-key", "the-right-key", 200)]
#[case("authorization", "Basic the-right-key", 401)]
#[case("authorization", "Bearer", 401)]
#[case("authorization", "Bearer ", 401)]
#[case("x-api-key", "", 401)]
#[case("x-api-key", "the-right-ke", 403)]
#[case("x-api-key", "the-right-key2", 403)]
#[case("cookie", "luthien_session=the-right-key", 401)]
#[case("x-forwarded-for", "127.0.0.1", 401)]
#[tokio::test]
async fn the_key_comes_as_bearer_or_x_api_key(#[case] name: &str, #[case] value: &str, #[case] expected: u16) {
    let fixture = Fixture::new().await;
    let request = Request::get("/api/debug/calls").header(name, value).body(Body::empty()).unwrap();
    assert_eq!(fixture.send(request).await.status.as_u16(), expected);
}

#[tokio::test]
async fn a_missing_key_is_named_and_the_scheme_given() {
    let fixture = Fixture::new().await;
    let answer = fixture.call(Method::GET, "/api/debug/calls", None, "").await;
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    assert!(answer.json()["detail"].as_str().unwrap().contains("x-api-key"));
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_older_place_leads_to_the_newer_one_with_its_query() {
    let fixture = Fixture::new().await;
    let answer = fixture.get("/admin/policy/list?x=%2F1&y=2").await;
    assert_eq!(answer.header("location"), "/api/admin/policy/list?x=%2F1&y=2");
    let answer = fixture.get("/admin//example.com/").await;
    assert_eq!(answer.header("location"), "/api/admin//example.com/");
}

#[tokio::test]
async fn wrong_parameters_are_named_all_at_once() {
    let fixture = Fixture::new().await;
    let path = "/api/history/sessions?limit=x&offset=-1&from=yesterday&policy_intervention=maybe&other=1";
    let answer = fixture.get(path).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = answer.json()["detail"].clone();
    let places: Vec<_> = detail.as_array().unwrap().iter().map(|field| field["loc"].clone()).collect();
    let expected = ["limit", "offset", "from", "policy_intervention"].map(|name| json!(["query", name]));
    assert_eq!(places, expected);
    assert!(detail.as_array().unwrap().iter().all(|field| field["msg"].is_string() && field["type"].is_string()));
}

#[rstest]
#[case("from=2026-01-31")]
#[case("from=2026-01-31T12:00:00Z&to=2026-01-31T12:00:00+02:00")]
#[case("to=2026-01-31T12:00:00%2B02:00&q=&policy_intervention=true")]
#[tokio::test]
async fn times_are_dates_or_moments(#[case] query: &str) {
    let fixture = Fixture::new().await;
    let answer = fixture.get(&format!("/api/history/sessions?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json(), json!({"sessions": [], "total": 0, "offset": 0, "has_more": false}));
}

#[tokio::test]
async fn health_says_how_the_record_fares() {
    let fixture = Fixture::new().await;
    let health = fixture.get("/health").await.json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health["checks"]["database"], "ok");
    assert_eq!(health["checks"]["recorder"]["dropped"], 0);
}

#[tokio::test]
async fn a_stopping_gateway_lives_and_is_not_ready() {
    let fixture = Fixture::new().await;
    fixture.state.stopping.cancel();
    assert_eq!(fixture.get("/livez").await.status, StatusCode::OK);
    let answer = fixture.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["reason"], "the gateway is stopping");
}

#[tokio::test]
async fn the_front_page_loads_nothing_from_elsewhere() {
    let fixture = Fixture::new().await;
    let answer = fixture.call(Method::GET, "/", None, "").await;
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(answer.text.contains(&format!("Version {}, <a href=\"/health\">healthy</a>", env!("CARGO_PKG_VERSION"))));
    assert!(!answer.text.contains("http"));
}
