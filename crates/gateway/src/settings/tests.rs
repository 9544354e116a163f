//! Precedence, places, what is refused, and that the written reference is the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use luthien_wire::Dialect;
use rstest::rstest;
use secrecy::ExposeSecret;

use super::value::Value;
use super::*;
use crate::access::AccessRules;
use crate::config::{Limits, Timeouts};
use crate::data_dir::Keys;

mod models;

/// Sources with a `luthien.yaml` of this text in their folder, which is dropped with the second value.
fn sources(yaml: &str) -> (Sources, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("luthien.yaml"), yaml).unwrap();
    (Sources { folder: folder.path().to_owned(), ..Sources::default() }, folder)
}

fn with_environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, folder: Path::new("/nonexistent").to_owned(), ..Sources::default() }
}

fn problems(sources: &Sources) -> String {
    Settings::load(sources).unwrap_err().to_string()
}

#[test]
fn every_default_is_valid_and_unique_in_its_names() {
    let settings = Settings::load(&with_environment(&[])).unwrap();
    assert_eq!((settings.host.as_str(), settings.port), ("127.0.0.1", 8000));
    assert_eq!(settings.max_request_bytes, ByteSize(32 << 20));
    assert_eq!(settings.journal_max_bytes, ByteSize(2 << 30));
    assert_eq!(settings.first_byte_timeout, Duration::from_mins(10));
    assert_eq!(settings.policy_source, PolicySource::DbFallbackFile);
    assert!(settings.policy.is_none() && settings.file.is_none());

    let paths: BTreeSet<_> = DEFINITIONS.iter().map(|definition| definition.path).collect();
    assert_eq!(paths.len(), DEFINITIONS.len());
    let names: Vec<_> = DEFINITIONS.iter().flat_map(|definition| definition.environment).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn the_defaults_are_those_of_the_gateway() {
    let keys = Keys { admin: "a".into(), admin_is_set: true, identity: [7; 32], exposed: None };
    let config = Settings::load(&with_environment(&[])).unwrap().gateway_config(&keys);
    assert_eq!(config.listen, "127.0.0.1:8000");
    assert_eq!(config.identity_key, [7; 32]);
    assert_eq!(format!("{:?}", config.limits), format!("{:?}", Limits::default()));
    assert_eq!(format!("{:?}", config.timeouts), format!("{:?}", Timeouts::default()));
    assert_eq!(**config.access.rules(), AccessRules::default());
}

#[test]
fn an_ipv6_address_is_listened_on_in_brackets() {
    let keys = Keys { admin: "a".into(), admin_is_set: true, identity: [7; 32], exposed: None };
    let settings = Settings::load(&with_environment(&[("GATEWAY_HOST", "::1"), ("PORT", "0")])).unwrap();
    assert_eq!(settings.gateway_config(&keys).listen, "[::1]:0");
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let (mut sources, _folder) = sources("server: { port: 8001 }");
    assert_eq!(Settings::load(&sources).unwrap().port, 8001);
    sources.environment.insert("PORT".into(), "8002".into());
    assert_eq!(Settings::load(&sources).unwrap().port, 8002);
    sources.environment.insert("GATEWAY_PORT".into(), "8003".into());
    assert_eq!(Settings::load(&sources).unwrap().port, 8003);
    sources.flags.insert("port".into(), "8004".into());
    assert_eq!(Settings::load(&sources).unwrap().port, 8004);
}

#[rstest]
#[case("90", 90 * 24 * 3600)]
#[case("0.5", 12 * 3600)]
#[case("36h", 36 * 3600)]
fn retention_is_given_in_days(#[case] given: &str, #[case] seconds: u64) {
    let settings = Settings::load(&with_environment(&[("CONVERSATION_RETENTION_DAYS", given)])).unwrap();
    assert_eq!(settings.conversation_retention_days, Some(Days(Duration::from_secs(seconds))));
    let (sources, _folder) = sources(&format!("retention: {{ days: {given} }}"));
    assert_eq!(Settings::load(&sources).unwrap().conversation_retention_days, Some(Days(Duration::from_secs(seconds))));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let (mut sources, _folder) = sources("server: { port: 8001 }");
    sources.environment.insert("GATEWAY_PORT".into(), String::new());
    assert_eq!(Settings::load(&sources).unwrap().port, 8001);
}

#[test]
fn the_named_file_is_read_and_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = with_environment(&[("LUTHIEN_CONFIG", "other.yaml")]);
    sources.folder = folder.path().to_owned();
    assert!(problems(&sources).contains("there is no such file"));
    std::fs::write(folder.path().join("other.yaml"), "server: { port: 81 }").unwrap();
    assert_eq!(Settings::load(&sources).unwrap().port, 81);
    std::fs::write(folder.path().join("flag.yaml"), "server: { port: 82 }").unwrap();
    sources.config = Some("flag.yaml".into());
    assert_eq!(Settings::load(&sources).unwrap().port, 82);
}

