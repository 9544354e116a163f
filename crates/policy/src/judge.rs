//! Judges: a model asked about content. The gateway brings the transport; prompts and verdicts are here.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// One question to a judge.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeRequest {
    /// The model that judges.
    pub model: String,
    /// The instructions, which are ours.
    pub system: String,
    /// The content, which is data.
    pub prompt: String,
    /// Sampling temperature, left out where the model refuses it.
    pub temperature: f64,
    /// The most tokens that the answer may have.
    pub max_tokens: u32,
    /// Nobody has named the model: where the judge is may have another one for that.
    pub usual_model: bool,
    /// Where the judge is.
    pub via: JudgeRoute,
}

/// Which upstream judges, and with whose credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JudgeRoute {
    /// The caller's upstream with the caller's credential.
    #[default]
    UserCredentials,
    /// A configured upstream, by name, with its server credential.
    Provider(String),
    /// A base URL of its own. The caller's credential never goes there.
    ApiBase(String),
}

/// Why a judge gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// Trying again may help: connection, 408, 5xx.
    #[error("judge unavailable: {0}")]
    Unavailable(String),
    /// Too much was asked of it with this credential: 429. Trying again may help.
    #[error("judge rate-limited: {0}")]
    RateLimited(String),
    /// Trying again cannot help: 400, 401, 403, 404, no credential.
    #[error("judge refused: {0}")]
    Refused(String),
    /// Nothing came in time.
    #[error("judge took more than {0:?}")]
    TimedOut(Duration),
}

/// The way to a model. One call is one HTTP request; retries are the policy's.
pub trait JudgeClient: Send + Sync + Debug {
    /// A number that changes when what the routes lead to has changed: a verdict given before stands no longer.
    fn version(&self) -> u64 {
        0
    }

    /// The judge's answer.
    fn ask(&self, request: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>>;
}

/// What a judge said, and what it cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JudgeAnswer {
    /// Its words.
    pub text: String,
    /// Tokens of the question, if the upstream said.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, if the upstream said.
    pub output_tokens: Option<u64>,
    /// The model that was asked, where it is called otherwise than the question says.
    pub model: Option<String>,
}

impl From<String> for JudgeAnswer {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

mod access;
mod ask;
#[cfg(test)]
mod corpus;
mod envelope;
mod provider;
mod unfinished;
mod verdict;

pub(crate) use access::{Access, JudgeLimits};
pub(crate) use ask::{Account, Asker, Failure};
pub(crate) use envelope::{HOW_TO_READ, blocks, conversation, envelope};
pub(crate) use provider::{InferenceProvider, Route};
pub(crate) use unfinished::Unfinished;
pub(crate) use verdict::{Ruling, Verdict};

/// The model that judges where nothing else is said.
pub(crate) const DEFAULT_MODEL: &str = "claude-haiku-4-5";
