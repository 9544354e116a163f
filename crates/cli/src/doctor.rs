//! `luthien doctor`: looks at everything that the gateway needs, and says how to mend what is wrong.

use std::process::ExitCode;
use std::time::Duration;

use luthien_gateway::clock::Clock;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::args::{DoctorArgs, SettingArgs};
use crate::assembly::Loaded;
use crate::config;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::terminal::{Paint, Palette, pad, visible_line};

mod here;
mod others;
mod time;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

/// What one look has found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    check: &'static str,
    state: State,
    text: String,
    /// What to do about it.
    mend: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, state: State::Ok, text: text.into(), mend: None }
    }

    fn warn(check: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, state: State::Warn, text: text.into(), mend: Some(mend.into()) }
    }

    fn fail(check: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { state: State::Fail, ..Self::warn(check, text, mend) }
    }
}

/// Runs the command; ends with 1 if something has failed.
pub(crate) fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let findings = match settings(args) {
        (Some(loaded), first) => {
            let look = look(&loaded, Duration::from_secs(args.timeout));
            let mut findings = vec![first];
            findings.extend(crate::assembly::runtime(Some(2))?.block_on(look));
            findings
        }
        (None, first) => vec![first],
    };
    let well = findings.iter().all(|finding| finding.state != State::Fail);
    if args.json {
        let checks: Vec<Value> = findings.iter().map(document).collect();
        print_json(&json!({"ok": well, "checks": checks}))?;
    } else {
        let palette = Palette::for_stdout();
        let lines: Vec<String> = findings.iter().map(|finding| line(finding, palette)).collect();
        print(&lines.concat())?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The settings, if they can be used, and what is to be said of them.
fn settings(args: &DoctorArgs) -> (Option<Loaded>, Finding) {
    const CHECK: &str = "settings";
    let mut given = SettingArgs { config: args.record.config.clone(), ..SettingArgs::default() };
    if let Some(folder) = &args.record.data_dir {
        given.flags.insert("data_dir".to_owned(), folder.to_string_lossy().into_owned());
    }
    let (file, problems) = config::problems(&given);
    let loaded = Loaded::for_keeping(&args.record).ok();
    let finding = if problems.is_empty() {
        let file = file.map_or_else(|| "no luthien.yaml".to_owned(), |file| file.display().to_string());
        Finding::ok(CHECK, file)
    } else {
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let mend = if loaded.is_some() {
            "`luthien policy check FILE` tries a policy"
        } else {
            "mend them first; nothing else is looked at"
        };
        Finding::fail(CHECK, text.join("; "), mend)
    };
    (loaded, finding)
}

/// All else, at once, in the order of the output.
async fn look(loaded: &Loaded, within: Duration) -> Vec<Finding> {
    let clock = Clock::system();
    let (database, whole, redis, upstreams, gateway) = tokio::join!(
        in_time("database", within, others::database(loaded, &clock)),
        in_time("integrity", within, others::integrity(loaded)),
        in_time("redis", within, others::redis(loaded, within)),
        others::upstreams(loaded, within, &clock),
        in_time("gateway", within, here::gateway(loaded)),
    );
    let (database, database_clock) = match database {
        Ok((finding, clock)) => (finding, clock),
        Err(finding) => (finding, None),
    };
    let mut findings = vec![here::folder(&loaded.folder())];
    findings.extend(here::disk(loaded));
    findings.extend(here::journal(&loaded.folder()));
    findings.push(database);
    findings.extend(whole.unwrap_or_else(|late| {
        let text = format!("not read to its end: {}", late.text);
        Some(Finding::warn(late.check, text, "`luthien doctor --timeout 600` gives it longer"))
    }));
    findings.extend(redis.unwrap_or_else(Some));
    let mut clocks: Vec<time::Reading> = database_clock.into_iter().collect();
    for (finding, clock) in upstreams {
        findings.push(finding);
        clocks.extend(clock);
    }
    findings.push(time::compare(&clocks));
    findings.push(gateway.unwrap_or_else(|late| late));
    findings.extend(here::keys(loaded));
    findings.push(here::files(loaded));
    findings
}

/// What comes within a time; else that nothing came.
async fn in_time<T>(check: &'static str, within: Duration, looked: impl Future<Output = T>) -> Result<T, Finding> {
    timeout(within, looked).await.map_err(|_| {
        let text = format!("no answer within {} seconds", within.as_secs());
        Finding::fail(check, text, "see whether it is overloaded; `--timeout` gives it longer")
    })
}

fn document(finding: &Finding) -> Value {
    let Finding { check, text, mend, .. } = finding;
    json!({"check": check, "state": word(finding.state), "detail": text, "mend": mend})
}

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Warn => "warn",
        State::Fail => "fail",
    }
}

fn line(finding: &Finding, palette: Palette) -> String {
    let paint = match finding.state {
        State::Ok => Paint::Green,
        State::Warn => Paint::Yellow,
        State::Fail => Paint::Red,
    };
    let word = palette.paint(paint, &format!("{:<4}", word(finding.state)));
    let mend = finding.mend.as_ref().map_or_else(String::new, |mend| format!("{:20}-> {}\n", "", visible_line(mend)));
    format!("{word}  {}  {}\n{mend}", pad(finding.check, 12), visible_line(&finding.text))
}
