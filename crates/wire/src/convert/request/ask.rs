//! A request without its dialect: what is said and asked for, in a form that each dialect is read into and written from.

use serde_json::{Map, Value};

use super::super::Namespaced;
use super::super::citation::Citation;
use super::search::Search;
use super::searched::Searched;
use crate::dialect::Dialect;

/// A request.
#[derive(Debug, Default)]
pub(super) struct Ask {
    /// System texts before the conversation, in order.
    pub(super) system: Vec<Part>,
    /// The conversation.
    pub(super) turns: Vec<Turn>,
    /// The tools that can be said in every dialect.
    pub(super) tools: Vec<Tool>,
    /// The web search that the vendor is to run.
    pub(super) search: Option<Search>,
    /// Those of them that stand in a namespace.
    pub(super) namespaced: Vec<Namespaced>,
    /// Tools that cannot: a choice that forces one of them is refused.
    pub(super) gone: Vec<Gone>,
    /// Which tool the model is to call.
    pub(super) choice: Option<Choice>,
    /// Whether several calls in one answer are wanted.
    pub(super) parallel: Option<bool>,
    /// The limit of the answer's tokens.
    pub(super) limit: Option<Value>,
    pub(super) temperature: Option<Value>,
    pub(super) top_p: Option<Value>,
    pub(super) top_k: Option<Value>,
    /// Texts at which the answer ends.
    pub(super) stop: Vec<Value>,
    /// How much is to be thought.
    pub(super) effort: Effort,
    pub(super) verbosity: Option<Value>,
    /// Log probabilities of the answer's tokens are wanted.
    pub(super) logprobs: Option<Logprobs>,
    /// The form of the answer.
    pub(super) format: Option<Format>,
    /// The end user, with where it stands.
    pub(super) user: Option<(String, String)>,
    pub(super) tier: Option<String>,
    /// The client names a prompt cache, so it counts on one; with how long it is to last.
    pub(super) cache: Option<Cache>,
    /// Chat: parts are marked for a prompt cache.
    pub(super) hinted: bool,
    pub(super) stream: Option<bool>,
    /// How the stream is wanted, as OpenAI's dialects say it, but for the usage chunk.
    pub(super) stream_options: Map<String, Value>,
    /// Chat: a usage chunk is asked for.
    pub(super) include_usage: bool,
    /// Chat: `functions` were given, not `tools`.
    pub(super) legacy: bool,
    /// All other top-level members.
    pub(super) rest: Map<String, Value>,
}

impl Ask {
    /// Whether the model is to have any tool.
    pub(super) fn has_tools(&self) -> bool {
        !self.tools.is_empty() || self.search.is_some()
    }
}

/// What one side says, until the other speaks.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) role: Role,
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    System,
    Developer,
    User,
    Assistant,
}

impl Role {
    /// Whether the operator speaks.
    pub(super) fn is_system(self) -> bool {
        matches!(self, Self::System | Self::Developer)
    }
}

/// A part of a turn, and where it stands in the client's body.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) at: String,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Text(String),
    Image(Image),
    Document(Document),
    /// Audio as Chat carries it: `{data, format}`.
    Audio(Value),
    Call(Call),
    Outcome(Outcome),
    /// A web search that the vendor ran.
    Search(Searched),
    /// The sources of the text before it.
    Cited(Vec<Citation>),
    /// Reasoning of a vendor of this dialect, in the form that an envelope holds.
    Reasoning(Dialect, Value),
}

/// A picture; `detail` is how closely OpenAI's models are to look.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) source: Source,
    pub(super) detail: Option<Value>,
}

/// Where the bytes of a picture or document are.
#[derive(Debug)]
pub(super) enum Source {
    /// In the request, in base64.
    Data { media: String, data: String },
    /// At an address.
    Url(String),
}

/// A document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) source: Source,
    pub(super) name: Option<String>,
}

/// A tool call of the model.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: Input,
}

/// What a tool is called with.
#[derive(Debug)]
pub(super) enum Input {
    /// Parsed, as Messages has it.
    Parsed(Value),
    /// JSON in a text, as the model wrote it, which need not be well-formed.
    Written(String),
    /// The free text of a custom tool.
    Free(String),
}

/// What a tool gave back.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The id of the call.
    pub(super) id: String,
    pub(super) failed: bool,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) takes: Takes,
}

#[derive(Debug)]
pub(super) enum Takes {
    /// JSON by a schema.
    Json { schema: Option<Value>, strict: Option<bool> },
    /// Free text, perhaps by a grammar.
    Text,
}

/// A tool that is not passed on.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) kind: String,
    pub(super) name: Option<String>,
}

/// Which tool is to be called.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Choice {
    Auto,
    None,
    Required,
    /// This tool.
    Named(String),
    /// Some of these tools only; `required` says whether one must be called.
    Allowed {
        required: bool,
        names: Vec<String>,
    },
    /// A tool that the vendor runs, by its type; once settled the web search, by its name.
    Hosted(String),
}

/// How much is to be thought before the answer.
#[derive(Debug, Default)]
pub(super) struct Effort {
    /// Whether the model is to think, where that is said.
    pub(super) on: Option<bool>,
    /// The vendors' words: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub(super) level: Option<String>,
    /// A limit in tokens.
    pub(super) budget: Option<u64>,
    /// Whether the client wants to see the thoughts, where it says so.
    pub(super) shown: Option<bool>,
    /// `thinking` in Messages' own form, given by a client of another dialect.
    pub(super) native: Option<Value>,
    /// The member it came from.
    pub(super) at: &'static str,
}

/// How Responses asks for what a search found. Elsewhere it is told anyway.
pub(super) const SOURCES: &str = "web_search_call.action.sources";

/// How Responses asks for them.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

/// Which log probabilities are wanted.
#[derive(Debug)]
pub(super) struct Logprobs {
    /// Where that is said.
    pub(super) at: String,
    /// Of how many other tokens too.
    pub(super) top: Option<Value>,
}

/// The form of an answer.
#[derive(Debug)]
pub(super) enum Format {
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    Schema(Box<Shape>),
}

/// A schema for the answer.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: Option<Value>,
    pub(super) description: Option<Value>,
    pub(super) schema: Value,
    pub(super) strict: Option<Value>,
}

/// A prompt cache that the client names.
#[derive(Debug)]
pub(super) struct Cache {
    /// Longer than minutes.
    pub(super) long: bool,
}
