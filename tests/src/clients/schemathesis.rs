//! Schemathesis, which makes calls of an OpenAPI document and compares the answers with it, and the validator of such documents.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::Run;
use crate::places;
use crate::process::{clean, finish};

/// The most that a run may take, on a machine that is busy.
const WITHIN: Duration = Duration::from_secs(200);

/// What is compared. Left out: `positive_data_acceptance`, `missing_required_header`, `use_after_free`,
/// `ensure_resource_availability` and `object_level_authorization`, which take for granted that what a schema allows exists, or is
/// another caller's; `negative_data_rejection`, since parameters that a route does not know are let be, as older callers send some;
/// `unsupported_method` and `ignored_auth`, which our own tests of each route ask: a wrong bearer counts for nothing beside the right key.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

/// What is tried.
#[derive(Clone, Debug)]
pub struct Tried<'a> {
    /// Further arguments: which operations, and how.
    pub args: &'a [&'a str],
    /// Ids that are in the record, each with the path that takes it.
    pub ids: &'a [(&'a str, &'a str, String)],
    /// How many calls at most are made of each operation.
    pub examples: u32,
}

/// Makes calls of the document that the gateway at `base` serves.
pub async fn schemathesis(base: &str, key: &str, tried: &Tried<'_>) -> Run {
    let home = TempDir::new().expect("a temporary folder");
    let mut config = String::new();
    for (path, name, id) in tried.ids {
        let text = |text: &str| Value::from(text).to_string();
        let _ = writeln!(
            config,
            "[[operations]]\ninclude-path = {}\nparameters = {{ {} = {} }}\n",
            text(path),
            text(name),
            text(id)
        );
    }
    std::fs::write(home.path().join("schemathesis.toml"), config).expect("a file of settings");
    let mut command = clean(&places::peer("schemathesis/bin/st"), home.path());
    command.args(["run", &format!("{base}/openapi.json"), "--no-color", "--seed", "1", "--workers", "1"]);
    command.args(["--checks", CHECKS, "--header", &format!("x-api-key: {key}"), "--suppress-health-check", "all"]);
    command.args(["--max-examples", &tried.examples.to_string(), "--generation-deterministic", "--no-shrink"]);
    command.args(["--request-timeout", "30", "--warnings", "off", "--continue-on-failure"]);
    command.args(tried.args);
    finish(command, b"", WITHIN).await
}

/// Whether this is a valid document of its version.
pub async fn validate(document: &Value) -> Run {
    let home = TempDir::new().expect("a temporary folder");
    let file = home.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).expect("a file");
    let mut command = clean(&places::peer("schemathesis/bin/python"), home.path());
    command.args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(&file);
    finish(command, b"", WITHIN).await
}
