//! What the start-up log says for which settings.

use std::collections::BTreeMap;

use rstest::rstest;

use super::*;
use crate::client_keys::tests as given_keys;
use crate::settings::Sources;

const GOOD: &str = "kX7vQ2mW9pL4tR8sZ1nB6cY3fD5gH0jA";

fn notes(flags: &[(&str, &str)], admin: &str) -> Vec<Note> {
    notes_given(&ClientKeys::default(), flags, admin)
}

fn notes_given(given: &ClientKeys, flags: &[(&str, &str)], admin: &str) -> Vec<Note> {
    let flags: BTreeMap<_, _> = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings = Settings::load(&Sources { flags, ..Sources::default() }).unwrap();
    let keys = Keys { admin: SecretString::from(admin), admin_is_set: true, identity: [1; 32], exposed: None };
    posture(&settings, &keys, given)
}

fn warnings(flags: &[(&str, &str)], admin: &str) -> Vec<String> {
    notes(flags, admin).into_iter().filter(|note| note.warning).map(|note| note.text).collect()
}

#[test]
fn the_defaults_warn_of_nothing_and_name_what_is_open() {
    let notes = notes(&[], GOOD);
    assert!(notes.iter().all(|note| !note.warning), "{notes:?}");
    assert!(notes[0].text.contains("CLIENT_API_KEY with AUTH_MODE=client_key closes this"));
    assert!(notes[1].text.contains("/health"));
}

#[test]
fn with_the_gateway_key_alone_no_caller_is_named() {
    let notes = notes(&[("client_api_key", "Hq8Zr5Lx2Vn7Ty4Kw9Pd1Mf6Bc3Gt0Js"), ("auth_mode", "client_key")], GOOD);
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[rstest]
#[case::none_was_given(ClientKeys::default())]
#[case::the_only_one_is_revoked(given_keys::one(true))]
fn where_only_keys_let_in_and_there_is_none_it_is_said(#[case] given: ClientKeys) {
    let notes = notes_given(&given, &[("auth_mode", "client_key")], GOOD);
    assert!(notes[0].warning && notes[0].text.contains("nobody can call yet"), "{notes:?}");
    assert!(notes[0].text.contains("POST /api/admin/client-keys"), "{notes:?}");
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn a_key_that_was_given_out_lets_its_holder_in() {
    let notes = notes_given(&given_keys::one(false), &[("auth_mode", "client_key")], GOOD);
    assert_eq!(notes.len(), 1, "{notes:?}");
    let both = notes_given(&given_keys::one(false), &[], GOOD);
    assert!(both[0].text.contains("beside those with the gateway key"), "{both:?}");
}

#[rstest]
#[case(&[("host", "0.0.0.0")], GOOD, "listening on 0.0.0.0 without TLS")]
#[case(&[("host", "::")], GOOD, "listening on :: without TLS")]
#[case(&[], "short", "ADMIN_API_KEY has fewer than 32 characters")]
#[case(&[], "luthien-dev-key-for-everyone-here", "ADMIN_API_KEY looks like one from an example")]
#[case(&[("client_api_key", "sk-short")], GOOD, "CLIENT_API_KEY has fewer than 32 characters")]
#[case(&[("client_api_key", GOOD)], GOOD, "are the same")]
#[case(&[("trust_user_id_header", "true")], GOOD, "TRUST_USER_ID_HEADER")]
#[case(&[("localhost_auth_bypass", "true")], GOOD, "without a key; LOCALHOST_AUTH_BYPASS=false closes this")]
fn what_needs_attention_is_said_first(#[case] flags: &[(&str, &str)], #[case] admin: &str, #[case] expected: &str) {
    let told = warnings(flags, admin);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(expected), "{told:?}");
    assert!(notes(flags, admin)[0].warning);
}

#[test]
fn beyond_loopback_the_bypass_does_not_count() {
    let flags = [("localhost_auth_bypass", "true"), ("host", "0.0.0.0")];
    assert!(warnings(&flags, GOOD).iter().any(|text| text.contains("LOCALHOST_AUTH_BYPASS does not count")));
    let of = |flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        bypassed(&Settings::load(&Sources { flags, ..Sources::default() }).unwrap())
    };
    assert_eq!([of(&flags), of(&flags[..1]), of(&[])], [false, true, false]);
}

#[test]
fn what_is_open_to_all_is_listed() {
    let notes = notes(&[], GOOD);
    let open = notes.iter().find(|note| note.text.starts_with("open to all")).unwrap();
    for path in ["/,", "/login,", "/auth/login,", "/auth/logout,", "/health,", "/openapi.json,", "/docs;"] {
        assert!(open.text.contains(path), "{path}: {}", open.text);
    }
}

#[rstest]
#[case("127.0.0.1")]
#[case("127.1.2.3")]
#[case("::1")]
#[case("[::1]")]
#[case("localhost")]
fn loopback_is_not_warned_of(#[case] host: &str) {
    assert_eq!(warnings(&[("host", host)], GOOD), [""; 0]);
}

