//! Who gets in where: every route with every sort of credential, logging in and out, the bypass, and what is taken down of it.

mod browsers;
mod people;

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use luthien_record::store::{AuditEntry, AuditFilter};
use serde_json::json;

use super::*;

impl Fixture {
    /// Lets somebody in; gives their id and token.
    async fn person(&self, name: &str, role: &str) -> (String, String) {
        let body = json!({"name": name, "role": role}).to_string();
        let made = self.call(Method::POST, "/api/admin/people", Some(KEY), &body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let made = made.json();
        (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    }

    /// Logs a browser in; gives its cookie.
    async fn log_in(&self, password: &str) -> String {
        let answer = self.form("/auth/login", &format!("password={password}"), &[SAME]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    /// Sends a form, as a browser does.
    async fn form(&self, path: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let all = [("content-type", "application/x-www-form-urlencoded")];
        self.send(request("POST", path, &[&all, headers].concat(), form)).await
    }

    async fn with_headers(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request(method, path, headers, "{}")).await
    }

    async fn take_down(&mut self) -> Vec<AuditEntry> {
        let store = self.state.recorder.store();
        self.audit.write(store).await;
        let mut entries = store.audit(&AuditFilter { limit: 1000, ..AuditFilter::default() }).await.unwrap().entries;
        entries.reverse();
        entries
    }
}

const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// The same from an address.
fn from(peer: &str, mut request: Request<Body>) -> Request<Body> {
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// A route and the least role that it asks for.
type Asked = (String, String, Role);

/// Method, path, and the role that the document says, of every route in it.
async fn documented(fixture: &Fixture) -> Vec<(String, String, Option<Role>)> {
    let document = fixture.get("/openapi.json").await.json();
    let mut out = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["x-luthien-role"].as_str().and_then(Role::from_name);
            out.push((method.to_uppercase(), path.replace(['{', '}'], ""), role));
        }
    }
    out
}

/// Every route of the admin side.
async fn every_route(fixture: &Fixture) -> Vec<Asked> {
    let documented = documented(fixture).await.into_iter();
    let all: Vec<Asked> = documented.filter_map(|(method, path, role)| Some((method, path, role?))).collect();
    assert!(all.len() > 40, "{all:?}");
    all
}

/// What asks for nothing, or for what models ask for, is named here: all else is in the document with its role.
#[tokio::test]
async fn no_route_is_forgotten() {
    let fixture = Fixture::new().await;
    let open = [
        "/",
        "/health",
        "/livez",
        "/healthz",
        "/readyz",
        "/ready",
        "/openapi.json",
        "/api/openapi.json",
        "/docs",
        "/api/docs",
    ];
    for (method, path, role) in documented(&fixture).await {
        let expected = !open.contains(&path.as_str()) && !path.starts_with("/v1/");
        assert_eq!(role.is_some(), expected, "{method} {path}");
    }
    let code = include_str!("../../admin.rs");
    let lines = code.lines().filter_map(|line| line.trim_start().split_once(".route(\"")?.1.split('"').next());
    let expected = [
        "/request-logs",
        "/request-logs/{id}",
        "/api",
        "/api/{*rest}",
        "/docs/{file}",
        "/api/docs",
        "/api/docs/{file}",
        "/api/openapi.json",
        "/login",
        "/auth/login.css",
        "/auth/login",
        "/auth/logout",
        "/healthz",
        "/ready",
        "/admin",
        "/admin/{*rest}",
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected, "a route that the document does not name");
}

#[tokio::test]
async fn every_route_answers_each_sort_of_credential_as_its_role_says() {
    let fixture = Fixture::new().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, fixture.person(&format!("a {}", role.name()), role.name()).await.1));
    }
    let mut cookies = Vec::new();
    for (role, token) in &tokens {
        cookies.push((*role, fixture.log_in(token).await));
    }
    let (gone, gone_token) = fixture.person("gone", "admin").await;
    let gone_cookie = fixture.log_in(&gone_token).await;
    fixture.call(Method::DELETE, &format!("/api/admin/people/{gone}"), Some(KEY), "").await;
    let (over, over_token) = fixture.person("over", "admin").await;
    let over_cookie = fixture.log_in(&over_token).await;
    fixture.expire(&over).await;

    for (method, path, least) in every_route(&fixture).await {
        let ask = async |headers: &[(&str, &str)]| {
            let answer = fixture.router.clone().oneshot(request(&method, &path, headers, "not json")).await.unwrap();
            answer.status().as_u16()
        };
        let place = format!("{method} {path}");
        let bearer = |token: &str| format!("Bearer {token}");
        assert_eq!(ask(&[]).await, 401, "{place} with nothing");
        for wrong in [&"w".repeat(64), &gone_token, &over_token, &format!("ltp-{}", "0".repeat(64))] {
            assert_eq!(ask(&[("authorization", &bearer(wrong))]).await, 403, "{place} with {wrong}");
        }
        for cookie in [&gone_cookie, &over_cookie, "luthien_session=x", &format!("luthien_session={KEY}")] {
            assert_eq!(ask(&[("cookie", cookie), SAME]).await, 401, "{place} with {cookie}");
        }
        for (role, token) in &tokens {
            let status = ask(&[("x-api-key", token)]).await;
            assert_eq!(status == 403, *role < least, "{place} as {role:?}: {status}");
            assert_ne!(status, 401, "{place} as {role:?}");
        }
        for (role, cookie) in &cookies {
            let status = ask(&[("cookie", cookie), SAME]).await;
            assert_eq!(status == 403, *role < least, "{place} as {role:?} with a cookie: {status}");
            assert_ne!(status, 401, "{place} as {role:?} with a cookie");
        }
        let bad = ask(&[("authorization", &bearer(&gone_token)), ("cookie", &cookies[2].1), SAME]).await;
        assert_eq!(bad, 403, "{place}: a wrong key counts before a good cookie");
    }
}

impl Fixture {
    /// Makes somebody's token count no more.
    async fn expire(&self, id: &str) {
        let person = id.parse().unwrap();
        let store = self.state.recorder.store();
        assert!(store.set_person(person, "admin", Some(jiff::Timestamp::UNIX_EPOCH)).await.unwrap());
        self.state.admin_access.take().await.unwrap();
    }
}
