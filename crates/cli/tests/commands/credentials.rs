//! Stored credentials and inference providers, by the real binary.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::moving::{ALL_CAPS, json, older};
use crate::support::{Home, Served};

const CANARY: &str = "sk-canary-of-the-store";

/// The example of the Fernet specification: this token holds `hello`.
const FERNET_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const FERNET_TOKEN: &str =
    "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

/// Whether any file below the home holds these bytes, the one of this name aside.
fn anywhere(home: &Home, but: &str) -> Vec<String> {
    let mut folders = vec![home.path().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != but {
                let bytes = fs::read(&path).unwrap_or_default();
                if bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

#[test]
fn a_credential_is_stored_listed_sealed_anew_and_removed() {
    let home = Home::new();
    home.write("value.txt", &format!("{CANARY}\n"));
    let served = Served::start(&home, &[]);
    let added = home.luthien(&["credentials", "add", "judge-key", "--platform", "openai", "--value-file", "value.txt"]);
    assert_eq!((added.code, added.out.as_str()), (0, "judge-key is stored.\n"), "{}", added.err);
    let added = home.luthien(&[
        "providers",
        "add",
        "small",
        "--backend",
        "direct_api",
        "--credential",
        "judge-key",
        "--model",
        "m",
    ]);
    assert_eq!((added.code, added.out.as_str()), (0, "small is set up.\n"), "{}", added.err);
    let listed = json(&home.luthien(&["credentials", "list", "--json"]));
    assert_eq!(listed["credentials"][0]["used_by"], json!(["inference provider small"]));
    assert!(home.luthien(&["providers"]).out.starts_with("small  direct_api  model m  credential judge-key\n"));
    let none = home.luthien(&["credentials", "add", "other", "--value-file", "/dev/null"]);
    assert!(none.code == 1 && none.err.contains("value is empty"), "{}", none.err);

    let key = fs::read_to_string(home.data().join("credentials.key")).unwrap();
    let rotated = home.luthien(&["credentials", "rotate-key"]);
    assert!(rotated.code == 0 && rotated.out.starts_with("1 credential sealed anew"), "{}{}", rotated.out, rotated.err);
    assert_ne!(fs::read_to_string(home.data().join("credentials.key")).unwrap(), key);
    let refused = home.luthien(&["credentials", "remove", "judge-key"]);
    assert!(refused.code == 1 && refused.err.contains("inference provider small"), "{}", refused.err);
    let backup = home.luthien(&["backup", "all.backup", "--with-keys"]);
    assert_eq!(backup.code, 0, "{}", backup.err);
    assert_eq!(anywhere(&home, "value.txt"), [""; 0]);
    assert_eq!(home.luthien(&["credentials", "remove", "judge-key", "--force"]).out, "judge-key is removed.\n");
    assert_eq!(served.stop(), 0);
    assert_eq!(anywhere(&home, "value.txt"), [""; 0]);
}

#[test]
fn an_upstream_whose_credential_is_missing_is_warned_of() {
    let home = Home::new();
    home.write("luthien.yaml", "upstreams: { anthropic: { credential: gone } }\n");
    let served = Served::start(&home, &["--config", "luthien.yaml"]);
    assert!(served.greeting.contains("the credential `gone` is not stored"), "{}", served.greeting);
    assert_eq!(served.stop(), 0);
}

#[test]
fn an_older_proxys_credentials_providers_and_settings_come_over() {
    let home = Home::new();
    let old = older(&home, ALL_CAPS);
    let script = r#"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("CREATE TABLE server_credentials (name TEXT PRIMARY KEY, platform TEXT, platform_url TEXT, credential_type TEXT, credential_value TEXT, is_encrypted INTEGER)")
db.execute("CREATE TABLE inference_providers (name TEXT PRIMARY KEY, backend_type TEXT, credential_name TEXT, default_model TEXT, config TEXT)")
db.execute("CREATE TABLE gateway_config (key TEXT PRIMARY KEY, value TEXT)")
db.execute("INSERT INTO server_credentials VALUES ('clear', 'openai', NULL, 'api_key', ?, 0)", (sys.argv[2],))
db.execute("INSERT INTO server_credentials VALUES ('sealed', 'anthropic', NULL, 'api_key', ?, 1)", (sys.argv[3],))
db.execute("INSERT INTO server_credentials VALUES ('lost', 'anthropic', NULL, 'api_key', 'gAAAAAAnonsense', 1)")
db.execute("INSERT INTO inference_providers VALUES ('small', 'direct_api', 'clear', 'm', '{}')")
db.execute("INSERT INTO inference_providers VALUES ('odd', 'telepathy', NULL, NULL, '{}')")
db.execute("INSERT INTO gateway_config VALUES ('rate_limit_rpm', '60')")
db.execute("INSERT INTO gateway_config VALUES ('gateway_port', '1')")
db.commit()
"#;
    assert!(Command::new("python3").args(["-c", script, &old, CANARY, FERNET_TOKEN]).status().unwrap().success());
    home.write("older.key", FERNET_KEY);
    let line = ["import", "luthien-proxy", &old, "--with-settings", "--older-key-file", "older.key", "--json"];
    let dry = json(&home.luthien(&[&line[..], &["--dry-run"]].concat()));
    let taken = json!(["credential clear", "credential sealed", "inference provider small", "setting rate_limit_rpm"]);
    assert_eq!(dry["settings"]["taken"], taken);
    assert!(!home.data().exists(), "a dry run wrote something");

    let done = json(&home.luthien(&[&line[..], &["--without-history"]].concat()));
    assert_eq!((&done["settings"]["taken"], &done["summary"]["imported"]), (&taken, &json!(0)));
    let left: Vec<&str> =
        done["settings"]["left"].as_array().unwrap().iter().filter_map(|one| one["what"].as_str()).collect();
    assert_eq!(left, ["credential lost", "inference provider odd", "setting gateway_port"]);
    let again = json(&home.luthien(&line));
    assert_eq!((&again["settings"]["already"], &again["summary"]["imported"]), (&taken, &json!(1)));
    let words = home.luthien(&["import", "luthien-proxy", &old, "--with-settings"]).out;
    assert!(words.contains("Not taken over: credential lost: it is encrypted, and no key here opens it"), "{words}");

    let served = Served::start(&home, &[]);
    let listed = json(&home.luthien(&["credentials", "--json"]));
    let told: Vec<_> =
        listed["credentials"].as_array().unwrap().iter().map(|one| (&one["name"], &one["status"])).collect();
    assert_eq!(told, [(&json!("clear"), &json!("ok")), (&json!("sealed"), &json!("ok"))]);
    assert_eq!(served.stop(), 0);
    assert_eq!(anywhere(&home, "old.db"), [""; 0]);
}
