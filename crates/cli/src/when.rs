//! Times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `2026-11-20 14:05` in `zone`.
pub(crate) fn minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `2026-11-20 14:05:09` in `zone`.
pub(crate) fn second(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time taken, short: `850 µs`, `12 ms`, `1.4 s`.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(crate) fn taken(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} \u{b5}s"),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{:.1} s", micros as f64 / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(taken(850), "850 \u{b5}s");
        assert_eq!(taken(12_900), "12 ms");
        assert_eq!(taken(1_440_000), "1.4 s");
        let at: Timestamp = "2026-11-20T14:05:09Z".parse().unwrap();
        assert_eq!(minute(at, &TimeZone::UTC), "2026-11-20 14:05");
        assert_eq!(second(at, &TimeZone::UTC), "2026-11-20 14:05:09");
    }
}
