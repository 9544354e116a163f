//! What the data folder keeps, and for whom.

use super::*;

fn folder() -> (tempfile::TempDir, DataDir) {
    let temporary = tempfile::tempdir().unwrap();
    let data = DataDir::open(&temporary.path().join("a/luthien")).unwrap();
    (temporary, data)
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_made_once_and_kept() {
    let (_temporary, data) = folder();
    assert!(data.admin_key().is_none());
    let first = data.keys(None).unwrap();
    let second = data.keys(None).unwrap();
    assert_eq!(first.identity, second.identity);
    assert_eq!(first.admin.expose_secret(), second.admin.expose_secret());
    assert_eq!(data.admin_key().unwrap().expose_secret(), first.admin.expose_secret());
    assert!(first.admin.expose_secret().starts_with("luthien-admin-"));
    assert!(!first.admin_is_set);
    assert_ne!(first.identity, [0; 32]);
}

#[test]
fn an_admin_key_that_is_set_is_used_and_not_written_down() {
    let (_temporary, data) = folder();
    let keys = data.keys(Some(&SecretString::from("of-my-own"))).unwrap();
    assert_eq!(keys.admin.expose_secret(), "of-my-own");
    assert!(keys.admin_is_set);
    assert!(data.admin_key().is_none());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_look() {
    use std::os::unix::fs::PermissionsExt;
    let (_temporary, data) = folder();
    data.keys(None).unwrap();
    assert_eq!(mode(data.path()), 0o700);
    assert_eq!(mode(&data.admin_key_file()), 0o600);
    assert_eq!(mode(&data.path().join(IDENTITY_KEY)), 0o600);

    std::fs::set_permissions(data.admin_key_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    data.keys(None).unwrap();
    assert_eq!(mode(&data.admin_key_file()), 0o600);
    assert_eq!(data.keys(None).unwrap().exposed, None);
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_can_look_into_is_named_and_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let (_temporary, data) = folder();
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(data.keys(None).unwrap().exposed.as_deref(), Some(data.path()));
    assert_eq!(mode(data.path()), 0o755);
}

#[test]
fn a_damaged_key_is_named_and_not_replaced() {
    let (_temporary, data) = folder();
    std::fs::write(data.path().join(IDENTITY_KEY), "not a key").unwrap();
    let error = data.keys(None).unwrap_err().to_string();
    assert!(error.contains("identity.key is damaged"), "{error}");
    assert_eq!(std::fs::read_to_string(data.path().join(IDENTITY_KEY)).unwrap(), "not a key");
}

#[test]
fn a_running_gateway_is_found_until_it_ends() {
    let (_temporary, data) = folder();
    assert_eq!(data.running(), None);
    let running = Running {
        address: "0.0.0.0:8123".parse().unwrap(),
        pid: 7,
        version: "1".into(),
        admin_key_here: true,
        started: None,
    };
    let file = data.announce(running.clone()).unwrap();
    assert_eq!(data.running(), Some(running.clone()));
    assert_eq!(running.url(), "http://127.0.0.1:8123");
    drop(file);
    assert_eq!(data.running(), None);
}

#[test]
fn the_file_of_a_later_gateway_stays() {
    let (_temporary, data) = folder();
    let earlier = Running {
        address: "127.0.0.1:1".parse().unwrap(),
        pid: 7,
        version: "1".into(),
        admin_key_here: true,
        started: None,
    };
    let later = Running { pid: 8, ..earlier.clone() };
    let first = data.announce(earlier).unwrap();
    let second = data.announce(later.clone()).unwrap();
    drop(first);
    assert_eq!(data.running(), Some(later));
    drop(second);
}

#[test]
fn what_an_older_version_has_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"address": "127.0.0.1:1", "pid": 7, "version": "0", "admin_key_here": true}"#;
    std::fs::write(folder.path().join("gateway.json"), text).unwrap();
    assert_eq!(DataDir::at(folder.path()).running().unwrap().started, None);
    let kept = Kept::Up { flags: vec!["--port".into(), "1".into()], folder: "/x".into() };
    let started = Started { at: Timestamp::UNIX_EPOCH, process: Some(3), kept };
    let text = serde_json::to_string(&started).unwrap();
    assert_eq!(serde_json::from_str::<Started>(&text).unwrap(), started);
}

#[test]
fn what_a_later_version_says_of_its_start_is_left_to_whoever_started_it() {
    for (text, kept) in [("caller", Kept::Caller), ("agent", Kept::Agent), ("magic", Kept::Caller)] {
        assert_eq!(serde_json::from_value::<Kept>(serde_json::json!({"by": text, "more": 1})).unwrap(), kept);
    }
    assert_eq!(serde_json::to_value(Kept::Caller).unwrap(), serde_json::json!({"by": "caller"}));
}
