//! `luthien status`: whether a gateway runs, and how it fares.

use std::fmt::Write as _;
use std::process::ExitCode;

use http::Request;
use jiff::Timestamp;
use luthien_gateway::clock::Clock;
use luthien_gateway::data_dir::{DataDir, Kept, Running};
use serde_json::{Map, Value, json};

use crate::admin_client::AdminClient;
use crate::args::StatusArgs;
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::loopback;
use crate::output::{count, print, print_json};
use crate::process::Standing;
use crate::terminal::{Paint, Palette, visible_line};

/// Something is missing.
const DEGRADED: u8 = 1;

/// None runs.
const NONE: u8 = 3;

/// How the gateway was found.
struct Found {
    note: Running,
    /// It answers.
    answers: bool,
    /// Why no traffic should come to it.
    unready: Option<String>,
    health: Value,
    /// What only the admin routes say, by name.
    said: Map<String, Value>,
    /// Why they say nothing.
    closed: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_keeping(&args.record)?;
    let folder = loaded.folder();
    let announced = DataDir::at(&folder).running();
    let Some(found) = Found::look(&loaded, announced).await else {
        if args.json {
            print_json(&json!({"running": false, "data_dir": folder}))?;
        } else {
            let folder = folder.display();
            print(&format!("No gateway runs on the data folder {folder}; `luthien up` starts one.\n"))?;
        }
        return Ok(ExitCode::from(NONE));
    };
    let now = Clock::system().now();
    if args.json {
        print_json(&found.document(now))?;
    } else {
        print(&found.text(now, Palette::for_stdout()))?;
    }
    Ok(if found.well() { ExitCode::SUCCESS } else { ExitCode::from(DEGRADED) })
}

impl Found {
    async fn look(loaded: &Loaded, announced: Option<Running>) -> Option<Self> {
        let note = announced?;
        let url = note.url();
        let answers = loopback::alive(&url).await;
        if !answers && matches!(Standing::of(&note), Standing::Gone) {
            return None;
        }
        let mut found = Self { note, answers, unready: None, health: Value::Null, said: Map::new(), closed: None };
        if !answers {
            return Some(found);
        }
        found.health = open(&url, "/health").await.1;
        let (ready, said) = open(&url, "/readyz").await;
        found.unready = (!ready).then(|| said["reason"].as_str().unwrap_or("it does not say why").to_owned());
        match AdminClient::running(loaded).await {
            Ok(Some(client)) => found.ask(&client).await,
            Ok(None) => {}
            Err(failure) => found.closed = Some(failure.to_string()),
        }
        Some(found)
    }

    async fn ask(&mut self, client: &AdminClient) {
        for (name, route) in [
            ("system", "/api/admin/system-status"),
            ("policy", "/api/admin/policy/current"),
            ("panic", "/api/admin/panic"),
            ("last", "/api/debug/calls?limit=1"),
        ] {
            match client.get(route).await {
                Ok(said) => {
                    self.said.insert(name.to_owned(), said);
                }
                Err(failure) => self.closed = Some(failure.to_string()),
            }
        }
    }

    /// It runs, is ready, and nothing is missing.
    fn well(&self) -> bool {
        let healthy = |said: Option<&Value>| said.is_none_or(|said| said["status"] == "healthy");
        self.answers && self.unready.is_none() && healthy(Some(&self.health)) && healthy(self.said.get("system"))
    }

    /// For how many seconds it has run.
    fn uptime(&self, now: Timestamp) -> Option<i64> {
        let started = self.note.started.as_ref()?.at;
        Some(now.as_second().saturating_sub(started.as_second()).max(0))
    }

    /// The last transaction on the record.
    fn last(&self) -> Option<(&str, Timestamp)> {
        let call = &self.said.get("last")?["calls"][0];
        Some((call["call_id"].as_str()?, call["latest_timestamp"].as_str()?.parse().ok()?))
    }

    fn document(&self, now: Timestamp) -> Value {
        let part = |name: &str| self.said.get(name).cloned().unwrap_or_default();
        json!({
            "running": true,
            "ok": self.well(),
            "url": self.note.url(),
            "pid": self.note.pid,
            "version": self.note.version,
            "started": self.note.started,
            "uptime_seconds": self.uptime(now),
            "answers": self.answers,
            "unready": self.unready,
            "health": self.health,
            "system": part("system"),
            "policy": part("policy"),
            "panic": part("panic"),
            "last_transaction": self.last().map(|(id, at)| json!({"id": id, "at": at})),
            "admin": self.closed,
        })
    }

