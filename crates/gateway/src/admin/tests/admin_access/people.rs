//! People: added, changed, renewed and removed, and whose name stands under what they do.

use std::time::Duration;

use luthien_record::store::Topic;
use rstest::rstest;

use super::*;

#[tokio::test]
async fn a_person_is_added_changed_renewed_and_removed() {
    let fixture = Fixture::new().await;
    let (id, token) = fixture.person("Ann", "viewer").await;
    let path = format!("/api/admin/people/{id}");
    assert!(token.starts_with("ltp-") && token.len() == 68, "{token}");
    let current = "/api/admin/policy/current";
    assert_eq!(fixture.call(Method::GET, current, Some(&token), "").await.status, StatusCode::OK);

    let listed = fixture.get("/api/admin/people").await;
    assert!(!listed.text.contains(&token));
    let ann = &listed.json()["people"][0];
    assert_eq!((&ann["name"], &ann["role"], &ann["status"]), (&json!("Ann"), &json!("viewer"), &json!("active")));
    assert_eq!((&ann["start"], &ann["created_by"]), (&json!(&token[..10]), &json!("admin")));

    let set = "/api/admin/policy/set";
    let policy = json!({"policy_class_ref": "no_op"}).to_string();
    assert_eq!(fixture.call(Method::POST, set, Some(&token), &policy).await.status, StatusCode::FORBIDDEN);
    let change = json!({"role": "admin", "for": "90d"}).to_string();
    let changed = fixture.call(Method::PUT, &path, Some(KEY), &change).await.json();
    assert_eq!((&changed["role"], changed["expires_at"].is_string()), (&json!("admin"), true));
    assert_eq!(fixture.call(Method::POST, set, Some(&token), &policy).await.status, StatusCode::OK);
    let never = json!({"expires_at": null}).to_string();
    let changed = fixture.call(Method::PUT, &path, Some(&token), &never).await.json();
    assert_eq!((&changed["role"], &changed["expires_at"]), (&json!("admin"), &json!(null)));

    let cookie = fixture.log_in(&token).await;
    let renewed = fixture.call(Method::POST, &format!("{path}/token"), Some(&token), "").await;
    assert_eq!(renewed.status, StatusCode::CREATED);
    let fresh = renewed.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(fixture.call(Method::GET, current, Some(&token), "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(fixture.with_headers("GET", current, &[("cookie", &cookie)]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.call(Method::GET, current, Some(&fresh), "").await.status, StatusCode::OK);

    assert_eq!(fixture.call(Method::DELETE, &path, Some(KEY), "").await.json()["success"], json!(true));
    assert_eq!(fixture.call(Method::GET, current, Some(&fresh), "").await.status, StatusCode::FORBIDDEN);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(fixture.call(method, &path, Some(KEY), "").await.status, StatusCode::NOT_FOUND);
    }
}

#[rstest]
#[case(json!({}), &["name", "role"])]
#[case(json!({"name": " ", "role": "admin"}), &["name"])]
#[case(json!({"name": "a\nb", "role": "owner"}), &["name", "role"])]
#[case(json!({"name": "Admin", "role": "admin"}), &["name"])]
#[case(json!({"name": "x".repeat(101), "role": "admin"}), &["name"])]
#[case(json!({"name": "a", "role": 1, "for": "x", "password": "p"}), &["role", "for", "password"])]
#[case(json!({"name": "a", "role": "admin", "expires_at": "2000-01-01T00:00:00Z"}), &["expires_at"])]
#[tokio::test]
async fn what_is_wrong_with_a_person_is_named(#[case] body: Value, #[case] fields: &[&str]) {
    let fixture = Fixture::new().await;
    let answer = fixture.call(Method::POST, "/api/admin/people", Some(KEY), &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let named: Vec<Value> =
        answer.json()["detail"].as_array().unwrap().iter().map(|field| field["loc"][1].clone()).collect();
    assert_eq!(named, fields.iter().map(|name| json!(name)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_name_is_one_persons() {
    let fixture = Fixture::new().await;
    fixture.person("Ann", "viewer").await;
    let body = json!({"name": "ANN", "role": "admin"}).to_string();
    let answer = fixture.call(Method::POST, "/api/admin/people", Some(KEY), &body).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_persons_own_name_stands_under_what_they_do() {
    let fixture = Fixture::new().await;
    let (_, token) = fixture.person("Ann", "admin").await;
    let body = json!({"policy_class_ref": "no_op", "enabled_by": "somebody else"}).to_string();
    for (key, expected) in [(token.as_str(), "Ann"), (KEY, "somebody else")] {
        fixture.call(Method::POST, "/api/admin/policy/set", Some(key), &body).await;
        assert_eq!(fixture.get("/api/admin/policy/current").await.json()["enabled_by"], json!(expected));
    }
    let body = json!({"mode": "off", "set_by": "somebody else"}).to_string();
    let turned = fixture.call(Method::POST, "/api/admin/panic", Some(&token), &body).await;
    assert_eq!(turned.json()["set_by"], json!("Ann"));
}

#[tokio::test]
async fn other_gateways_follow() {
    let folder = tempfile::tempdir().unwrap();
    let one = Fixture::on(folder.path()).await;
    // What another gateway on the same database would see.
    let config = crate::admin_access::AdminAccessConfig {
        admin: KEY.into(),
        bypass: false,
        store: one.state.recorder.store().clone(),
        hints: crate::replicas::Hints::default(),
        clock: Clock::system(),
    };
    let other = AdminAccess::stored(config).await.unwrap();
    let state = AdminState { admin_access: other.clone(), ..one.state.clone() };
    let watched = crate::revisions::Watched::start(one.state.recorder.store().clone()).await.unwrap();
    let (people, logins) = (watched.watch(Topic::People), watched.watch(Topic::Logins));
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(other.follow(people, logins, stop.clone()));
    let watching = stop.clone();
    tasks.spawn(async move { watched.look(watching).await });
    let two = Fixture {
        router: router(state.clone()),
        state,
        audit: Audit::new("two", Clock::system(), Redactor::default()).1,
        _folder: None,
    };

    let until = async |cookie: &str, expected: u16| {
        let limit = tokio::time::Instant::now() + Duration::from_mins(1);
        loop {
            let status = two.with_headers("GET", "/api/admin/policy/current", &[("cookie", cookie)]).await.status;
            if status.as_u16() == expected {
                return;
            }
            assert!(tokio::time::Instant::now() < limit, "still {status}");
            tokio::task::yield_now().await;
        }
    };
    let (id, token) = one.person("Ann", "viewer").await;
    let cookie = one.log_in(&token).await;
    until(&cookie, 200).await;
    one.call(Method::DELETE, &format!("/api/admin/people/{id}"), Some(KEY), "").await;
    until(&cookie, 401).await;
    stop.cancel();
    tasks.join_all().await;
}

#[rstest]
#[case::a_token(false)]
#[case::a_cookie(true)]
#[tokio::test]
async fn a_stream_that_is_read_ends_with_what_opened_it(#[case] cookie: bool) {
    let fixture = Fixture::new().await;
    let (id, token) = fixture.person("Ann", "viewer").await;
    let header = if cookie { ("cookie", fixture.log_in(&token).await) } else { ("x-api-key", token) };
    let stream = request("GET", "/api/activity/stream", &[(header.0, &header.1)], "");
    tokio::time::pause();
    let mut body = fixture.router.clone().oneshot(stream).await.unwrap().into_body();
    let mut frames = 0;
    while frames < 3 {
        assert!(body.frame().await.unwrap().is_ok());
        frames += 1;
    }
    tokio::time::resume();
    fixture.call(Method::POST, &format!("/api/admin/people/{id}/token"), Some(KEY), "").await;
    tokio::time::pause();
    while body.frame().await.is_some() {
        frames += 1;
        assert!(frames < 10, "it goes on");
    }
}
