//! Browsers: logging in by form and by link, sessions, other sites' pages, the bypass, and what is taken down of it all.

use rstest::rstest;

use super::*;

const READ: &str = "/api/admin/policy/current";
const CHANGE: &str = "/api/admin/panic";

#[tokio::test]
async fn a_login_gives_a_cookie_and_leads_on() {
    let fixture = Fixture::new().await;
    let answer = fixture.form("/auth/login", "password=the-right-key&next_url=%2Fhistory%3Fq%3D1", &[SAME]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/history?q=1"));
    assert_eq!((answer.header("referrer-policy"), answer.header("cache-control")), ("no-referrer", "no-store"));
    let cookie = answer.header("set-cookie");
    let (pair, rest) = cookie.split_once("; ").unwrap();
    assert_eq!(rest, "Path=/; Max-Age=86400; HttpOnly; SameSite=Lax");
    assert!(pair.starts_with("luthien_session=lts-") && pair.len() == 16 + 68, "{pair}");
    assert_eq!(fixture.with_headers("GET", READ, &[("cookie", pair)]).await.status, StatusCode::OK);
    let https = fixture.form("/auth/login", "password=the-right-key", &[SAME, ("x-forwarded-proto", "https")]).await;
    assert!(https.header("set-cookie").ends_with("SameSite=Lax; Secure"));
    assert_eq!(https.header("location"), "/");
}

#[rstest]
#[case::wrong("password=wrong&next_url=%2Fhistory", &[SAME], 403, "This key does not let you in.")]
#[case::nothing("password=&next_url=%2Fhistory", &[SAME], 401, "Enter a key.")]
#[case::from_another_site("password=the-right-key&next_url=%2Fhistory", &[("sec-fetch-site", "cross-site")], 403, "from another site")]
#[case::from_another_origin("password=the-right-key&next_url=%2Fhistory", &[("origin", "http://evil"), ("host", "a")], 403, "from another site")]
#[case::from_nowhere("password=the-right-key&next_url=%2Fhistory", &[("origin", "null"), ("host", "a")], 403, "from another site")]
#[case::unsaid("password=the-right-key&next_url=%2Fhistory", &[], 403, "from another site")]
#[tokio::test]
async fn a_login_that_fails_says_why_and_keeps_the_target(
    #[case] form: &str,
    #[case] headers: &[(&str, &str)],
    #[case] status: u16,
    #[case] why: &str,
) {
    let fixture = Fixture::new().await;
    let answer = fixture.form("/auth/login", form, headers).await;
    assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (status, ""));
    assert!(answer.text.contains("role=\"alert\"") && answer.text.contains(why), "{}", answer.text);
    assert!(answer.text.contains("name=\"next_url\" value=\"/history\""), "{}", answer.text);
}

#[tokio::test]
async fn the_page_needs_no_scripts_and_nothing_from_elsewhere() {
    let fixture = Fixture::new().await;
    let answer = fixture.with_headers("GET", "/login?next=/a%22%3E%3Cscript%3E", &[]).await;
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; form-action 'self'"), "{policy}");
    assert!(!policy.contains("unsafe") && !answer.text.contains("<script") && !answer.text.contains("http:"));
    assert!(answer.text.contains("value=\"/a&quot;&gt;&lt;script&gt;\""), "{}", answer.text);
    for needed in [
        "<html lang=\"en\">",
        "<main>",
        "<label for=\"password\">",
        "id=\"password\"",
        "autocomplete=\"current-password\"",
    ] {
        assert!(answer.text.contains(needed), "{needed}");
    }
    let style = fixture.with_headers("GET", "/auth/login.css", &[]).await;
    assert!(style.header("content-type").starts_with("text/css") && style.text.contains("focus-visible"));
    let away = fixture.with_headers("GET", "/login?next=//evil.example", &[]).await;
    assert!(away.text.contains("name=\"next_url\" value=\"/\"") && !away.text.contains("evil"));
}

