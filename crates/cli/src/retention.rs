//! `luthien retention`: says what is kept how long, and removes what is too old or too much.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use luthien_gateway::clock::Clock;
use luthien_gateway::retention::{self, Kept};
use luthien_record::retention::{Report, Retention, Rule, Standing};
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::archive;
use crate::args::{RetentionArgs, RetentionCommand};
use crate::assembly::Loaded;
use crate::audit;
use crate::failure::Failure;
use crate::output::{count, print};
use crate::when;

/// Runs the command.
pub(crate) async fn run(args: RetentionArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_keeping(&args.record)?;
    let Some(store) = archive::open_loaded(&loaded).await? else {
        return Err(Failure::new("nothing has been recorded yet"));
    };
    let (clock, tasks) = (Clock::system(), TaskTracker::new());
    let retention =
        retention::from_settings(&loaded.settings, store, clock, &tasks).map_err(|e| Failure::new(e.to_string()))?;
    let done = match args.command {
        Some(RetentionCommand::Run { dry_run: false }) => remove(&retention, clock, args.json).await,
        Some(RetentionCommand::Shrink) => shrink(&retention, args.json).await,
        Some(RetentionCommand::Run { dry_run: true }) | None => tell(&retention, args.json).await,
    };
    retention.store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn remove(retention: &Retention, clock: Clock, json: bool) -> Result<(), Failure> {
    if retention.rule == Rule::default() {
        return Err(Failure::new("nothing says what is to go: set CONVERSATION_RETENTION_DAYS or RETENTION_MAX_BYTES"));
    }
    audit::note(&retention.store, "retention run", "").await;
    let report = retention.run(clock.transaction_id().0).await.map_err(|e| Failure::new(e.to_string()))?;
    let Report { transactions, sessions, files, unreadable, bytes_before, bytes_after } = report;
    let told = json!({
        "transactions": transactions, "sessions": sessions, "files": files, "unreadable": unreadable,
        "bytes_before": bytes_before, "bytes_after": bytes_after,
    });
    print(&if json { format!("{told:#}\n") } else { sentence(&report.in_words()) })
}

async fn shrink(retention: &Retention, json: bool) -> Result<(), Failure> {
    let shrunk = retention.shrink().await?;
    if json {
        return print(&format!("{:#}\n", json!({"shrunk": shrunk})));
    }
    print(if shrunk {
        "The file holds no free space any more.\n"
    } else {
        "PostgreSQL uses free space again by itself (autovacuum); nothing was done.\n"
    })
}

async fn tell(retention: &Retention, json: bool) -> Result<(), Failure> {
    if json {
        let kept = serde_json::to_value(Kept::now(retention).await?).map_err(|e| Failure::new(e.to_string()))?;
        return print(&format!("{kept:#}\n"));
    }
    let standing = retention.standing().await?;
    let archive = retention.archive.as_ref().map(|archive| archive.place());
    print(&in_words(&retention.rule, archive.as_deref(), &standing, &TimeZone::system()))
}

fn in_words(rule: &Rule, archive: Option<&str>, standing: &Standing, zone: &TimeZone) -> String {
    let mut out = String::new();
    let oldest = standing.oldest.map(|at| format!(", the oldest from {}", when::minute(at, zone))).unwrap_or_default();
    let in_use = standing.bytes.map(|count| format!(", {} in use", bytes(count))).unwrap_or_default();
    let _ = writeln!(out, "{}{in_use}{oldest}", count(standing.transactions, "transaction"));
    match rule.max_age {
        Some(age) => {
            let go = if standing.too_old == 1 { "goes" } else { "go" };
            let _ =
                writeln!(out, "Older than {}: {} {go}", days(age.as_secs()), count(standing.too_old, "transaction"));
        }
        None => out.push_str("No age removes any (CONVERSATION_RETENTION_DAYS is not set)\n"),
    }
    match rule.max_bytes {
        Some(most) if standing.bytes.is_none() => {
            let _ = writeln!(
                out,
                "More than {}: not known, the size could not be measured (the log says why)",
                bytes(most)
            );
        }
        Some(most) => {
            let _ = writeln!(out, "More than {}: {} go, the oldest first", bytes(most), bytes(standing.too_many));
        }
        None => out.push_str("No size removes any (RETENTION_MAX_BYTES is not set)\n"),
    }
    if *rule != Rule::default() {
        let _ = match archive {
            Some(place) => writeln!(out, "They are archived first: {place}"),
            None => writeln!(out, "They are not archived (ARCHIVE_DIR and ARCHIVE_S3_BUCKET are not set)"),
        };
    }
    if standing.running {
        out.push_str("A run is under way\n");
    }
    if let Some((at, outcome)) = &standing.last {
        let _ = writeln!(out, "Last run, {}: {outcome}", when::minute(*at, zone));
    }
    out
}

fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    rest.next().map(|first| format!("{}{}\n", first.to_uppercase(), rest.as_str())).unwrap_or_default()
}

/// `90 days`, `36 hours`, `50 seconds`: the largest unit that says it exactly.
fn days(seconds: u64) -> String {
    match seconds {
        s if s.is_multiple_of(86_400) => count(s / 86_400, "day"),
        s if s.is_multiple_of(3600) => count(s / 3600, "hour"),
        s => count(s, "second"),
    }
}

/// `1.5 GiB`.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_would_go_is_said_with_the_settings_that_say_so() {
        let mut standing = Standing {
            transactions: 12,
            oldest: Some("2026-11-20T14:05:09Z".parse().unwrap()),
            too_old: 3,
            bytes: Some(3 << 19),
            too_many: 0,
            running: true,
            last: None,
        };
        let rule = Rule { max_age: Some(Duration::from_hours(36)), max_bytes: None };
        assert_eq!(
            in_words(&rule, Some("/a"), &standing, &TimeZone::UTC),
            "12 transactions, 1.5 MiB in use, the oldest from 2026-11-20 14:05\n\
             Older than 36 hours: 3 transactions go\n\
             No size removes any (RETENTION_MAX_BYTES is not set)\n\
             They are archived first: /a\n\
             A run is under way\n"
        );
        standing = Standing { oldest: None, running: false, too_many: 2048, ..standing };
        standing.last = Some(("2026-11-20T14:05:09Z".parse().unwrap(), "removed 0 transactions".into()));
        let rule = Rule { max_age: None, max_bytes: Some(1 << 30) };
        assert_eq!(
            in_words(&rule, None, &standing, &TimeZone::UTC),
            "12 transactions, 1.5 MiB in use\n\
             No age removes any (CONVERSATION_RETENTION_DAYS is not set)\n\
             More than 1.0 GiB: 2.0 KiB go, the oldest first\n\
             They are not archived (ARCHIVE_DIR and ARCHIVE_S3_BUCKET are not set)\n\
             Last run, 2026-11-20 14:05: removed 0 transactions\n"
        );
    }
}
