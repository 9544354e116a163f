//! A gateway in the background: up, status, logs, restart, down, and that nobody else is ever stopped.

use std::process::{Child, Command, Stdio};

use luthien_testkit::{Answer, Gate, Upstream};
use serde_json::{Value, json};

use crate::support::{Home, Run, Served, Talking, free_port};
use crate::traffic::{ask_at, rest, until};

/// A home whose gateway ends with the test, however that ends.
struct Kept(Home);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.luthien(&["down", "--now"]);
    }
}

/// What a command prints as JSON.
fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// A process that is nobody's gateway, and ends with the test.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_starts_says_how_it_fares_starts_again_and_stops() {
    let kept = Kept(Home::new());
    let home = &kept.0;
    let none = home.luthien(&["status"]);
    assert_eq!(none.code, 3);
    assert!(none.out.contains("luthien up"), "{}", none.out);
    assert!(home.luthien(&["logs"]).err.contains("there is no log"));

    let port = free_port().to_string();
    let up = home.luthien(&["up", "--port", &port, "--log-level", "debug"]);
    assert_eq!(up.code, 0, "{}{}", up.out, up.err);
    let base = format!("http://127.0.0.1:{port}");
    assert!(up.out.starts_with(&format!("The gateway runs at {base} (pid ")), "{}", up.out);
    let status = home.luthien(&["status"]);
    assert_eq!(status.code, 0, "{}", status.out);
    for part in [
        &base[..],
        "started by `luthien up`",
        "healthy",
        "no_op (version 0",
        "none under way",
        "nothing has been recorded",
    ] {
        assert!(status.out.contains(part), "{part} is not in\n{}", status.out);
    }
    let first = json(&home.luthien(&["status", "--json"]));
    assert_eq!((&first["ok"], &first["started"]["kept"]["by"]), (&json!(true), &json!("up")));

    // Once more is no failure, but flags for another are.
    assert!(home.luthien(&["up"]).out.contains("runs already"));
    let other = home.luthien(&["up", "--port", "1"]);
    assert!(other.code == 1 && other.err.contains("these flags are not for it"), "{other:?}");

    let log = home.luthien(&["logs"]);
    assert!(log.code == 0 && log.out.contains(" INFO  listening url="), "{}", log.out);
    assert!(home.luthien(&["logs", "--level", "error"]).out.is_empty());
    let line = home.luthien(&["logs", "--json", "-n", "1"]).out;
    assert!(serde_json::from_str::<Value>(&line).unwrap().is_object(), "{line}");

    let again = home.luthien(&["restart"]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    let second = json(&home.luthien(&["status", "--json"]));
    assert_eq!(second["url"], base, "the port was not kept");
    assert_ne!(second["pid"], first["pid"]);
    assert_eq!(second["started"]["kept"], first["started"]["kept"]);

    let down = home.luthien(&["down"]);
    assert_eq!((down.code, down.out), (0, format!("The gateway at {base} has stopped.\n")));
    assert!(!home.data().join("gateway.json").exists());
    let none = home.luthien(&["down"]);
    assert!(none.code == 0 && none.out.starts_with("No gateway runs"), "{none:?}");
}

#[test]
fn one_that_does_not_start_says_why() {
    let kept = Kept(Home::new());
    let home = &kept.0;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let up = home.luthien(&["up", "--port", &port]);
    assert_eq!((up.code, up.out.as_str()), (1, ""));
    for part in ["did not start", "cannot listen on", &port] {
        assert!(up.err.contains(part), "{part} is not in {}", up.err);
    }
    assert_eq!(home.luthien(&["status"]).code, 3);

    home.write("luthien.yaml", "server: { prot: 1 }\n");
    let up = home.luthien(&["up"]);
    assert!(up.code == 1 && up.err.contains("did you mean `port`?"), "{up:?}");
    let secret = home.luthien(&["up", "--anthropic-api-key", "sk-ant-geheim"]);
    assert!(secret.code == 1 && secret.err.contains("ANTHROPIC_API_KEY"), "{secret:?}");
    assert!(!secret.err.contains("geheim"), "{}", secret.err);
}

