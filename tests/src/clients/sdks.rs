//! The vendors' own SDKs, which read answers and tell what they made of them.

use std::collections::BTreeMap;
use std::path::Path;

use luthien_wire::Dialect;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::WITHIN;
use crate::places;
use crate::process::{clean, finish};

/// One of the vendors' SDK pairs, each with an Anthropic and an OpenAI one.
#[derive(Clone, Copy, Debug)]
pub enum Sdk {
    /// The newer generation of the Python SDKs.
    PythonNew,
    /// The older generation of the Python SDKs.
    PythonOld,
    /// The TypeScript SDKs.
    TypeScript,
}

/// One answer for an SDK to read.
#[derive(Clone, Debug)]
pub struct Job {
    /// The name under which the result comes.
    pub name: String,
    /// The dialect that the SDK speaks.
    pub dialect: Dialect,
    /// Whether the SDK asks for a stream.
    pub streamed: bool,
    /// The request's body, without `stream`.
    pub request: Value,
}

/// What an SDK made of each job's answer, by the job's name: `{"events": […], "final": {…}}`, with `{"error": "…"}` in
/// the place of what it refused.
pub type Results = BTreeMap<String, Value>;

/// Lets the SDK read each job's answer from `base`.
pub async fn read(sdk: Sdk, base: &str, jobs: &[Job]) -> Results {
    let [results] = read_each(sdk, [base], jobs).await;
    results
}

/// The same from each of these servers; one process reads all of it.
pub async fn read_each<const N: usize>(sdk: Sdk, bases: [&str; N], jobs: &[Job]) -> [Results; N] {
    let home = TempDir::new().expect("a temporary folder");
    let command = match sdk {
        Sdk::PythonNew => python("python-new", home.path()),
        Sdk::PythonOld => python("python-old", home.path()),
        Sdk::TypeScript => {
            let mut command = clean(Path::new("node"), home.path());
            command.env("NODE_PATH", places::peer("node/node_modules")).arg(places::script("node/read.cjs"));
            command
        }
    };
    let input = json!({"bases": bases.as_slice(), "jobs": jobs.iter().map(described).collect::<Vec<_>>()});
    let run = finish(command, input.to_string().as_bytes(), WITHIN).await;
    assert_eq!(run.code, Some(0), "{sdk:?} ended badly: {}", run.stderr);
    let results: Vec<Results> = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{sdk:?} printed no JSON ({error}): {}", run.stdout));
    results.try_into().unwrap_or_else(|results: Vec<_>| panic!("{sdk:?} read {} servers", results.len()))
}

fn python(environment: &str, home: &Path) -> Command {
    let mut command = clean(&places::peer(&format!("{environment}/bin/python")), home);
    command.arg(places::script("python/read.py"));
    command
}

fn described(job: &Job) -> Value {
    json!({"name": job.name, "dialect": job.dialect.name(), "streamed": job.streamed, "request": job.request})
}
