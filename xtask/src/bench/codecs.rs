//! The codecs' table: how many bytes a second they read and write on one core.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::GATEWAY_CORE;
use crate::table::{columns, median};
use crate::{Failure, command, say};

/// Bytes a second that framing has to reach.
const FRAMING: f64 = 500e6;

/// What everything is compared with.
const YARDSTICK: &str = "line ends";

/// One line of what the program prints.
struct Measured {
    /// Dialect and shape.
    answer: String,
    work: String,
    speeds: Vec<f64>,
}

/// Measures and prints.
pub(super) fn run(program: &Path, rounds: u32) -> Result<(), Failure> {
    let mut codecs = Command::new("taskset");
    codecs.args(["-c", GATEWAY_CORE]).arg(program).arg(rounds.to_string());
    let printed = command::output(&mut codecs)?;
    let measured = printed.lines().map(read).collect::<Result<Vec<_>, _>>()?;
    say(format_args!("\n{}", columns(&table(&measured))));
    let slow =
        measured.iter().filter(|one| one.work == "framing" && median(&one.speeds).is_none_or(|speed| speed < FRAMING));
    let slow: Vec<_> = slow.map(|one| one.answer.as_str()).collect();
    let verdict = if slow.is_empty() { "met".to_owned() } else { format!("MISSED by {}", slow.join(", ")) };
    say(format_args!("framing at {:.0} MB/s or more: {verdict}\n", FRAMING / 1e6));
    Ok(())
}

fn read(line: &str) -> Result<Measured, Failure> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("the codecs printed no JSON: {error}"))?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let speeds = value["speeds"].as_array().into_iter().flatten().filter_map(Value::as_f64);
    Ok(Measured {
        answer: format!("{}, {}", text("dialect"), text("shape")),
        work: text("work"),
        speeds: speeds.filter(|speed| *speed > 0.0).collect(),
    })
}

/// A row for each answer, a column for each work: megabytes a second, and what part of the yardstick's.
fn table(measured: &[Measured]) -> Vec<Vec<String>> {
    let mut answers: Vec<&str> = Vec::new();
    let mut works: Vec<&str> = Vec::new();
    for one in measured {
        if !answers.contains(&one.answer.as_str()) {
            answers.push(&one.answer);
        }
        if !works.contains(&one.work.as_str()) {
            works.push(&one.work);
        }
    }
    let speeds = |answer: &str, work: &str| {
        let found = measured.iter().find(|one| one.answer == answer && one.work == work);
        found.map_or(&[][..], |one| one.speeds.as_slice())
    };
    let cell = |answer: &str, work: &str| {
        let own = speeds(answer, work);
        let ratios: Vec<_> = own.iter().zip(speeds(answer, YARDSTICK)).map(|(own, scan)| own / scan).collect();
        match (median(own), median(&ratios)) {
            (Some(speed), _) if work == YARDSTICK => format!("{:.0}", speed / 1e6),
            (Some(speed), Some(ratio)) => format!("{:.0} ({ratio:.4})", speed / 1e6),
            _ => "-".to_owned(),
        }
    };
    let mut rows = vec![["MB/s (of the scan)"].into_iter().chain(works.iter().copied()).map(str::to_owned).collect()];
    for answer in answers {
        rows.push(std::iter::once(answer.to_owned()).chain(works.iter().map(|work| cell(answer, work))).collect());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_each_answer_and_a_dash_where_nothing_was_measured() {
        let lines = [
            r#"{"dialect":"chat","shape":"text","work":"line ends","speeds":[8e9,4e9,2e9]}"#,
            r#"{"dialect":"chat","shape":"text","work":"framing","speeds":[8e8,1e9,2e8]}"#,
            r#"{"dialect":"chat","shape":"text","work":"to chat","speeds":[0.0]}"#,
        ];
        let measured: Vec<_> = lines.iter().map(|line| read(line).unwrap()).collect();
        let expected =
            [["MB/s (of the scan)", "line ends", "framing", "to chat"], ["chat, text", "4000", "800 (0.1000)", "-"]];
        assert_eq!(table(&measured), expected);
        assert!(read("no").is_err());
    }
}
