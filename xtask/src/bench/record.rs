//! The record's tables: how long lists and searches take in a large one, and how much it stores in a second.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::table::{columns, median};
use crate::{Failure, command, say};

/// Milliseconds that a list and a search may take.
const TARGET: f64 = 100.0;

/// What has that target.
const TARGETED: [&str; 2] = ["list", "search"];

/// Lists and searches in a record of so many turns.
pub(super) fn history(program: &Path, turns: u32, rounds: u32) -> Result<(), Failure> {
    say(format_args!("making records of {turns} turns on SQLite and PostgreSQL: this takes minutes"));
    let lines = measured(Command::new(program).arg("history").arg(turns.to_string()).arg(rounds.to_string()))?;
    say(format_args!("\n{}\n", columns(&history_table(&lines))));
    Ok(())
}

/// Transactions a second.
pub(super) fn write(program: &Path, transactions: u32, rounds: u32) -> Result<(), Failure> {
    let lines = measured(Command::new(program).arg("write").arg(transactions.to_string()).arg(rounds.to_string()))?;
    say(format_args!("\n{}\n", columns(&write_table(&lines))));
    Ok(())
}

fn measured(command: &mut Command) -> Result<Vec<Value>, Failure> {
    let printed = command::output(command)?;
    let read = |line| serde_json::from_str(line).map_err(|error| format!("the record printed no JSON: {error}"));
    printed.lines().map(read).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn megabytes(bytes: &Value) -> String {
    format!("{:.0} MB", bytes.as_f64().unwrap_or_default() / 1e6)
}

fn history_table(lines: &[Value]) -> Vec<Vec<String>> {
    let mut rows = vec![["database", "asked", "sessions", "ms", "target", ""].map(str::to_owned).to_vec()];
    for line in lines {
        let database = text(&line["database"]);
        if line["asked"].is_null() {
            let size = megabytes(&line["bytes"]);
            rows.push(vec![
                database,
                format!("{} turns, {size} on disk", line["filled"]),
                String::new(),
                String::new(),
            ]);
            continue;
        }
        let asked = text(&line["asked"]);
        let millis: Vec<f64> = line["millis"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let millis = median(&millis).unwrap_or_default();
        let mut row = vec![database, asked.clone(), line["total"].to_string(), format!("{millis:.1}")];
        if TARGETED.contains(&asked.as_str()) {
            row.push(format!("{TARGET:.0}"));
            row.push(if millis < TARGET { "met" } else { "MISSED" }.to_owned());
        }
        rows.push(row);
    }
    rows
}

fn write_table(lines: &[Value]) -> Vec<Vec<String>> {
    let head = ["database", "transactions/s", "handed over/s", "bytes each on disk", "bytes each sent"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut databases: Vec<&str> = Vec::new();
    for name in lines.iter().filter_map(|line| line["database"].as_str()) {
        if !databases.contains(&name) {
            databases.push(name);
        }
    }
    for database in databases {
        let own: Vec<&Value> = lines.iter().filter(|line| line["database"] == database).collect();
        let each = |of: &dyn Fn(&Value, f64) -> f64| {
            let figures: Vec<f64> =
                own.iter().map(|line| of(line, line["transactions"].as_f64().unwrap_or_default())).collect();
            format!("{:.0}", median(&figures).unwrap_or_default())
        };
        let number = |line: &Value, name: &str| line[name].as_f64().unwrap_or_default();
        rows.push(vec![
            database.to_owned(),
            each(&|line, count| count / number(line, "seconds")),
            each(&|line, count| count / number(line, "handed over")),
            each(&|line, count| number(line, "bytes") / count),
            each(&|line, count| number(line, "sent") / count),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_for_each_question_with_the_median() {
        let lines = [
            json!({"database": "SQLite", "filled": 1000, "seconds": 1.0, "bytes": 2_000_000}),
            json!({"database": "SQLite", "asked": "list", "total": 50, "millis": [3.0, 1.0, 2.0]}),
            json!({"database": "SQLite", "asked": "search", "total": 5, "millis": [120.0]}),
            json!({"database": "SQLite", "asked": "other", "total": 5, "millis": [120.0]}),
        ];
        let rows = history_table(&lines);
        assert_eq!(rows[1], ["SQLite", "1000 turns, 2 MB on disk", "", ""]);
        assert_eq!(rows[2], ["SQLite", "list", "50", "2.0", "100", "met"]);
        assert_eq!(rows[3], ["SQLite", "search", "5", "120.0", "100", "MISSED"]);
        assert_eq!(rows[4], ["SQLite", "other", "5", "120.0"]);
    }

    #[test]
    fn a_row_for_each_database_with_the_medians() {
        let line = |database, seconds| json!({"database": database, "transactions": 100, "seconds": seconds, "handed over": 0.1, "bytes": 5000, "sent": 90000});
        let rows =
            write_table(&[line("SQLite", 1.0), line("PostgreSQL", 4.0), line("SQLite", 2.0), line("SQLite", 0.5)]);
        assert_eq!(rows[1], ["SQLite", "100", "1000", "50", "900"]);
        assert_eq!(rows[2], ["PostgreSQL", "25", "1000", "50", "900"]);
    }
}
