//! Times as the older proxies wrote them: with an offset or naive, which means UTC there.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The time of a text such as `2025-01-02 03:04:05`, `2025-01-02T03:04:05.678901+00:00` or `2025-01-02 03:04:05.6+00`.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_with_and_without_an_offset_are_read() {
        let second = 1_735_787_045;
        for (text, micros) in [
            ("2025-01-02 03:04:05", 0),
            ("2025-01-02T03:04:05", 0),
            ("2025-01-02T03:04:05Z", 0),
            ("2025-01-02 03:04:05+00", 0),
            ("2025-01-02 04:04:05.5+01", 500_000),
            ("2025-01-02T03:04:05.678901+00:00", 678_901),
            ("2025-01-02 03:04:05.678901", 678_901),
        ] {
            let at = time(text).unwrap_or_else(|| panic!("{text} is not read"));
            assert_eq!(at.as_microsecond(), second * 1_000_000 + micros, "{text}");
        }
        for text in ["", "yesterday", "2025-13-02 03:04:05", "1735787045"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
