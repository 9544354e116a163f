//! Rate-limit headers of one vendor under the names of another.

use jiff::Timestamp;

use crate::dialect::Dialect;

/// What is limited, by its name at Anthropic and at OpenAI. Where one side counts more finely, the first that came stands.
const RESOURCES: [(&str, &str); 3] = [("requests", "requests"), ("tokens", "tokens"), ("input-tokens", "tokens")];

const FIGURES: [&str; 3] = ["limit", "remaining", "reset"];

/// The rate-limit headers of an answer under the client's names: pairs of name and value to add. Values whose units differ
/// (a time of day and a duration) are computed from `now`, seconds since 1970.
pub fn limits(from: Dialect, to: Dialect, headers: &[(&str, &str)], now: i64) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for (anthropic, openai) in RESOURCES {
        for figure in FIGURES {
            let theirs = format!("anthropic-ratelimit-{anthropic}-{figure}");
            let ours = format!("x-ratelimit-{figure}-{openai}");
            let (source, target) = match (from, to) {
                (Dialect::Messages, Dialect::Chat | Dialect::Responses) => (theirs, ours),
                (Dialect::Chat | Dialect::Responses, Dialect::Messages) if anthropic == openai => (ours, theirs),
                _ => continue,
            };
            let Some((_, value)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(&source)) else {
                continue;
            };
            let value = match (figure, from) {
                ("reset", Dialect::Messages) => duration_until(value, now),
                ("reset", _) => time_after(value, now),
                _ => Some(value.trim().to_owned()),
            };
            if let Some(value) = value.filter(|_| out.iter().all(|(name, _)| *name != target)) {
                out.push((target, value));
            }
        }
    }
    out
}

/// The time from `now` to an RFC 3339 time, as OpenAI writes it: `1m30s`, `2s`, `0s`.
fn duration_until(time: &str, now: i64) -> Option<String> {
    let at: Timestamp = time.trim().parse().ok()?;
    let seconds = at.as_second().saturating_add(i64::from(at.subsec_nanosecond() > 0)).saturating_sub(now).max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    })
}

/// The RFC 3339 time that a duration (`6m0s`, `1.5s`, `20ms`, a bare number of seconds) ends at, in whole seconds, rounded
/// up.
fn time_after(duration: &str, now: i64) -> Option<String> {
    let mut millis: f64 = 0.0;
    let mut rest = duration.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        millis = seconds * 1000.0;
        rest = "";
    } else if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let (scale, len) = match unit.as_bytes() {
            [b'm', b's', ..] => (1.0, 2),
            [b'h', ..] => (3_600_000.0, 1),
            [b'm', ..] => (60_000.0, 1),
            [b's', ..] => (1000.0, 1),
            [b'd', ..] => (86_400_000.0, 1),
            _ => return None,
        };
        millis += amount * scale;
        rest = &unit[len..];
    }
    // No limit lasts a century; a number beyond is no duration.
    if !(0.0..3.2e12).contains(&millis) {
        return None;
    }
    let millis = std::time::Duration::from_secs_f64(millis / 1000.0).as_millis();
    let seconds = i64::try_from(millis.div_ceil(1000)).ok()?;
    Timestamp::from_second(now.checked_add(seconds)?).ok().map(|at| at.to_string())
}