#[test]
fn the_users_file_is_read_when_the_folder_has_none() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("luthien")).unwrap();
    std::fs::write(home.path().join("luthien/luthien.yaml"), "server: { port: 83 }").unwrap();
    let sources = with_environment(&[("XDG_CONFIG_HOME", home.path().to_str().unwrap())]);
    assert_eq!(Settings::load(&sources).unwrap().port, 83);
}

#[rstest]
#[case("server: { prot: 1 }", "luthien.yaml: server.prot: there is no such setting; did you mean `port`?")]
#[case("limit: { max_messages: 1 }", "luthien.yaml: limit: there is no such section; did you mean `limits`?")]
#[case("server: 5", "luthien.yaml: server: must hold settings")]
#[case("server: { port: true }", "luthien.yaml: server.port: must be a whole number")]
#[case("server: { port: 70000 }", "luthien.yaml: server.port: `70000` is not a whole number from 0 to 65535")]
#[case("server: { host: 5 }", "luthien.yaml: server.host: must be a text")]
#[case("limits: { max_messages: 0 }", "limits.max_messages: `0` is not a whole number from 1 to 1000000")]
#[case("limits: { max_messages: many }", "limits.max_messages: `many` is not a whole number from 1 to 1000000")]
#[case("recording: { database_url: \"mysql://u:p@h/d\" }", "recording.database_url: must be `sqlite://` and a path")]
#[case("timeouts: { connect: 10 minutes }", "timeouts.connect: `10 minutes` is not a time such as")]
#[case("timeouts: { connect: 1ms }", "timeouts.connect: `1ms` is not between 100ms and 5m")]
#[case("limits: { max_request_bytes: 32 MiBs }", "limits.max_request_bytes: `32 MiBs` is not a size such as")]
#[case("logging: { level: loud }", "logging.level: `loud` is not one of `error`, `warn`")]
#[case("upstreams: { anthropic: { base_url: ftp://x } }", "upstreams.anthropic.base_url: `ftp://x` is not a URL")]
#[case("upstreams: { anthropic: { dialect: chat } }", "upstreams.anthropic.dialect: `anthropic` speaks something else")]
#[case("upstreams: { local: { dialect: chat } }", "upstreams.local: `base_url` is missing")]
#[case(
    "upstreams: { local: { base_url: http://x, dialect: chat, key: 1 } }",
    "upstreams.local.key: unknown field `key`"
)]
#[case(
    "upstreams: { local: { base_url: http://x, dialect: chat, timeouts: { idle: soon } } }",
    "upstreams.local.timeouts.idle: expected a time"
)]
#[case("server: { allowed_paths: [/api] }", "server.allowed_paths: `/api` is not paths that begin with `/v1/`")]
#[case("server: { data_dir: ~/luthien }", "server.data_dir: `~/luthien` is not a path; write the home folder out")]
#[case(
    "auth: { client_api_key: \"${NOT_SET}\" }",
    "auth.client_api_key: the environment variable `NOT_SET` is not set"
)]
#[case("retention: { days: 0 }", "retention.days: `0` is not between 1s and 36500")]
#[case("retention: { days: soon }", "retention.days: `soon` is not a number of days such as `90` or `0.5`")]
#[case("retention: { s3_encryption: rot13 }", "retention.s3_encryption: `rot13` is not one of `AES256`, `aws:kms`")]
#[case(
    "retention: { archive_dir: a, s3_bucket: b }",
    "retention.archive_dir: `archive_dir` and `s3_bucket` are both set"
)]
#[case("retention: { s3_bucket: b }", "retention.s3_bucket: needs a key that may write to it")]
#[case(
    "retention: { s3_kms_key_id: k, s3_encryption: aes256 }",
    "retention.s3_kms_key_id: is for `s3_encryption: aws:kms`"
)]
#[case("server: [1]", "must hold settings")]
#[case("- a", "it must hold sections")]
#[case("server: { port: 1", "cannot read the settings file")]
#[case("server: { port: 1, port: 2 }", "cannot read the settings file")]
fn what_is_wrong_is_named_with_its_place(#[case] yaml: &str, #[case] expected: &str) {
    let (sources, _folder) = sources(yaml);
    let told = problems(&sources);
    assert!(told.contains(expected), "{told}");
}

