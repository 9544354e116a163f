//! The messages between the gateway and a policy server, version 1. What they mean is told in docs/webhook.md.
//!
//! Questions may gain fields within a version, so a server passes over what it does not know. Answers may not: what the
//! gateway does not know is refused, since a misspelt word must not let anything pass.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::contract::{BlockScope, OnError};

mod schema;

pub use schema::schema;

/// The version that this gateway speaks.
pub const VERSION: u32 = 1;

/// GET: what the server's policy is.
pub const DESCRIBE: &str = "/v1/describe";
/// POST: whether a configuration is right.
pub const CHECK: &str = "/v1/check";
/// POST: what is to become of something.
pub const REVIEW: &str = "/v1/review";

/// What a policy server says of itself: the answer to `GET /v1/describe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The version of the protocol that the server speaks.
    #[schemars(extend("const" = VERSION))]
    pub protocol: u32,
    /// The policy's name.
    pub name: String,
    /// What the policy does, for people.
    #[serde(default)]
    pub description: String,
    /// What it has to see, which is all that is held back for it.
    pub watches: Watches,
    /// What happens when it does not answer, unless the gateway's configuration says something else. Without both: `block`.
    #[serde(default)]
    pub on_error: Option<OnError>,
    /// Reviews of responses shall carry the client's request.
    #[serde(default)]
    pub send_request: bool,
    /// The server answers `POST /v1/check`.
    #[serde(default)]
    pub checks_config: bool,
    /// The JSON Schema of the policy's configuration, for people and their editors.
    #[serde(default)]
    pub config_schema: Option<Map<String, Value>>,
}

/// What a policy has to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Watches {
    /// The request, before it is sent.
    pub request: bool,
    /// The texts of the response.
    pub text: Text,
    /// Each tool call, whole.
    pub tool_calls: bool,
    /// Is asked about tool calls whose arguments cannot be read, too. Without it `on_error` decides those.
    pub unreadable_calls: bool,
    /// The whole response at once.
    pub turn: bool,
}

/// How much text a policy has to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// None of it.
    #[default]
    None,
    /// Each text block to its end.
    Whole,
}

/// A configuration to be checked: `POST /v1/check`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Check<'a> {
    /// The version of the protocol.
    #[schemars(extend("const" = VERSION))]
    pub protocol: u32,
    /// The configuration that reviews will carry.
    pub config: &'a Value,
}

/// The answer to `POST /v1/check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// What is wrong with it; nothing where it is right.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The way to the field: keys, and indices as decimal numbers.
    #[serde(default)]
    pub path: Vec<String>,
    /// What is wrong with it and what would be right.
    pub message: String,
}

/// A question: `POST /v1/review`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Question<'a> {
    /// The version of the protocol.
    #[schemars(extend("const" = VERSION))]
    pub protocol: u32,
    /// The transaction, as in the header `x-luthien-transaction-id`. The reviews of one transaction share it.
    pub transaction_id: &'a str,
    /// The session, if the client named one.
    pub session_id: Option<&'a str>,
    /// The user, if the client named one and is believed.
    pub user_id: Option<&'a str>,
    /// Who calls: a digest of the credential, as the record has it.
    pub caller: Option<&'a str>,
    /// The dialect the client speaks.
    #[schemars(extend("enum" = ["messages", "chat", "responses"]))]
    pub dialect: &'static str,
    /// The model that the client asked for.
    pub model: &'a str,
    /// The policy's configuration, as the gateway's operator wrote it.
    pub config: &'a Value,
    /// The request: at the hook `request` as it would be sent; else as the client sent it, where that is wanted, or null.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub request: Option<&'a RawValue>,
    /// What is to be decided.
    #[serde(flatten)]
    pub subject: Subject<'a>,
}

/// What a question is about.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "hook", rename_all = "snake_case")]
pub enum Subject<'a> {
    /// The request.
    Request {},
    /// A text of the response.
    Text {
        /// The text.
        text: &'a str,
        /// What stood before it in the response.
        earlier: Vec<Block<'a>>,
    },
    /// A tool call of the response.
    ToolCall {
        /// The call.
        tool_call: ToolCall<'a>,
        /// What stood before it in the response.
        earlier: Vec<Block<'a>>,
    },
    /// The whole response.
    Turn {
        /// All its blocks, in order.
        blocks: Vec<Block<'a>>,
    },
}

