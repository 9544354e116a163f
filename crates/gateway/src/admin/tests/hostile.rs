//! Malformed and oversized calls to every route that the document has: never an error of the server's, never a hang, always
//! `{"detail": …}`.

use std::time::Duration;

use axum::http::HeaderValue;
use http_body_util::BodyExt;
use rstest::rstest;
use serde_json::json;
use tower::ServiceExt;

use super::*;

/// The longest that a call may take, on a machine that is busy.
const WITHIN: Duration = Duration::from_secs(30);

/// Steps of a path where an id stands.
fn ids() -> Vec<String> {
    let plain = [
        "%FF",
        "%00",
        "a%00b",
        "%2e%2e%2f%2e%2e",
        "%0A",
        "%F0%9F%A6%80",
        "%22%3E%3Cb%3E",
        "18446744073709551616",
        "-1",
    ];
    plain.into_iter().map(str::to_owned).chain(["x".repeat(8000), "%27%20OR%201=1--".to_owned()]).collect()
}

/// Queries, with the names of an operation's own parameters.
fn queries(names: &[&str]) -> Vec<String> {
    let mut all =
        vec!["&&=&=%".to_owned(), "%FF=%FF".to_owned(), format!("x={}", "y".repeat(60_000)), "a=1&".repeat(9000)];
    for name in names {
        for value in ["%FF", "%00", "%", "-1", "1e9", "99999999999999999999", "%27%22%3B--", "[]", "", "%F0%9F%A6%80"] {
            all.push(format!("{name}={value}"));
            all.push(format!("{name}=1&{name}={value}&{name}={value}"));
        }
    }
    all
}

