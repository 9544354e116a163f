//! `luthien doctor` beside things that are really broken, and shell completions.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use luthien_testkit::servers;
use serde_json::Value;

use crate::moving::{ALL_CAPS, older};
use crate::support::{Home, Served, free_port};

/// A server that answers every request with this `Date`, as long as the test runs.
fn dated(date: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 404 Not Found\r\ndate: {date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    base
}

/// The date of today, as HTTP has it.
fn today() -> String {
    let said = Command::new("date").args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"]).env("LC_ALL", "C").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// A home whose upstreams are there.
fn home() -> Home {
    let mut home = Home::new();
    let base = dated(&today());
    home.set("ANTHROPIC_BASE_URL", &base);
    home.set("OPENAI_BASE_URL", &base);
    home.set("GATEWAY_PORT", &free_port().to_string());
    home
}

/// What the doctor finds, and its exit code.
fn doctor(home: &Home) -> (i32, Vec<Value>) {
    let run = home.luthien(&["doctor", "--json"]);
    let said: Value = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    assert_eq!(said["ok"] == true, run.code == 0, "{run:?}");
    (run.code, said["checks"].as_array().unwrap().clone())
}

/// The finding of a check with these words.
#[track_caller]
fn finds(found: &(i32, Vec<Value>), check: &str, state: &str, words: &str) {
    let (_, checks) = found;
    let fits = |finding: &&Value| {
        let mend = finding["mend"].is_string() == (state != "ok");
        finding["check"] == check
            && finding["state"] == state
            && mend
            && finding["detail"].as_str().unwrap().contains(words)
    };
    assert!(checks.iter().any(|finding| fits(&finding)), "{check} is not {state} with {words:?}: {checks:#?}");
}

#[test]
fn where_all_is_well_nothing_fails_and_the_order_is_fixed() {
    let home = home();
    let _served = Served::start(&home, &[]);
    let found = doctor(&home);
    assert_eq!(found.0, 0, "{:#?}", found.1);
    for (check, words) in [
        ("settings", "no luthien.yaml"),
        ("data folder", "for this user alone"),
        ("database", "luthien.db, answers in"),
        ("integrity", "whole"),
        ("upstream", "anthropic at 127.0.0.1:"),
        ("upstream", "openai at 127.0.0.1:"),
        ("clock", "as that of anthropic, openai"),
        ("gateway", "runs at http://127.0.0.1:"),
        ("access", "no key looks easily guessed"),
    ] {
        finds(&found, check, "ok", words);
    }
    let order = |checks: &[Value]| checks.iter().map(|finding| finding["check"].clone()).collect::<Vec<_>>();
    assert_eq!(order(&found.1), order(&doctor(&home).1));
    let text = home.luthien(&["doctor"]);
    assert!(text.code == 0 && text.out.starts_with("ok    settings "), "{}", text.out);
}

#[test]
fn wrong_settings_are_all_there_is_to_say() {
    let home = Home::new();
    home.write("luthien.yaml", "server: { prot: 1 }\n");
    let found = doctor(&home);
    finds(&found, "settings", "fail", "did you mean `port`?");
    assert_eq!((found.0, found.1.len()), (1, 1));
}

#[test]
fn an_upstream_that_is_away_or_unknown_is_named() {
    let mut home = home();
    home.set("ANTHROPIC_BASE_URL", &format!("http://127.0.0.1:{}", free_port()));
    home.set("OPENAI_BASE_URL", "https://nowhere.invalid/v1");
    let found = doctor(&home);
    assert_eq!(found.0, 1);
    finds(&found, "upstream", "fail", "no connection");
    finds(&found, "upstream", "fail", "its name is not known");
    finds(&found, "clock", "ok", "no other clock could be asked");
}

#[test]
fn a_server_that_speaks_no_tls_is_told_from_one_that_is_away() {
    let mut home = home();
    home.set("ANTHROPIC_BASE_URL", &dated(&today()).replace("http://", "https://"));
    finds(&doctor(&home), "upstream", "fail", "TLS fails");
}

#[test]
fn another_clock_is_named() {
    let mut home = home();
    home.set("OPENAI_BASE_URL", &dated("Wed, 01 Jan 2025 00:00:00 GMT"));
    let found = doctor(&home);
    assert_eq!(found.0, 1);
    finds(&found, "clock", "fail", "ahead of that of openai");
}

#[test]
fn a_port_that_is_taken_and_a_guessable_key_are_named() {
    let mut home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    home.set("GATEWAY_PORT", &taken.local_addr().unwrap().port().to_string());
    home.set("ADMIN_API_KEY", "changeme-changeme-changeme-changeme");
    let found = doctor(&home);
    finds(&found, "gateway", "fail", "is not to be had");
    finds(&found, "access", "warn", "looks like one from an example");
}

#[test]
fn a_folder_that_others_can_read_or_nobody_can_write_is_named() {
    let home = home();
    std::fs::create_dir_all(home.data()).unwrap();
    std::fs::set_permissions(home.data(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    finds(&doctor(&home), "data folder", "warn", "other users of this machine");
    std::fs::remove_dir(home.data()).unwrap();
    home.write("data", "a file");
    finds(&doctor(&home), "data folder", "fail", "is no folder");
}

#[test]
fn what_the_journal_could_not_store_is_named() {
    let home = home();
    let journal = home.data().join("journal");
    std::fs::create_dir_all(&journal).unwrap();
    std::fs::write(journal.join("7.damaged"), "x").unwrap();
    finds(&doctor(&home), "journal", "warn", "1 damaged segment");
}

#[test]
fn a_file_that_is_no_record_and_one_of_an_older_proxy_are_named() {
    let mut home = home();
    let file = home.write("other.db", "this is no database at all, and long enough to be looked at as one............");
    home.set("DATABASE_URL", &format!("sqlite://{}", file.display()));
    let found = doctor(&home);
    assert_eq!(found.0, 1);
    finds(&found, "database", "fail", "not a database");
    let older = older(&home, ALL_CAPS);
    home.set("DATABASE_URL", &format!("sqlite://{older}"));
    finds(&doctor(&home), "database", "fail", "luthien import luthien-proxy");
}

#[test]
fn a_schema_that_is_not_made_and_a_server_that_is_away_are_named() {
    let database = servers::database().unwrap();
    let mut here = home();
    here.set("DATABASE_URL", database.url());
    finds(&doctor(&here), "database", "warn", "its schema is older than this version");
    assert_eq!(here.luthien(&["migrate", "up"]).code, 0);
    let found = doctor(&here);
    finds(&found, "database", "ok", "answers in");
    finds(&found, "clock", "ok", "the database");

    let mut away = home();
    away.set("DATABASE_URL", &format!("postgres://u:geheim@127.0.0.1:{}/x", free_port()));
    let found = doctor(&away);
    assert_eq!(found.0, 1);
    finds(&found, "database", "fail", "127.0.0.1");
    assert!(!format!("{:?}", found.1).contains("geheim"), "{:?}", found.1);
}

#[test]
fn a_redis_that_is_away_is_named() {
    let mut home = home();
    home.set("REDIS_URL", &format!("redis://:geheim@127.0.0.1:{}/0", free_port()));
    let found = doctor(&home);
    assert_eq!(found.0, 1);
    finds(&found, "redis", "fail", "does not answer");
    assert!(!format!("{:?}", found.1).contains("geheim"), "{:?}", found.1);
}

#[test]
fn completions_load_in_bash_and_complete() {
    let home = Home::new();
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        let run = home.luthien(&["completions", shell]);
        assert!(run.code == 0 && run.out.contains("doctor"), "{shell}: {}", run.err);
    }
    let script = home.luthien(&["completions", "bash"]).out;
    let asked = "\nCOMP_WORDS=(luthien do); COMP_CWORD=1; _luthien luthien do luthien; echo \"${COMPREPLY[@]}\"\n";
    let mut bash =
        Command::new("bash").args(["--norc", "-e"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(format!("{script}{asked}").as_bytes()).unwrap();
    let done = bash.wait_with_output().unwrap();
    let words = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && words.split_whitespace().any(|word| word == "doctor"), "{words}");
}
