//! Asks the gateway that runs on this data folder, with its admin key.

use http::{Method, Request};
use http_body_util::Full;
use luthien_gateway::data_dir::DataDir;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::args::RecordArgs;
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::loopback;

/// The way to a running gateway's admin routes.
pub(crate) struct AdminClient {
    base: String,
    key: SecretString,
}

impl AdminClient {
    /// To the gateway that runs on the data folder that these arguments mean.
    pub(crate) async fn find(args: &RecordArgs) -> Result<Self, Failure> {
        let loaded = Loaded::for_keeping(args)?;
        Self::running(&loaded).await?.ok_or_else(|| {
            Failure::new(format!(
                "no gateway runs on the data folder {}; start one with `luthien up`, or name its folder with --data-dir",
                loaded.folder().display()
            ))
        })
    }

    /// To the gateway that runs on the data folder of these settings; none if none runs.
    pub(crate) async fn running(loaded: &Loaded) -> Result<Option<Self>, Failure> {
        let folder = loaded.folder();
        let Some(base) = loaded.running_gateway().await else { return Ok(None) };
        let data = DataDir::at(&folder);
        let (set, kept) = (loaded.settings.admin_api_key.clone(), data.admin_key());
        // The gateway may have been started with other settings than these.
        let here = data.running().is_some_and(|running| running.admin_key_here);
        let Some(key) = (if here { kept.or(set) } else { set.or(kept) }) else {
            return Err(Failure::new(
                "the gateway's admin key is not known here: set ADMIN_API_KEY as the gateway has it",
            ));
        };
        Ok(Some(Self { base, key }))
    }

    /// Its base URL.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What a route answers; the error is the gateway's own words.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// The same for a change.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// The same for what is put in a place.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// The same for what is to go.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.key.expose_secret()))
            .header("content-type", "application/json")
            .body(Full::from(body.map(Value::to_string).unwrap_or_default()))
            .map_err(|e| Failure::new(e.to_string()))?;
        let answer = loopback::send(request).await?;
        let status = answer.status();
        let bytes = loopback::read(answer.into_body()).await?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        let why = match &value["detail"] {
            Value::String(text) => text.clone(),
            Value::Array(fields) => fields.iter().map(field).collect::<Vec<_>>().join("; "),
            _ => String::from_utf8_lossy(&bytes).into_owned(),
        };
        Err(Failure::new(format!("the gateway says ({status}): {why}")))
    }
}

/// A wrong field in one line.
fn field(field: &Value) -> String {
    let place = field["loc"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(".");
    format!("{place} {}", field["msg"].as_str().unwrap_or_default())
}
