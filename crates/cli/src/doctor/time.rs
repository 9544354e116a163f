//! This machine's clock beside others'.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::Finding;

/// From so many seconds on a clock is wrong.
const WRONG: i64 = 30;

/// What another clock said, and ours at that moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Whose it is.
    pub(super) whose: String,
    pub(super) theirs: Timestamp,
    pub(super) ours: Timestamp,
}

impl Reading {
    /// As HTTP's `Date` has it.
    pub(super) fn of_date(whose: &str, date: &str, ours: Timestamp) -> Option<Self> {
        let theirs = rfc2822::parse(date).ok()?.timestamp();
        Some(Self { whose: whose.to_owned(), theirs, ours })
    }

    /// How many seconds ours is ahead.
    fn ahead(&self) -> i64 {
        self.ours.as_second() - self.theirs.as_second()
    }
}

/// What all readings together say.
pub(super) fn compare(readings: &[Reading]) -> Finding {
    const CHECK: &str = "clock";
    let wrong: Vec<String> = readings
        .iter()
        .filter(|reading| reading.ahead().abs() > WRONG)
        .map(|reading| {
            let (seconds, way) = (reading.ahead().abs(), if reading.ahead() > 0 { "ahead of" } else { "behind" });
            format!("{seconds} s {way} that of {}", reading.whose)
        })
        .collect();
    match (readings, wrong.as_slice()) {
        ([], _) => Finding::ok(CHECK, "no other clock could be asked"),
        (_, []) => {
            let whose: Vec<&str> = readings.iter().map(|reading| reading.whose.as_str()).collect();
            Finding::ok(CHECK, format!("as that of {}", whose.join(", ")))
        }
        _ => Finding::fail(
            CHECK,
            format!("this machine's clock is {}", wrong.join(", ")),
            "set it by NTP (`timedatectl set-ntp true`): times in the record, expiries and signatures depend on it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_clock_is_wrong_from_half_a_minute_on() {
        let ours: Timestamp = "2026-11-20T19:36:06Z".parse().unwrap();
        let read = |date| Reading::of_date("openai", date, ours).unwrap();
        let state = |date| compare(&[read(date)]).state;
        assert_eq!(state("Fri, 20 Nov 2026 19:35:36 GMT"), State::Ok);
        assert_eq!(state("Fri, 20 Nov 2026 19:35:35 GMT"), State::Fail);
        let told = compare(&[read("Fri, 20 Nov 2026 20:36:06 GMT")]);
        assert!(told.text.contains("3600 s behind that of openai"), "{told:?}");
        assert!(Reading::of_date("x", "yesterday", ours).is_none());
        assert_eq!(compare(&[]).state, State::Ok);
    }
}
