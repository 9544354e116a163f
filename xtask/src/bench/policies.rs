//! The policies' table: microseconds a decision on one core.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::GATEWAY_CORE;
use crate::table::{columns, median};
use crate::{Failure, command, say};

/// One line of what the program prints.
struct Measured {
    policy: String,
    subject: String,
    micros: Vec<f64>,
}

/// Measures and prints.
pub(super) fn run(program: &Path, rounds: u32) -> Result<(), Failure> {
    let mut policies = Command::new("taskset");
    policies.args(["-c", GATEWAY_CORE]).arg(program).arg(rounds.to_string());
    let printed = command::output(&mut policies)?;
    let measured = printed.lines().map(read).collect::<Result<Vec<_>, _>>()?;
    say(format_args!("\n{}\n", columns(&table(&measured))));
    Ok(())
}

fn read(line: &str) -> Result<Measured, Failure> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("the policies printed no JSON: {error}"))?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let micros = value["micros"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    Ok(Measured { policy: text("policy"), subject: text("subject"), micros })
}

/// A row for each policy, a column for each subject.
fn table(measured: &[Measured]) -> Vec<Vec<String>> {
    let mut policies: Vec<&str> = Vec::new();
    let mut subjects: Vec<&str> = Vec::new();
    for one in measured {
        if !policies.contains(&one.policy.as_str()) {
            policies.push(&one.policy);
        }
        if !subjects.contains(&one.subject.as_str()) {
            subjects.push(&one.subject);
        }
    }
    let cell = |policy: &str, subject: &str| {
        let found = measured.iter().find(|one| one.policy == policy && one.subject == subject);
        found.and_then(|one| median(&one.micros)).map_or_else(|| "-".to_owned(), |micros| format!("{micros:.2}"))
    };
    let mut rows = vec![["µs a decision"].into_iter().chain(subjects.iter().copied()).map(str::to_owned).collect()];
    for policy in policies {
        let cells = subjects.iter().map(|subject| cell(policy, subject));
        rows.push(std::iter::once(policy.to_owned()).chain(cells).collect());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_each_policy_with_the_median() {
        let lines = [
            r#"{"policy":"no_op","subject":"call","micros":[0.5,0.1,0.2]}"#,
            r#"{"policy":"rules","subject":"call","micros":[30.0]}"#,
            r#"{"policy":"rules","subject":"text","micros":[1.0]}"#,
        ];
        let measured: Vec<_> = lines.iter().map(|line| read(line).unwrap()).collect();
        let expected = [["µs a decision", "call", "text"], ["no_op", "0.20", "-"], ["rules", "30.00", "1.00"]];
        assert_eq!(table(&measured), expected);
        assert!(read("no").is_err());
    }
}