#[test]
fn all_problems_come_at_once() {
    let (mut sources, _folder) = sources("server: { prot: 1 }\nlimits: { max_messages: no }");
    sources.environment.insert("GATEWAY_PORT".into(), "x".into());
    sources.flags.insert("log_level".into(), "loud".into());
    let told = problems(&sources);
    assert!(told.starts_with("the settings have 4 problem(s):"), "{told}");
    assert!(told.contains("\n  GATEWAY_PORT: `x` is not") && told.contains("\n  --log-level: `loud` is not"), "{told}");
}

#[test]
fn a_secret_is_read_from_a_file_and_never_shown() {
    let (mut sources, folder) = sources("auth: { client_api_key_file: key.txt }");
    std::fs::write(folder.path().join("key.txt"), "from-the-file\n").unwrap();
    let key = |sources: &Sources| Settings::load(sources).unwrap().client_api_key.unwrap().expose_secret().to_owned();
    assert_eq!(key(&sources), "from-the-file");
    std::fs::write(folder.path().join("env.txt"), "from-the-environment").unwrap();
    sources.environment.insert("PROXY_API_KEY_FILE".into(), "env.txt".into());
    assert_eq!(key(&sources), "from-the-environment");
    sources.environment.insert("PROXY_API_KEY".into(), "again".into());
    assert!(problems(&sources).contains("PROXY_API_KEY: PROXY_API_KEY_FILE is set too"));

    let canary = with_environment(&[("ADMIN_API_KEY", "canary-1234"), ("CLIENT_API_KEY", "canary\n2")]);
    assert!(!problems(&canary).contains("canary"));
    let shown = format!("{:?}", Settings::load(&with_environment(&[("ADMIN_API_KEY", "canary-1234")])).unwrap());
    assert!(!shown.contains("canary"));
}

#[rstest]
#[case("auth:\n  client_api_key: canary\n  admin_api_key: canary: canary\nserver: {", "line")]
#[case("auth: { client_api_key: canary, client_api_key: canary }", "line")]
#[case("upstreams: { openai: { base_url: \"https://user:canary@example.com\" } }", "base_url: its value is not a URL")]
#[case("recording: { database_url: \"mysql://user:canary@example.com\" }", "must be `sqlite://`")]
#[case("auth: { client_api_key: [canary] }", "auth.client_api_key: must be a text")]
#[case("auth: { client_api_key: \"canary\\n2\" }", "its value is not a secret in one line")]
fn what_is_wrong_is_told_without_the_secrets_beside_it(#[case] yaml: &str, #[case] expected: &str) {
    let (sources, _folder) = sources(yaml);
    let told = problems(&sources);
    assert!(told.contains(expected) && !told.contains("canary"), "{told}");
}

#[test]
fn the_file_names_variables_but_a_policy_is_kept_as_written() {
    let (mut sources, _folder) = sources(
        "server: { host: \"${HOST_NAME}\", data_dir: \"/a$${b}\" }\npolicy: { class: no_op, config: { text: \"${LEFT}\" } }",
    );
    sources.environment.insert("HOST_NAME".into(), "::1".into());
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.host, "::1");
    assert_eq!(settings.data_dir.as_deref(), Some(Path::new("/a${b}")));
    assert_eq!(settings.policy, Some(serde_json::json!({ "class": "no_op", "config": { "text": "${LEFT}" } })));
}

