//! Conversion between dialects: a client that speaks one, an upstream that speaks another.
//!
//! Requests are read into a neutral form and written in the target's; answers likewise, streamed and whole. What the target
//! has no place for is named in `dropped`; what would change the meaning is refused. Policies and the engine work on the
//! client's side of it: they see what the client will get.

mod answer;
mod call_signature;
mod citation;
pub mod envelope;
mod errors;
mod request;
mod search;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::dialect::Dialect;
pub use answer::{ConvertedAnswer, StreamConverter, whole};
pub(crate) use answer::{ToldUsage, told_usage};
pub use errors::{error, limits};
pub use request::{count, is_shared, request, takes_no_reasoning};

/// A request in the upstream's dialect.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The body for the upstream.
    pub body: Bytes,
    /// What the target has no place for, each as the path of the field in the client's body (`tools[2]`, `top_k`), in order,
    /// with a few words in brackets where the path does not say what stood there.
    pub dropped: Vec<String>,
    /// Words that the client did not write and the target needs, each as the path of its place in `body`, with the words in
    /// brackets.
    pub added: Vec<String>,
    /// What the conversion of the answer has to know.
    pub answer: AnswerContext,
}

/// A request that means something which the upstream's dialect cannot say: for the client, in its dialect's 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What cannot be said, and what to do, for a person.
    pub message: String,
    /// The path of the field.
    pub param: Option<String>,
}

/// A tool in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaced {
    /// The one name that other dialects have for it.
    pub joined: String,
    /// The namespace.
    pub namespace: String,
    /// The tool's name in it.
    pub name: String,
}

/// What the conversion of an answer has to know of the request.
#[derive(Clone, Debug)]
pub struct AnswerContext {
    /// What the upstream speaks.
    pub from: Dialect,
    /// What the client speaks.
    pub to: Dialect,
    /// The model's name as the client gave it, for answers that name none.
    pub model: String,
    /// The transaction's id without dashes, from which ids are made that the upstream did not give; set by the caller.
    pub id: String,
    /// The client's tools that take free text instead of JSON (`custom` on Chat and Responses): the upstream knows them as
    /// functions with one string `input`, and calls of them are written as the client knows them.
    pub free_text_tools: Vec<String>,
    /// Tools whose names the upstream does not take, by the name that it got, with the client's.
    pub renamed_tools: Vec<(String, String)>,
    /// Responses: tools that stand in a namespace, which calls of them name beside the tool.
    pub namespaced_tools: Vec<Namespaced>,
    /// Chat: the client asked for a usage chunk.
    pub include_usage: bool,
    /// Chat: the client used `functions`, and gets `function_call`.
    pub legacy_functions: bool,
    /// Responses: the request's fields that a response repeats (`instructions`, `tools`, `tool_choice`, `metadata`, …).
    pub repeated: Map<String, Value>,
}
