//! Assignments, what they make of a request, history and rollback, and the panic switch, through the routes.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::activity::Seen;

const KEY_ID: &str = "09090909090909090909090909090909";

impl Fixture {
    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(KEY), &body.to_string()).await
    }

    async fn assign(&self, scope: Value, class: &str, more: Value) -> Value {
        let mut body = json!({"scope": scope, "policy_class_ref": class, "set_by": "a person"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.post("/api/admin/policy/assignments", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }
}

fn steps(effective: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    effective["ladder"].as_array().unwrap()[2..]
        .iter()
        .map(|rung| (text(&rung["rung"]), text(&rung["place"])))
        .collect()
}

#[tokio::test]
async fn an_assignment_is_listed_until_it_is_ended() {
    let fixture = Fixture::new().await;
    let set = fixture.assign(json!({"kind": "key", "key": KEY_ID}), "all_caps", json!({"mode": "shadow"})).await;
    assert_eq!((&set["success"], &set["policy"]), (&json!(true), &json!("all_caps")));
    let list = fixture.get("/api/admin/policy/assignments").await.json();
    assert_eq!((&list["total"], &list["assignments"][0]), (&json!(1), &set["assignment"]));
    let one = &list["assignments"][0];
    assert_eq!(one["scope"], json!({"kind": "key", "key": KEY_ID}));
    assert_eq!(
        (&one["mode"], &one["how"], &one["set_by"], &one["expires_at"], &one["rejected"]),
        (&json!("shadow"), &json!("replace"), &json!("a person"), &json!(null), &json!(null))
    );
    let path = format!("/api/admin/policy/assignments/{}", one["id"]);
    assert_eq!(fixture.get(&path).await.json(), *one);
    let end = format!("{path}?ended_by=another");
    assert_eq!(fixture.call(Method::DELETE, &end, Some(KEY), "").await.json()["success"], true);
    assert_eq!(fixture.call(Method::DELETE, &path, Some(KEY), "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.get("/api/admin/policy/assignments").await.json()["total"], 0);
    let ended = fixture.get("/api/admin/policy/assignments/ended").await.json();
    let ended = &ended["assignments"][0];
    assert_eq!((&ended["ended_by"], &ended["set_by"]), (&json!("another"), &json!("a person")));
    assert_eq!((&ended["id"], &ended["scope"]["key"]), (&one["id"], &json!(KEY_ID)));
}

#[tokio::test]
async fn the_whole_ladder_is_explained() {
    let fixture = Fixture::new().await;
    let session = json!({"kind": "session", "session": "s", "key": KEY_ID});
    fixture.assign(session, "all_caps", json!({"how": "add", "for": "15m"})).await;
    fixture.assign(json!({"kind": "key", "key": KEY_ID}), "debug_logging", json!({})).await;
    let path = format!("/api/admin/policy/effective?key={KEY_ID}&session=s");
    let effective = fixture.get(&path).await.json();
    let steps = steps(&effective);
    let expected = [("session", "applies"), ("key", "applies"), ("global", "outranked")];
    assert_eq!(steps.iter().map(|(rung, place)| (&**rung, &**place)).collect::<Vec<_>>(), expected);
    assert_eq!((&effective["policy"], &effective["refused"]), (&json!("debug_logging+all_caps"), &json!(null)));
    let label = "debug_logging+all_caps; version=0; scope=session+key; assignment=1+2";
    assert_eq!(effective["label"], label);
    let until = effective["ladder"][2]["expires_at"].as_str().unwrap();
    assert!(until.ends_with('Z') && effective["ladder"][2]["why"].is_string());
    let plain = fixture.get("/api/admin/policy/effective").await.json();
    assert_eq!((&plain["policy"], self::steps(&plain).len()), (&json!("no_op"), 1));
    let wish = fixture.get("/api/admin/policy/effective?header=all_caps").await.json();
    assert!(wish["refused"].as_str().unwrap().contains("POLICY_HEADER_CHOICES"), "{wish}");
}

#[rstest]
#[case(json!({}), "scope")]
#[case(json!({"scope": {"kind": "all"}}), "scope.kind")]
#[case(json!({"scope": {"kind": "key"}}), "scope.key")]
#[case(json!({"scope": {"kind": "key", "key": "sk-a-credential"}}), "scope.key")]
#[case(json!({"scope": {"kind": "session"}}), "scope.session")]
#[case(json!({"scope": {"kind": "session", "session": "unknown"}}), "scope.session")]
#[case(json!({"scope": {"kind": "header", "name": "all_caps"}}), "scope.name")]
#[case(json!({"scope": {"kind": "global"}}), "expires_at")]
#[case(json!({"scope": {"kind": "global"}, "for": "a while"}), "for")]
#[case(json!({"scope": {"kind": "global"}, "for": "0s"}), "for")]
#[case(json!({"scope": {"kind": "global"}, "expires_at": "2020-01-01T00:00:00Z"}), "expires_at")]
#[case(json!({"scope": {"kind": "global"}, "expires_at": "2990-01-01T00:00:00Z", "for": "1h"}), "for")]
#[case(json!({"scope": {"kind": "global"}, "for": "1h", "how": "instead"}), "how")]
#[case(json!({"scope": {"kind": "global"}, "for": "1h", "mode": "half"}), "mode")]
#[case(json!({"scope": {"kind": "global"}, "for": "1h", "until": "noon"}), "until")]
#[tokio::test]
async fn what_is_wrong_with_an_assignment_has_its_place(#[case] body: Value, #[case] place: &str) {
    let fixture = Fixture::new().await;
    let mut all = json!({"policy_class_ref": "no_op"});
    all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let answer = fixture.post("/api/admin/policy/assignments", &all).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    assert_eq!(answer.json()["detail"][0]["loc"], json!(["body", place]), "{}", answer.text);
}

#[tokio::test]
async fn every_setting_is_in_the_history_and_can_come_back() {
    let fixture = Fixture::new().await;
    for (class, by) in [("all_caps", "a"), ("no_op", "b")] {
        let body = json!({"policy_class_ref": class, "enabled_by": by, "mode": "shadow"});
        assert_eq!(fixture.set(&body.to_string()).await.json()["success"], true);
    }
    let path = "/api/admin/policy/rollback";
    let back = fixture.post(path, &json!({"version": 1, "enabled_by": "c"})).await.json();
    assert_eq!((&back["success"], &back["policy"]), (&json!(true), &json!("all_caps")));
    let history = fixture.get("/api/admin/policy/history?limit=2").await.json();
    let listed = |at: usize, name: &str| history["history"][at][name].clone();
    assert_eq!((&history["total"], history["history"].as_array().unwrap().len()), (&json!(3), 2));
    assert_eq!(
        (listed(0, "version"), listed(0, "class_ref"), listed(0, "enabled_by")),
        (json!(3), json!("all_caps"), json!("c"))
    );
    assert_eq!((listed(0, "mode"), listed(1, "enabled_by")), (json!("shadow"), json!("b")));
    let current = fixture.get("/api/admin/policy/current").await.json();
    assert_eq!(
        (&current["class_ref"], &current["version"], &current["mode"]),
        (&json!("all_caps"), &json!(3), &json!("shadow"))
    );
    assert_eq!(fixture.post(path, &json!({"version": 9})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.post(path, &json!({"version": "1"})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn validating_changes_nothing() {
    let fixture = Fixture::new().await;
    let path = "/api/admin/policy/validate";
    assert_eq!(fixture.post(path, &json!({"policy_class_ref": "all_caps"})).await.json()["success"], true);
    let wrong = fixture.post(path, &json!({"policy_class_ref": "all_caps", "config": {"loud": 1}})).await.json();
    assert_eq!((&wrong["success"], &wrong["validation_errors"][0]["loc"]), (&json!(false), &json!(["loud"])));
    assert_eq!(fixture.get("/api/admin/policy/current").await.json()["version"], 0);
}

#[tokio::test]
async fn a_rejected_policy_is_shown_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("luthien.yaml");
    std::fs::write(&file, "policy: { class: tool_call_judge, config: { probability_threshold: 7 } }").unwrap();
    let fixture = Fixture::on(folder.path()).await;
    let current = fixture.get("/api/admin/policy/current").await.json();
    let reason = current["rejected"]["reason"].as_str().unwrap();
    assert!(reason.contains("probability_threshold: must be from 0 to 1, is 7"), "{reason}");
    assert_eq!((&current["class_ref"], &current["fail_mode"]), (&json!("tool_call_judge"), &json!("closed")));
    assert_eq!(current["rejected"]["validation_errors"][0]["loc"], json!(["probability_threshold"]));
    let health = fixture.call(Method::GET, "/health", None, "").await;
    assert_eq!((&health.json()["status"], health.status), (&json!("degraded"), StatusCode::OK));
    let told = &health.json()["checks"]["policy"]["rejected"][0];
    assert_eq!(*told, json!({"of": "global", "fields": ["probability_threshold: bad_value"]}));
    assert_eq!(fixture.call(Method::GET, "/ready", None, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_switch_is_turned_shown_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::on(folder.path()).await;
    let before = fixture.get("/api/admin/panic").await.json();
    assert_eq!((&before["mode"], &before["stored"], &before["set_by"]), (&json!("off"), &json!(true), &json!(null)));
    let body = json!({"mode": "tool_calls", "reason": "an agent went astray", "set_by": "a person"});
    let mut watcher = fixture.state.activity.watch(None);
    let on = fixture.post("/api/admin/panic", &body).await.json();
    assert_eq!((&on["mode"], &on["stored"], &on["warning"]), (&json!("tool_calls"), &json!(true), &json!(null)));
    let Seen::Event(told) = watcher.next().await else { panic!("nothing was told") };
    assert_eq!((&*told.event_type, &told.data), ("operator.panic", &body));
    let health = fixture.call(Method::GET, "/health", None, "").await;
    assert_eq!(
        (&health.json()["status"], &health.json()["checks"]["panic"]),
        (&json!("degraded"), &json!("tool_calls"))
    );
    assert!(!health.text.contains("astray"));
    let ready = fixture.call(Method::GET, "/ready", None, "").await;
    assert_eq!((ready.status, &ready.json()["panic"]), (StatusCode::OK, &json!("tool_calls")));
    let again = state_on(&fixture).await;
    assert_eq!(again.live().load().panic.order.reason.as_deref(), Some("an agent went astray"));
    assert_eq!(again.live().load().usual().label(), "operator_stop+no_op; version=0");
    let history = fixture.get("/api/admin/panic/history").await.json();
    assert_eq!(
        (&history["history"][0]["mode"], &history["history"][0]["set_by"]),
        (&json!("tool_calls"), &json!("a person"))
    );
    let wrong = fixture.post("/api/admin/panic", &json!({"mode": "on"})).await;
    assert_eq!(wrong.json()["detail"][0]["loc"], json!(["body", "mode"]));
}

#[tokio::test]
async fn the_switch_counts_although_the_database_is_away() {
    let fixture = Fixture::new().await;
    fixture.state.recorder.store().close().await;
    let on = fixture.post("/api/admin/panic", &json!({"mode": "traffic"})).await;
    assert_eq!(
        (on.status, &on.json()["mode"], &on.json()["stored"]),
        (StatusCode::OK, &json!("traffic"), &json!(false))
    );
    assert!(on.json()["warning"].as_str().unwrap().contains("a restart now would forget it"));
    assert!(on.json()["error"].is_string());
    assert_eq!(fixture.state.policies.live().load().panic.order.mode, crate::panic_switch::PanicMode::Traffic);
}

async fn state_on(fixture: &Fixture) -> PolicyState {
    let sources = Sources::default();
    let options = PolicyOptions::new(&Settings::load(&sources).unwrap(), &sources);
    PolicyState::start(options, fixture.state.recorder.store().clone(), Clock::system()).await.unwrap()
}
