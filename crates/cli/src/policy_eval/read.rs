//! Labelled data: JSON lines, which of them count, and what is wrong with a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use luthien_policy::evaluate::{Case, CommandTool};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The longest line, in bytes: a recorded turn may be long, an endless line is an error.
const LONGEST: u64 = 64 << 20;

/// One line.
#[derive(Debug)]
pub(super) struct Row {
    /// File and line, for people.
    pub(super) place: String,
    /// What it is known to be.
    pub(super) label: Option<String>,
    /// Its other fields, for groups and conditions.
    pub(super) fields: Map<String, Value>,
    pub(super) case: Case,
}

impl Row {
    /// The values of a field: of a list its members, of nothing none.
    pub(super) fn values(&self, field: &str) -> Vec<String> {
        values(&self.fields, field)
    }
}

/// Which lines count.
#[derive(Debug, Default)]
pub(super) struct Filter {
    only: Vec<(String, Vec<String>)>,
    without: Vec<(String, Vec<String>)>,
}

impl Filter {
    /// Reads `FIELD=A,B` each.
    pub(super) fn read(only: &[String], without: &[String]) -> Result<Self, Failure> {
        let all = |name: &str, texts: &[String]| {
            texts
                .iter()
                .map(|text| match text.split_once('=') {
                    Some((field, values)) if !field.is_empty() && !values.is_empty() => {
                        Ok((field.trim().to_owned(), values.split(',').map(|value| value.trim().to_owned()).collect()))
                    }
                    _ => Err(Failure::new(format!("{name} {text}: write FIELD=VALUE or FIELD=A,B"))),
                })
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { only: all("--where", only)?, without: all("--without", without)? })
    }

    fn takes(&self, fields: &Map<String, Value>) -> bool {
        let wanted =
            |(field, wanted): &(String, Vec<String>)| values(fields, field).iter().any(|value| wanted.contains(value));
        let unwanted = |(field, unwanted): &(String, Vec<String>)| {
            let found = values(fields, field);
            !found.is_empty() && found.iter().all(|value| unwanted.contains(value))
        };
        self.only.iter().all(wanted) && !self.without.iter().any(unwanted)
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        self.only.iter().chain(&self.without).map(|(field, _)| field.as_str())
    }
}

fn values(fields: &Map<String, Value>, field: &str) -> Vec<String> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match fields.get(field) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values.iter().map(plain).collect(),
        Some(value) => vec![plain(value)],
    }
}

/// The lines of some files that count, and how many do not. A field that no line has is an error: it is a slip.
pub(super) fn rows(
    files: &[PathBuf],
    tool: &CommandTool,
    filter: &Filter,
    group: Option<&str>,
) -> Result<(Vec<Row>, usize), Failure> {
    let mut rows = Vec::new();
    let mut left_out = 0;
    let mut unseen: Vec<&str> = filter.fields().chain(group).collect();
    for file in files {
        let name = if is_input(file) { "-".to_owned() } else { file.display().to_string() };
        for (number, line) in lines(file, &name)?.into_iter().enumerate() {
            let place = format!("{name}:{}", number + 1);
            let line = line.map_err(|why| Failure::new(format!("{place}: {why}")))?;
            if line.trim().is_empty() {
                continue;
            }
            let row = row(&line, tool, place)?;
            unseen.retain(|field| !row.fields.contains_key(*field));
            if filter.takes(&row.fields) {
                rows.push(row);
            } else {
                left_out += 1;
            }
        }
    }
    if let Some(field) = unseen.first() {
        return Err(Failure::new(format!("no line of the data has the field `{field}`")));
    }
    if rows.is_empty() {
        return Err(Failure::new("there is no line to evaluate"));
    }
    Ok((rows, left_out))
}

fn row(line: &str, tool: &CommandTool, place: String) -> Result<Row, Failure> {
    let wrong = |what: &dyn std::fmt::Display| Failure::new(format!("{place}: {what}"));
    let value: Value = serde_json::from_str(line).map_err(|error| wrong(&format!("not JSON: {error}")))?;
    let Value::Object(fields) = value else { return Err(wrong(&"a line has to be an object")) };
    let label = match fields.get("label") {
        None | Some(Value::Null) => None,
        Some(Value::String(label)) if !label.is_empty() => Some(label.clone()),
        Some(_) => return Err(wrong(&"`label` has to be a text")),
    };
    let case = Case::read(&fields, tool).map_err(|why| wrong(&why))?;
    // What the case is made of need not be kept twice.
    let large = ["request", "response", "request_messages", "response_messages", "original_request_messages"];
    let fields = fields.into_iter().filter(|(name, _)| !large.contains(&name.as_str())).collect();
    Ok(Row { place, label, fields, case })
}

fn is_input(file: &Path) -> bool {
    file == Path::new("-")
}

type Lines = Vec<Result<String, String>>;

fn lines(file: &Path, name: &str) -> Result<Lines, Failure> {
    if is_input(file) {
        return Ok(read(std::io::stdin().lock()));
    }
    let file = File::open(file).map_err(|error| Failure::new(format!("{name}: {error}")))?;
    Ok(read(BufReader::new(file)))
}

/// All lines; what cannot be read is the last.
fn read(mut from: impl BufRead) -> Lines {
    let mut out = Vec::new();
    while let Some(line) = line(&mut from).transpose() {
        let last = line.is_err();
        out.push(line);
        if last {
            break;
        }
    }
    out
}

/// The next line; `None` at the end.
fn line(from: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    let mut bounded = from.take(LONGEST);
    let read = bounded.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    if bounded.limit() == 0 {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    let line = String::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
    Ok((read > 0).then_some(line))
}