/// Bodies, with the names of the members that the operation takes.
fn bodies(names: &[&str]) -> Vec<Vec<u8>> {
    let values = ["null", "[]", "{}", "-1", "1e999", "0.5", "true", r#""""#, r#""\u0000""#, r#""\ud800""#, r#""\n""#];
    let mut all: Vec<Vec<u8>> = [
        &b""[..],
        b"null",
        b"[]",
        b"7",
        b"{",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"{\"a\":1}}",
        b"a=1&b=2",
    ]
    .map(<[u8]>::to_vec)
    .into();
    all.push(vec![b'['; 100_000]);
    all.push([br#"{"a":"#.repeat(50_000), b"1".to_vec(), b"}".repeat(50_000)].concat());
    all.push(format!("{{\"{}\": 1}}", "a".repeat(1 << 20)).into_bytes());
    for name in names {
        all.extend(values.map(|value| format!("{{\"{name}\": {value}, \"{name}\": {value}}}").into_bytes()));
        all.push(format!("{{\"{name}\": \"{}\"}}", "x".repeat(100_000)).into_bytes());
        all.push(format!("{{\"{name}\": {}1{}}}", "[".repeat(100), "]".repeat(100)).into_bytes());
    }
    all
}

/// The members that the body of an operation has.
fn members<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    let at = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/"));
    let schema = at.map_or(schema, |name| &document["components"]["schemas"][name]);
    let own = schema["properties"].as_object().into_iter().flat_map(|members| members.keys().map(String::as_str));
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| members(document, part));
    own.chain(parts).collect()
}

async fn send(fixture: &Fixture, request: Request<Body>, at: &str) {
    let whole = async {
        let (parts, body) = fixture.router.clone().oneshot(request).await.unwrap().into_parts();
        (parts.status, body.collect().await.unwrap().to_bytes())
    };
    let (status, body) = tokio::time::timeout(WITHIN, whole).await.unwrap_or_else(|_| panic!("{at} hangs"));
    let shown = String::from_utf8_lossy(&body[..body.len().min(300)]);
    assert!(status.as_u16() < 500, "{at}: {status} {shown}");
    if status.as_u16() >= 400 {
        let said: Value = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{at}: {status} {shown}"));
        assert!(said["detail"].is_string() || said["detail"].is_array(), "{at}: {status} {shown}");
    }
}

#[rstest]
#[case(false)]
#[case(true)]
#[tokio::test]
async fn no_call_breaks_a_route(#[case] postgres: bool) {
    let folder = tempfile::tempdir().unwrap();
    let database = postgres.then(|| luthien_servers::database().unwrap());
    let usual = RecorderConfig::in_dir(folder.path());
    let url = database.as_ref().map_or_else(|| usual.database.clone(), |database| database.url().to_owned());
    let (state, audit) = state_with(folder.path(), false, RecorderConfig { database: url, ..usual }).await;
    let fixture = Fixture { router: router(state.clone()), state, audit, _folder: Some(folder) };
    let document = document();
    let mut calls = 0;
    let ours = || document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.starts_with("/v1/"));
    // The stream ends with the gateway only.
    let (streams, others): (Vec<_>, Vec<_>) = ours().partition(|(path, _)| *path == "/api/activity/stream");
    let ending = others.len();
    for (number, (path, item)) in others.into_iter().chain(streams).enumerate() {
        if number == ending {
            fixture.state.stopping.cancel();
        }
        for (method, operation) in item.as_object().unwrap() {
            let of = |place: &str| -> Vec<&str> {
                let all = operation["parameters"].as_array().into_iter().flatten();
                all.filter(|one| one["in"] == place).map(|one| one["name"].as_str().unwrap()).collect()
            };
            let steps = if path.contains('{') { ids() } else { vec![String::new()] };
            let filled = |step: &str| {
                let (before, after) = path.split_once('{').unwrap_or((path, ""));
                format!("{before}{step}{}", after.split_once('}').map_or("", |(_, after)| after).replace("{id}", "1"))
            };
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let mut requests: Vec<(String, &str, Vec<u8>)> =
                steps.iter().map(|step| (filled(step), "application/json", b"{}".to_vec())).collect();
            let usual = filled("01938f00-0000-7000-8000-000000000000");
            for query in queries(&of("query")) {
                requests.push((format!("{usual}?{query}"), "application/json", b"{}".to_vec()));
            }
            if operation["requestBody"].is_object() {
                for body in bodies(&members(&document, schema)) {
                    requests.push((usual.clone(), "application/json", body));
                }
                for kind in
                    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ";;;"]
                {
                    requests.push((usual.clone(), kind, b"{".to_vec()));
                }
            }
            for (uri, kind, body) in requests {
                let at = format!(
                    "{method} {} with {kind} and {}",
                    shortened(&uri),
                    shortened(&String::from_utf8_lossy(&body))
                );
                let request =
                    Request::builder().method(method.to_uppercase().as_str()).uri(&uri).header("x-api-key", KEY);
                let request =
                    request.header("content-type", HeaderValue::from_static(kind)).body(Body::from(body)).unwrap();
                send(&fixture, request, &at).await;
                calls += 1;
            }
        }
    }
    assert!(calls > 1500, "{calls}");
    let current = fixture.get("/api/admin/policy/current").await.json();
    assert_eq!((&current["class_ref"], &current["version"]), (&json!("no_op"), &json!(0)), "nothing was set");
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_refused_on_every_route_that_takes_one() {
    let fixture = Fixture::new().await;
    let document = document();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.starts_with("/v1/")) {
        for (method, _) in
            item.as_object().unwrap().iter().filter(|(_, operation)| operation["requestBody"].is_object())
        {
            let path = path
                .replace("{scope}", "session")
                .replace("{id}", "1")
                .replace("{user_id}", "1")
                .replace("{key}", "rate_limit_rpm");
            let body = format!("{{\"a\": \"{}\"}}", "x".repeat((1 << 20) + 1 - 9));
            let answer = fixture.call(method.to_uppercase().parse().unwrap(), &path, Some(KEY), &body).await;
            let expected = json!({"detail": "the body is larger than 1048576 bytes"});
            assert_eq!((answer.status, answer.json()), (StatusCode::PAYLOAD_TOO_LARGE, expected), "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked >= 9, "{asked}");
}