    fn text(&self, now: Timestamp, palette: Palette) -> String {
        let mut out = String::new();
        let mut line = |name: &str, text: &str| {
            let _ = writeln!(out, "{name:<9} {text}");
        };
        let running = &self.note;
        let uptime = self.uptime(now).map_or_else(String::new, |seconds| format!(", for {}", span(seconds)));
        let by = match running.started.as_ref().map(|started| &started.kept) {
            Some(Kept::Up { .. }) => ", started by `luthien up`",
            Some(Kept::Service { .. }) => ", kept by systemd",
            Some(Kept::Agent) => ", brought along by an agent",
            _ => "",
        };
        line(
            "gateway",
            &format!("{} (pid {}, version {}{uptime}{by})", running.url(), running.pid, visible_line(&running.version)),
        );
        if running.version != env!("CARGO_PKG_VERSION") {
            line(
                "",
                &format!("this command is version {}; `luthien restart` starts that one", env!("CARGO_PKG_VERSION")),
            );
        }
        if !self.answers {
            line("state", &palette.paint(Paint::Red, "it does not answer; `luthien logs` may say why"));
            return out;
        }
        let state =
            if self.well() { palette.paint(Paint::Green, "healthy") } else { palette.paint(Paint::Red, "degraded") };
        line("state", &state);
        if let Some(reason) = &self.unready {
            line("", &format!("not ready: {}", visible_line(reason)));
        }
        for trouble in self.troubles() {
            line("", &visible_line(&trouble));
        }
        if let Some(policy) = self.said.get("policy") {
            let text = |name: &str| visible_line(policy[name].as_str().unwrap_or_default());
            let mode = if policy["mode"] == "enforce" { String::new() } else { format!(", mode {}", text("mode")) };
            line(
                "policy",
                &format!("{} (version {}, set by {}{mode})", text("class_ref"), policy["version"], text("enabled_by")),
            );
        }
        if let Some(panic) = self.said.get("panic").filter(|panic| panic["mode"] != "off") {
            let mode = panic["mode"].as_str().unwrap_or_default().replace('_', " ");
            line(
                "panic",
                &palette.paint(Paint::Red, &format!("all {} stopped; `luthien panic` says why", visible_line(&mode))),
            );
        }
        if let Some(system) = self.said.get("system") {
            let running = system["in_flight"].as_u64().unwrap_or(0);
            line(
                "requests",
                &format!("{} under way", if running == 0 { "none".to_owned() } else { running.to_string() }),
            );
            if let Some(latency) = system["checks"]["db"]["latency_ms"].as_f64() {
                line("database", &format!("answers in {latency:.1} ms"));
            }
            if let Some(latency) = system["checks"]["redis"]["latency_ms"].as_f64() {
                line("Redis", &format!("answers in {latency:.1} ms"));
            }
        }
        match self.last() {
            Some((id, at)) => {
                let ago = span(now.as_second().saturating_sub(at.as_second()).max(0));
                line("last", &format!("{ago} ago: luthien show {}", visible_line(id)));
            }
            None if self.said.contains_key("last") => line("last", "nothing has been recorded yet"),
            None => {}
        }
        if let Some(why) = &self.closed {
            line("admin", &format!("more is not shown: {}", visible_line(why)));
        }
        out
    }

    /// What is missing, each in a line.
    fn troubles(&self) -> Vec<String> {
        let checks = &self.health["checks"];
        let mut out = Vec::new();
        for name in ["database", "journal"] {
            if let Some(text) = checks[name].as_str().filter(|text| *text != "ok") {
                out.push(format!("{name}: {text}"));
            }
        }
        for name in ["policy", "redis"] {
            if let Some(text) = checks[name]["status"].as_str().filter(|text| !matches!(*text, "ok" | "off")) {
                out.push(format!("{name}: {text}"));
            }
        }
        let dropped = checks["recorder"]["dropped"].as_u64().unwrap_or(0);
        if dropped > 0 {
            out.push(format!(
                "{} lost since the start: the journal was full or could not be written",
                count(dropped, "record")
            ));
        }
        let webhook = |name: &str| checks["webhook"][name].as_u64().unwrap_or(0);
        let untold = webhook("dropped") + webhook("failed");
        if untold > 0 {
            out.push(format!("{} not delivered to the webhook", count(untold, "notification")));
        }
        for name in ["db", "redis"] {
            let check = &self.said.get("system").map(|system| system["checks"][name].clone()).unwrap_or_default();
            if let Some(error) = check["error"].as_str() {
                out.push(format!("{name}: {error}"));
            }
        }
        out
    }
}

/// What an open route says, and whether it says that well.
async fn open(base: &str, path: &str) -> (bool, Value) {
    let Ok(request) = Request::get(format!("{base}{path}")).body(http_body_util::Full::default()) else {
        return (false, Value::Null);
    };
    let Ok(answer) = loopback::send(request).await else { return (false, Value::Null) };
    let well = answer.status().is_success();
    let body = loopback::read(answer.into_body()).await.unwrap_or_default();
    (well, serde_json::from_slice(&body).unwrap_or_default())
}

/// A time in the two largest units: `3 h 12 min`.
fn span(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        assert_eq!(span(59), "59 s");
        assert_eq!(span(61), "1 min 1 s");
        assert_eq!(span(3 * 3600 + 12 * 60 + 5), "3 h 12 min");
        assert_eq!(span(2 * 86_400 + 3_600), "2 d 1 h");
    }

    #[test]
    fn what_is_missing_is_named() {
        let note = Running {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
            pid: 7,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            admin_key_here: true,
            started: None,
        };
        let health = json!({"status": "degraded", "checks": {
            "database": "failing; the journal keeps the records", "journal": "ok", "policy": {"status": "ok"},
            "redis": {"status": "off"}, "recorder": {"dropped": 2}, "webhook": null,
        }});
        let said = [("panic".to_owned(), json!({"mode": "tool_calls"}))].into_iter().collect();
        let found = Found { note, answers: true, unready: None, health, said, closed: None };
        assert!(!found.well());
        let text = found.text(Timestamp::UNIX_EPOCH, Palette::plain());
        for part in ["state     degraded", "database: failing", "2 records lost", "all tool calls stopped"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