/// A block of a response.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block<'a> {
    /// Text for the user.
    Text {
        /// The text.
        text: &'a str,
    },
    /// Reasoning that the vendor shows.
    Thinking {
        /// The text.
        text: &'a str,
    },
    /// A tool call.
    ToolCall(ToolCall<'a>),
    /// Anything else.
    Opaque {
        /// The block's type on the wire.
        kind: &'a str,
        /// Its JSON as it came.
        raw: &'a str,
    },
}

/// A tool call as a server sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ToolCall<'a> {
    /// The call's id on the wire; empty where there is none.
    pub id: &'a str,
    /// The tool's name.
    pub name: &'a str,
    /// Who runs it.
    pub form: ToolForm,
    /// The arguments: an object; a text for tools that take free text; null where they cannot be read.
    pub arguments: Option<&'a Value>,
    /// Where the arguments cannot be read: why, and the text itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<UnreadableArguments<'a>>,
}

/// Arguments that mean nothing certain.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UnreadableArguments<'a> {
    /// Why.
    pub why: Unreadable,
    /// What the model wrote.
    pub raw: &'a str,
}

/// Who runs a tool call.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolForm {
    /// The client: a block prevents it.
    Client,
    /// The vendor, who has run it already: a block withholds it and its results.
    Server,
    /// A kind of block that the gateway does not know, taken for a call.
    Unknown,
}

/// Why arguments cannot be read.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// The text is not JSON.
    NotJson,
    /// The response ended before the arguments did.
    CutOff,
    /// An object has the same key twice.
    DuplicateKeys,
    /// Parts of the stream contradict each other about the call.
    Contradiction,
}

/// The answer to `POST /v1/review`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What is to happen.
    pub action: Action,
    /// At `replace`, but for requests: what stands in its place. Texts and calls, any number of both, or nothing.
    #[serde(default)]
    pub blocks: Option<Vec<NewBlock>>,
    /// At `replace` of a request: the whole request to be sent.
    #[serde(default)]
    pub request: Option<Map<String, Value>>,
    /// At `block`: the text in its place. A built-in one where there is none.
    #[serde(default)]
    pub message: Option<String>,
    /// At `ask`: what a person is asked.
    #[serde(default)]
    pub question: Option<PersonQuestion>,
    /// At `refuse`: the error that the client gets.
    #[serde(default)]
    pub refusal: Option<Refusal>,
    /// For requests that go on: where they are sent and with what.
    #[serde(default)]
    pub sending: Option<Sending>,
    /// Texts to show the user before any tool call.
    #[serde(default)]
    pub notices: Option<Vec<String>>,
    /// The suspicion score, for the record.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub score: Option<f64>,
    /// Why, for the record; never sent to the model.
    #[serde(default)]
    pub reason: Option<String>,
    /// At `block` of a tool call: what the block covers.
    #[serde(default)]
    pub scope: Option<BlockScope>,
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes on unchanged.
    Pass,
    /// Something else goes on in its place.
    Replace,
    /// It is withheld, and a text stands in its place.
    Block,
    /// A person decides. Until then it is held.
    Ask,
    /// A request is not sent, and the client gets an error. For requests alone.
    Refuse,
}

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonQuestion {
    /// Why, for the person.
    pub why: String,
    /// What the client sees in its place if the person says no. A built-in text where there is none.
    #[serde(default)]
    pub denied: Option<String>,
    /// What happens if nobody answers in time.
    #[serde(default)]
    pub unanswered: OnError,
    /// Seconds to wait, at most as many as the gateway's own limit. That limit where there are none.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub timeout: Option<f64>,
}

/// An error for the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Whose fault it is.
    pub kind: RefusalKind,
    /// What the client is told.
    pub message: String,
}

/// Kinds of errors for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The caller's credential is not accepted: 401.
    Unauthenticated,
    /// The caller may not do that: 403.
    Forbidden,
    /// The request is wrong: 400.
    Invalid,
}

/// Where and with what a request is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sending {
    /// The configured upstream, by name.
    #[serde(default)]
    pub upstream: Option<String>,
    /// The credential that takes the place of the caller's.
    #[serde(default)]
    pub credential: Option<String>,
}

/// A block that a server puts in a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum NewBlock {
    /// Text for the user. An empty one is left out.
    Text {
        /// The text.
        text: String,
    },
    /// A tool call for the client.
    ToolCall {
        /// The call's id; a fresh one where there is none. A call that is put in place of another keeps that one's id only
        /// if it is given here.
        #[serde(default)]
        id: Option<String>,
        /// The tool's name.
        name: String,
        /// An object, or a text for tools that take free text.
        arguments: Value,
    },
}

/// What a server says with a status other than 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What went wrong, for the record and the log; never shown to the client.
    pub error: String,
}

#[cfg(test)]
mod tests;