#[test]
fn a_stranger_with_the_number_of_an_ended_gateway_is_left_alone() {
    let kept = Kept(Home::new());
    let home = &kept.0;
    let mut stranger = Stranger::start();
    std::fs::create_dir_all(home.data()).unwrap();
    let note = |process: Value| {
        let started = json!({"at": "2026-01-01T00:00:00Z", "process": process, "kept": {"by": "caller"}});
        let note = json!({"address": "127.0.0.1:1", "pid": stranger.0.id(), "version": "0", "admin_key_here": true, "started": started});
        std::fs::write(home.data().join("gateway.json"), note.to_string()).unwrap();
    };
    note(json!(1));
    for args in [&["down"][..], &["down", "--now"]] {
        let down = home.luthien(args);
        assert!(down.code == 0 && down.out.starts_with("No gateway runs"), "{down:?}");
    }
    assert_eq!(home.luthien(&["status"]).code, 3);
    // Of a note that does not say when its process began, only an answer shows whose it is.
    note(Value::Null);
    let down = home.luthien(&["down"]);
    assert!(down.code == 1 && down.err.contains("does not answer"), "{down:?}");
    assert!(stranger.lives());
}

#[tokio::test(flavor = "multi_thread")]
async fn running_answers_may_end_unless_it_is_told_now() {
    let upstream = Upstream::start().await.unwrap();
    for now in [false, true] {
        let gate = Gate::new();
        upstream.default_script(Answer::new().say("Begin. ").hold(&gate).say("End."));
        let kept = Kept(Home::new());
        let home = &kept.0;
        let up = home.luthien(&["up", "--port", "0", "--json", "--anthropic-base-url", &upstream.base_url()]);
        let base = json(&up)["url"].as_str().unwrap().to_owned();
        let mut stream = ask_at(&base, "claude-opus-5-5");
        gate.reached().await;
        until(&mut stream, "Begin. ");
        assert_eq!(json(&home.luthien(&["status", "--json"]))["system"]["in_flight"], 1);
        if now {
            assert_eq!(home.luthien(&["down", "--now"]).code, 0);
            assert!(!rest(stream).contains("End."));
            gate.open();
        } else {
            let mut down = Talking::start(home.command(&["down"]));
            down.err_until("waiting for 1 request to end");
            gate.open();
            assert!(rest(stream).contains("End."));
            assert_eq!(down.end(), 0);
        }
        assert_eq!(home.luthien(&["status"]).code, 3);
    }
}

#[test]
fn one_in_a_terminal_can_be_stopped_but_not_started_again() {
    let home = Home::new();
    let mut served = Served::start(&home, &[]);
    let restart = home.luthien(&["restart"]);
    assert!(restart.code == 1 && restart.err.contains("was not started by `luthien up`"), "{restart:?}");
    let panic = home.luthien(&["panic", "tool-calls"]);
    assert_eq!(panic.code, 0, "{}", panic.err);
    let status = home.luthien(&["status"]);
    assert_eq!(status.code, 1);
    assert!(status.out.contains("degraded") && status.out.contains("all tool calls stopped"), "{}", status.out);
    assert_eq!(home.luthien(&["down"]).code, 0);
    assert_eq!(served.end(), 0);
}

#[test]
fn what_somebody_else_keeps_running_is_left_to_them() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let file = home.data().join("gateway.json");
    let mut note: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    for (kept, words) in [
        (json!({"by": "service", "unit": "luthien.service"}), " luthien.service`"),
        (json!({"by": "agent"}), "brought along by `luthien claude`"),
    ] {
        note["started"]["kept"] = kept;
        std::fs::write(&file, note.to_string()).unwrap();
        for command in ["down", "restart"] {
            let run = home.luthien(&[command]);
            assert!(run.code == 1 && run.err.contains(words), "{run:?}");
        }
    }
    assert_eq!(home.luthien(&["status"]).code, 0);
    assert_eq!(served.stop(), 0);
}