#[test]
fn a_path_is_relative_to_where_it_is_given() {
    let (mut sources, folder) = sources("server: { data_dir: data }\npolicy: { file: /etc/policy.yaml }");
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.data_dir, Some(folder.path().join("data")));
    assert_eq!(settings.policy_config.as_deref(), Some(Path::new("/etc/policy.yaml")));
    sources.flags.insert("data_dir".into(), "data".into());
    assert_eq!(Settings::load(&sources).unwrap().data_dir.as_deref(), Some(Path::new("data")));
}

#[test]
fn allowed_paths_are_the_gateways_default_or_a_list() {
    let paths = |yaml: &str| {
        let (sources, _folder) = sources(yaml);
        Settings::load(&sources).unwrap().allowed_paths.0
    };
    assert_eq!(paths(""), crate::config::DEFAULT_ALLOWED_PATHS);
    assert_eq!(paths("server: { allowed_paths: [/v1/files*, /v1/batches] }"), ["/v1/files*", "/v1/batches"]);
    assert_eq!(paths("server: { allowed_paths: [] }"), [""; 0]);
}

#[test]
fn upstreams_are_the_two_defaults_and_the_files_own() {
    let (mut sources, _folder) = sources(
        "upstreams:\n  anthropic: { dialect: messages, timeouts: { first_byte: 20m } }\n  \
         local: { dialect: chat, base_url: http://127.0.0.1:9000/v1/, api_key: \"${KEY}\", timeouts: { idle: 90 } }",
    );
    sources.environment.insert("KEY".into(), "local-key".into());
    sources.environment.insert("ANTHROPIC_BASE_URL".into(), "http://127.0.0.1:1".into());
    let upstreams = Settings::load(&sources).unwrap().upstreams;
    let names: Vec<_> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    assert_eq!(names, ["anthropic", "openai", "local"]);
    assert_eq!(upstreams[0].base_url, "http://127.0.0.1:1");
    assert_eq!(upstreams[0].timeouts.first_byte, Some(Duration::from_mins(20)));
    assert_eq!(upstreams[1].dialects, [Dialect::Chat, Dialect::Responses]);
    assert_eq!(upstreams[2].base_url, "http://127.0.0.1:9000/v1");
    assert_eq!(upstreams[2].key.as_ref().unwrap().expose_secret(), "local-key");
    assert_eq!(upstreams[2].timeouts.idle, Some(Duration::from_secs(90)));
}

#[rstest]
#[case("500ms", 500)]
#[case("10s", 10_000)]
#[case("120", 120_000)]
#[case("1m", 60_000)]
#[case("1h30m", 5_400_000)]
fn times_are_read(#[case] text: &str, #[case] millis: u64) {
    assert_eq!(Duration::parse(text), Ok(Duration::from_millis(millis)));
}

#[rstest]
#[case("10", 10)]
#[case("512KiB", 512 << 10)]
#[case("32 MiB", 32 << 20)]
#[case("2GB", 2_000_000_000)]
fn sizes_are_read(#[case] text: &str, #[case] bytes: u64) {
    assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)));
}

#[rstest]
#[case("")]
#[case("s")]
#[case("-1s")]
#[case("1.5s")]
#[case("99999999999999999999s")]
#[case("9999999999999999h")]
fn what_is_no_time_is_refused(#[case] text: &str) {
    assert!(Duration::parse(text).is_err());
    assert!(ByteSize::parse(text).is_err());
}

#[rstest]
#[case("docs/settings.md", settings_reference())]
#[case(".env.example", env_example())]
fn the_written_reference_is_the_table(#[case] file: &str, #[case] generated: String) {
    let path = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..").join(file);
    let environment: BTreeMap<_, _> = std::env::vars().collect();
    if environment.contains_key("UPDATE_DOCS") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, generated, "{file} is out of date: run the tests with UPDATE_DOCS=1");
}

#[test]
fn the_reference_names_every_setting() {
    let reference = settings_reference();
    let example = env_example();
    for definition in DEFINITIONS {
        assert!(reference.contains(&format!("`{}`", definition.path)));
        assert!(reference.contains(&format!("`--{}`", definition.flag())));
        assert!(definition.environment.iter().all(|name| reference.contains(&format!("`{name}`"))));
        assert!(example.contains(&format!("\n#{}=", definition.environment[0])));
    }
}
