//! People, login links and the audit log, by the real binary beside a gateway that runs.

use luthien_testkit::client::{get, post};
use serde_json::{Value, json};

use crate::moving::json as parsed;
use crate::support::{Home, Served};

#[tokio::test(flavor = "multi_thread")]
async fn people_get_in_under_their_own_name_and_what_they_do_is_noted() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    assert!(served.greeting.contains("`luthien login` prints a link"), "{}", served.greeting);
    assert!(!served.greeting.contains("token="), "a link is for terminals only: {}", served.greeting);
    assert!(home.luthien(&["people"]).out.contains("Nobody has a token of their own"));

    let made = parsed(&home.luthien(&["people", "add", "Ann", "--role", "admin", "--for", "90d", "--json"]));
    let token = made["token"].as_str().unwrap();
    let listed = home.luthien(&["people", "list"]).out;
    assert!(listed.starts_with("Ann ") && listed.contains(" admin ") && !listed.contains(token), "{listed}");
    assert_eq!(home.luthien(&["people", "add", "ann", "--role", "viewer"]).code, 1);

    let change = |token: &str| {
        let url = format!("{}/api/admin/panic", served.base);
        let bearer = format!("Bearer {token}");
        async move { post(&url, &[("authorization", &bearer)], r#"{"mode":"off"}"#.to_owned()).await.unwrap().status }
    };
    assert_eq!(change(token).await, 200);
    assert_eq!(home.luthien(&["people", "role", "Ann", "viewer"]).out, "Ann is viewer now.\n");
    assert_eq!(change(token).await, 403);
    assert_eq!(home.luthien(&["people", "role", "Ann", "admin"]).code, 0);
    let renewed = parsed(&home.luthien(&["people", "renew", "Ann", "--json"]));
    let fresh = renewed["token"].as_str().unwrap();
    assert_eq!((change(token).await, change(fresh).await), (403, 200));
    assert_eq!(home.luthien(&["people", "remove", "Ann"]).out, "Ann is removed.\n");
    assert_eq!(change(fresh).await, 403);
    assert_eq!(home.luthien(&["people", "remove", "Ann"]).code, 1);

    let link = home.luthien(&["login"]).out;
    assert!(link.starts_with(&format!("{}/login?token=ltl-", served.base)), "{link}");
    for expected in [303, 403] {
        assert_eq!(get(link.trim(), &[]).await.unwrap().status, expected);
    }
    assert_eq!(served.stop(), 0);

    // What waited for the database was written at the end.
    let served = Served::start(&home, &[]);
    let noted = parsed(&home.luthien(&["audit", "--name", "Ann", "--json"]));
    let of_ann: Vec<&Value> = noted["entries"].as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
    assert_eq!(of_ann, [&json!(200), &json!(403), &json!(200)]);
    let route = home.luthien(&["audit", "--route", "/login"]).out;
    assert_eq!(route.lines().count(), 2, "{route}");
    assert_eq!(served.stop(), 0);
}

#[test]
fn commands_on_the_database_itself_are_noted_with_the_systems_user() {
    let mut home = Home::new();
    assert_eq!(Served::start(&home, &[]).stop(), 0);
    home.set("CONVERSATION_RETENTION_DAYS", "30");
    assert_eq!(home.luthien(&["retention", "run"]).code, 0);
    let file = home.path().join("a.backup");
    assert_eq!(home.luthien(&["backup", file.to_str().unwrap()]).code, 0);
    let restored = home.luthien(&["restore", file.to_str().unwrap(), "--replace"]);
    assert_eq!(restored.code, 0, "{}", restored.err);
    let served = Served::start(&home, &[]);
    let noted = parsed(&home.luthien(&["audit", "--json"]));
    let entries = noted["entries"].as_array().unwrap();
    let told: Vec<_> = entries.iter().map(|entry| (&entry["route"], &entry["method"], &entry["proof"])).collect();
    let (command, user) = (json!("CLI"), json!("os_user"));
    let expected = [json!("luthien restore"), json!("luthien retention run")];
    assert_eq!(told, expected.iter().map(|route| (route, &command, &user)).collect::<Vec<_>>());
    assert_eq!((&entries[0]["target"], &entries[0]["name"]), (&json!(file), &entries[1]["name"]));
    assert!(entries[0]["name"].as_str().is_some_and(|name| !name.is_empty()), "{noted}");
    assert_eq!(served.stop(), 0);
}