#[rstest]
#[case::our_page(&[SAME], true)]
#[case::typed(&[("sec-fetch-site", "none")], true)]
#[case::our_origin(&[("origin", "http://gateway:8000"), ("host", "gateway:8000")], true)]
#[case::a_form_of_another_site(&[("sec-fetch-site", "cross-site"), ("origin", "http://evil.example"), ("host", "gateway:8000")], false)]
#[case::a_sibling(&[("sec-fetch-site", "same-site")], false)]
#[case::another_origin(&[("origin", "http://evil.example"), ("host", "gateway:8000")], false)]
#[case::no_origin(&[("origin", "null"), ("host", "gateway:8000")], false)]
#[case::neither(&[("host", "gateway:8000")], false)]
#[tokio::test]
async fn with_a_cookie_only_our_own_pages_change_something(#[case] headers: &[(&str, &str)], #[case] ours: bool) {
    let fixture = Fixture::new().await;
    let cookie = fixture.log_in(KEY).await;
    let headers = [headers, &[("cookie", cookie.as_str())]].concat();
    let post = |headers: &[(&str, &str)]| request("POST", CHANGE, headers, r#"{"mode": "traffic"}"#);
    let answer = fixture.send(post(&headers)).await;
    assert_eq!(answer.status, if ours { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{}", answer.text);
    let stopped = fixture.get(CHANGE).await.json()["mode"] == json!("traffic");
    assert_eq!(stopped, ours);
    assert_eq!(fixture.with_headers("GET", READ, &headers).await.status, StatusCode::OK, "reading is harmless");
    let key = [&headers[..], &[("x-api-key", KEY)]].concat();
    assert_eq!(fixture.send(post(&key)).await.status, StatusCode::OK, "no page can send the key");
    let out = fixture.with_headers("POST", "/auth/logout", &headers).await;
    assert_eq!(out.status, if ours { StatusCode::SEE_OTHER } else { StatusCode::FORBIDDEN });
}

#[tokio::test]
async fn a_session_ends_at_logout_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::on(folder.path()).await;
    let (cookie, other) = (fixture.log_in(KEY).await, fixture.log_in(KEY).await);
    let out = fixture.with_headers("POST", "/auth/logout", &[("cookie", &cookie), SAME]).await;
    assert_eq!((out.status, out.header("location")), (StatusCode::SEE_OTHER, "/login"));
    assert!(out.header("set-cookie").starts_with("luthien_session=; Path=/; Max-Age=0;"));
    assert_eq!(fixture.with_headers("GET", READ, &[("cookie", &cookie)]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.with_headers("GET", READ, &[("cookie", &other)]).await.status, StatusCode::OK);
    let again = async |admin: &str| {
        let config = crate::admin_access::AdminAccessConfig {
            admin: admin.into(),
            bypass: false,
            store: fixture.state.recorder.store().clone(),
            hints: crate::replicas::Hints::default(),
            clock: Clock::system(),
        };
        let state = AdminState { admin_access: AdminAccess::stored(config).await.unwrap(), ..fixture.state.clone() };
        router(state).oneshot(request("GET", READ, &[("cookie", &other)], "")).await.unwrap().status()
    };
    assert_eq!(again(KEY).await, StatusCode::OK, "after a restart");
    assert_eq!(again("another admin key").await, StatusCode::UNAUTHORIZED, "with another admin key");
}

#[tokio::test]
async fn a_link_logs_in_once() {
    let fixture = Fixture::new().await;
    let (_, token) = fixture.person("Ann", "admin").await;
    let made = fixture.call(Method::POST, "/api/admin/login-links", Some(&token), "").await;
    assert_eq!(made.status, StatusCode::CREATED);
    let path = made.json()["path"].as_str().unwrap().to_owned();
    assert!(path.starts_with("/login?token=ltl-"), "{path}");
    let next = format!("{path}&next=/history");
    let ahead = [("HEAD", &[][..]), ("GET", &[("sec-purpose", "prefetch")][..])];
    for (method, headers) in ahead {
        assert_eq!(fixture.with_headers(method, &next, headers).await.status, StatusCode::OK, "{method} only looks");
    }
    let answer = fixture.with_headers("GET", &next, &[]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/history"));
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let page = fixture.with_headers("GET", "/login", &[("cookie", &cookie)]).await;
    assert!(page.text.contains("You are logged in as <strong>Ann</strong>"), "{}", page.text);
    for used in [path.as_str(), "/login?token=ltl-0", "/login?token=the-right-key"] {
        let again = fixture.with_headers("GET", used, &[]).await;
        assert_eq!((again.status, again.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
        assert!(again.text.contains("luthien login") && !again.text.contains("ltl-"), "{}", again.text);
    }
}

#[tokio::test]
async fn a_link_is_over_after_ten_minutes_and_with_its_person() {
    static NOW: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1_000_000);
    fn now() -> jiff::Timestamp {
        jiff::Timestamp::from_second(NOW.load(std::sync::atomic::Ordering::Relaxed)).unwrap()
    }
    let fixture = Fixture::new().await;
    let config = crate::admin_access::AdminAccessConfig {
        admin: KEY.into(),
        bypass: false,
        store: fixture.state.recorder.store().clone(),
        hints: crate::replicas::Hints::default(),
        clock: Clock::new(now, || uuid::Uuid::from_u128(1)),
    };
    let access = AdminAccess::stored(config).await.unwrap();
    let good_after = async |seconds: i64| {
        let link = access.admin_link().await.unwrap();
        NOW.fetch_add(seconds, std::sync::atomic::Ordering::Relaxed);
        access.use_link(secrecy::ExposeSecret::expose_secret(&link).as_bytes()).await.unwrap().is_some()
    };
    assert!(good_after(599).await);
    assert!(!good_after(600).await);
    let (id, token) = fixture.person("Ann", "admin").await;
    let made = fixture.call(Method::POST, "/api/admin/login-links", Some(&token), "").await.json();
    fixture.call(Method::POST, &format!("/api/admin/people/{id}/token"), Some(KEY), "").await;
    let used = fixture.with_headers("GET", made["path"].as_str().unwrap(), &[]).await;
    assert_eq!(used.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn guesses_are_throttled_by_form_and_by_header_and_the_holder_of_a_long_one_is_not() {
    let fixture = Fixture::new().await;
    let (_, token) = fixture.person("Ann", "admin").await;
    for number in 0..10 {
        let wrong = if number % 2 == 0 {
            fixture.form("/auth/login", "password=guess", &[SAME]).await
        } else {
            fixture.call(Method::GET, READ, Some("guess"), "").await
        };
        assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    }
    let form = fixture.form("/auth/login", "password=the-right-key", &[SAME]).await;
    let header = fixture.call(Method::GET, READ, Some(KEY), "").await;
    for refused in [&form, &header] {
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=6).contains(&wait), "{wait}");
    }
    let elsewhere = from("10.1.2.3:4", request("GET", READ, &[("x-api-key", KEY)], ""));
    assert_eq!(fixture.send(elsewhere).await.status, StatusCode::OK, "another address");
    assert_eq!(fixture.call(Method::GET, READ, Some(&token), "").await.status, StatusCode::OK);
    fixture.log_in(&token).await;
}

/// Header, path, method, and what a call from this machine gets with the bypass on.
#[rstest]
#[case::plain(&[], "GET", READ, 200)]
#[case::a_change(&[], "POST", CHANGE, 200)]
#[case::a_wrong_key(&[("x-api-key", "wrong")], "GET", READ, 403)]
#[case::forwarded(&[("x-forwarded-for", "127.0.0.1")], "GET", READ, 401)]
#[case::a_foreign_page(&[("origin", "http://evil.example")], "POST", CHANGE, 401)]
#[case::answers_no_question(&[], "POST", "/api/admin/approvals/x", 403)]
#[case::makes_no_person(&[], "POST", "/api/admin/people", 403)]
#[case::makes_no_link(&[], "POST", "/api/admin/login-links", 403)]
#[case::reads_no_audit_log(&[], "GET", "/api/admin/audit", 403)]
#[tokio::test]
async fn the_bypass_lets_this_machine_in_and_stands_for_nobody(
    #[case] headers: &[(&str, &str)],
    #[case] method: &str,
    #[case] path: &str,
    #[case] expected: u16,
    #[values(true, false)] on: bool,
) {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::with(folder.path(), on).await;
    let headers = [headers, &[("host", "127.0.0.1:8000")]].concat();
    let ask = |peer: &str| from(peer, request(method, path, &headers, r#"{"mode": "off"}"#));
    let without = if headers.iter().any(|(name, _)| *name == "x-api-key") { 403 } else { 401 };
    let got = fixture.send(ask("127.0.0.1:5000")).await;
    assert_eq!(got.status.as_u16(), if on { expected } else { without }, "{}", got.text);
    assert_eq!(fixture.send(ask("10.0.0.1:5000")).await.status.as_u16(), without, "from another machine");
    let unknown = fixture.with_headers(method, path, &headers).await;
    assert_eq!(unknown.status.as_u16(), without, "from nobody knows where");
}

#[tokio::test]
async fn what_is_done_is_taken_down_without_secrets() {
    let mut fixture = Fixture::new().await;
    let (id, token) = fixture.person("Ann", "approver").await;
    fixture.get(READ).await;
    fixture.call(Method::POST, CHANGE, Some(&token), r#"{"mode": "traffic", "reason": "canary-body"}"#).await;
    fixture.call(Method::GET, READ, Some("canary-wrong-key"), "").await;
    fixture.call(Method::GET, READ, None, "").await;
    let cookie = fixture.log_in(&token).await;
    fixture.form("/auth/login", "password=canary-wrong", &[SAME]).await;
    let link = fixture.call(Method::POST, "/api/admin/login-links", Some(KEY), "").await.json();
    fixture.with_headers("GET", link["path"].as_str().unwrap(), &[]).await;
    fixture.with_headers("POST", "/auth/logout", &[("cookie", &cookie), SAME]).await;
    fixture.call(Method::DELETE, &format!("/api/admin/people/{id}"), Some(KEY), "").await;
    let entries = fixture.take_down().await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let (name, proof) = (entry.name.as_deref().unwrap_or("-"), entry.proof.as_deref().unwrap_or("-"));
            format!("{name} {proof} {} {} {}", entry.method, entry.route, entry.status.unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            "admin admin_key POST /api/admin/people 201",
            "Ann token POST /api/admin/panic 403",
            "- - GET /api/admin/policy/current 403",
            "Ann token POST /auth/login 303",
            "- - POST /auth/login 403",
            "admin admin_key POST /api/admin/login-links 201",
            "admin link GET /login 303",
            "Ann session POST /auth/logout 303",
            "admin admin_key DELETE /api/admin/people/{id} 200",
        ]
    );
    assert_eq!(entries[8].target, format!("/api/admin/people/{id}"));
    let all = format!("{entries:?}");
    assert!(!["canary", "ltp-", "lts-", "ltl-"].iter().any(|secret| all.contains(secret)), "{all}");

    let page = fixture.get("/api/admin/audit?name=Ann&limit=1&offset=1").await.json();
    assert_eq!((&page["total"], &page["entries"][0]["route"]), (&json!(3), &json!("/auth/login")));
    let page = fixture.get("/api/admin/audit?route=/auth/login&from=2020-01-01").await.json();
    assert_eq!(page["total"], json!(2));
    assert_eq!(fixture.get("/api/admin/audit?to=2020-01-01").await.json()["total"], json!(0));
}