#[test]
fn an_open_data_folder_is_warned_of() {
    let settings = Settings::load(&Sources::default()).unwrap();
    let admin = SecretString::from(GOOD);
    let keys = Keys { admin, admin_is_set: false, identity: [1; 32], exposed: Some("/data".into()) };
    assert!(posture(&settings, &keys, &ClientKeys::default())[0].text.ends_with("chmod 700 /data"));
}

#[test]
fn keys_are_not_shown() {
    let told = format!("{:?}", notes(&[("client_api_key", "canary-1234")], "canary-1234"));
    assert!(!told.contains("canary"));
}

#[test]
fn upstreams_that_check_no_caller_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "upstreams: { near: { dialect: chat, base_url: http://y, auth: none }, judges: { dialect: chat, base_url: http://z, auth: none } }\n\
                models: [{ match: a, upstream: near }]";
    std::fs::write(folder.path().join("luthien.yaml"), yaml).unwrap();
    let told = |flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sources = Sources { flags, folder: folder.path().to_owned(), ..Sources::default() };
        let keys = Keys { admin: SecretString::from(GOOD), admin_is_set: true, identity: [1; 32], exposed: None };
        let notes = posture(&Settings::load(&sources).unwrap(), &keys, &ClientKeys::default());
        notes.into_iter().find(|note| note.text.contains("ask for no key (near)")).map(|note| note.warning)
    };
    assert_eq!(told(&[]), Some(false));
    assert_eq!(told(&[("host", "0.0.0.0")]), Some(true));
    assert_eq!(told(&[("client_api_key", "Hq8Zr5Lx2Vn7Ty4Kw9Pd1Mf6Bc3Gt0Js"), ("auth_mode", "client_key")]), None);
}

#[test]
fn the_key_of_an_upstream_in_a_vendors_place_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (yaml, name) in [
        ("upstreams: { anthropic: false, openai: { api_key: canary } }", "openai"),
        ("upstreams: { openai: false, far: { dialect: openai, base_url: http://x, api_key: canary } }", "far"),
    ] {
        std::fs::write(folder.path().join("luthien.yaml"), yaml).unwrap();
        let sources = Sources { folder: folder.path().to_owned(), ..Sources::default() };
        let keys = Keys { admin: SecretString::from(GOOD), admin_is_set: true, identity: [1; 32], exposed: None };
        let told = posture(&Settings::load(&sources).unwrap(), &keys, &ClientKeys::default());
        assert!(told.iter().any(|note| note.text.contains(&format!("own keys ({name})"))), "{told:?}");
    }
}

#[test]
fn keys_that_rules_put_at_everyones_service_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "upstreams: { far: { dialect: chat, base_url: http://x, api_key: canary }, near: { dialect: chat, base_url: http://y, auth: none } }\n\
                models: [{ match: a, upstream: far }, { match: b, upstream: near, fallbacks: [far] }]";
    std::fs::write(folder.path().join("luthien.yaml"), yaml).unwrap();
    let told_given = |given: ClientKeys, flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sources = Sources { flags, folder: folder.path().to_owned(), ..Sources::default() };
        let settings = Settings::load(&sources).unwrap();
        let keys = Keys { admin: SecretString::from(GOOD), admin_is_set: true, identity: [1; 32], exposed: None };
        posture(&settings, &keys, &given)
            .into_iter()
            .find(|note| note.text.contains("own keys"))
            .map(|note| (note.warning, note.text))
    };
    let told = |flags: &[(&str, &str)]| told_given(ClientKeys::default(), flags);
    let (warning, text) = told(&[]).unwrap();
    assert!(
        !warning && text.contains("(far)") && text.contains("CLIENT_API_KEY") && !text.contains("canary"),
        "{text}"
    );
    assert!(told(&[("host", "0.0.0.0")]).unwrap().0);
    assert_eq!(told(&[("client_api_key", "Hq8Zr5Lx2Vn7Ty4Kw9Pd1Mf6Bc3Gt0Js")]), None);
    assert_eq!(told(&[("auth_mode", "client_key")]), None);
    assert_eq!(told_given(given_keys::one(false), &[]), None);
}

#[rstest]
#[case("both", Some(true))]
#[case("client_key", Some(false))]
fn a_mode_that_was_set_while_running_is_told(#[case] mode: &str, #[case] warned: Option<bool>) {
    let told = |mode: Option<&str>| {
        let environment = [("AUTH_MODE".to_owned(), "client_key".to_owned())].into();
        let mut settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
        if let Some(mode) = mode {
            settings.set_live("auth_mode", mode).unwrap();
        }
        let keys = Keys { admin: SecretString::from(GOOD), admin_is_set: true, identity: [1; 32], exposed: None };
        let notes = posture(&settings, &keys, &given_keys::one(false));
        notes.into_iter().find(|note| note.text.contains("set while running")).map(|note| note.warning)
    };
    assert_eq!((told(Some(mode)), told(None)), (warned, None));
}
