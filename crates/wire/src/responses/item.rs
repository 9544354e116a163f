//! Output items: which kind of block each type is, and what it says.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::stream::Kind;
use crate::turn::{ToolForm, Unreadable};

/// An output item, as far as policies have to know it.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    actions: Option<&'a RawValue>,
    #[serde(borrow)]
    operation: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
    #[serde(borrow)]
    execution: Option<Cow<'a, str>>,
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
}

/// A part of a message's content.
#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(rename = "logprobs")]
    _logprobs: Option<IgnoredAny>,
}

impl<'a> Item<'a> {
    /// Reads an item. One of another form than the protocol's, repeated members included, is a contradiction.
    pub(super) fn read(raw: &'a str) -> Result<Self, Unreadable> {
        serde_json::from_str(raw).map_err(|_| Unreadable::Contradiction)
    }

    /// The kind of block it is.
    pub(super) fn block(&self) -> Kind {
        let call = |form, free_text, name: &str| Kind::Call {
            form,
            id: self.call_id.as_deref().or(self.id.as_deref()).unwrap_or_default().to_owned(),
            name: self.name.as_deref().unwrap_or(name).to_owned(),
            free_text,
        };
        match &*self.kind {
            "message" => Kind::Text,
            "reasoning" => Kind::Thinking,
            "function_call" => call(ToolForm::Client, false, ""),
            "custom_tool_call" => call(ToolForm::Client, true, ""),
            // Approved by the client, it is run: an approval that is withheld prevents it.
            "mcp_approval_request" => call(ToolForm::Client, false, "mcp"),
            "local_shell_call" | "shell_call" | "apply_patch_call" | "computer_call" => {
                call(ToolForm::Client, false, self.tool())
            }
            "tool_search_call" if self.execution.as_deref() == Some("client") => {
                call(ToolForm::Client, false, self.tool())
            }
            "mcp_call"
            | "web_search_call"
            | "file_search_call"
            | "code_interpreter_call"
            | "image_generation_call"
            | "tool_search_call" => call(ToolForm::Server, false, self.tool()),
            "mcp_list_tools" | "compaction" | "additional_tools" => Kind::Opaque(self.kind.clone().into_owned()),
            output if output.ends_with("_call_output") || matches!(output, "tool_search_output" | "program_output") => {
                Kind::Result { call: self.call_id.as_deref().or(self.id.as_deref()).unwrap_or_default().to_owned() }
            }
            // Named by its type whatever it calls itself, so that no name can pass for a known tool's.
            unknown => Kind::Call {
                form: ToolForm::Unknown,
                id: self.call_id.as_deref().or(self.id.as_deref()).unwrap_or_default().to_owned(),
                name: unknown.to_owned(),
                free_text: true,
            },
        }
    }

    fn tool(&self) -> &str {
        self.kind.strip_suffix("_call").unwrap_or(&self.kind)
    }

    /// It is a message of the conversation, not of the model: a compacted conversation repeats them.
    pub(super) fn is_repeated(&self) -> bool {
        self.kind == "message" && self.role.as_deref().is_some_and(|role| role != "assistant")
    }

    /// A message's content parts.
    pub(super) fn contents(&self) -> Result<Vec<Content<'a>>, Unreadable> {
        let Some(raw) = self.content.filter(|raw| raw.get() != "null") else { return Ok(Vec::new()) };
        let contents: Vec<Content<'a>> = serde_json::from_str(raw.get()).map_err(|_| Unreadable::Contradiction)?;
        // A part of a type that nobody knows could be anything.
        let known = contents.iter().all(|part| matches!(&*part.kind, "output_text" | "refusal" | "text"));
        if known { Ok(contents) } else { Err(Unreadable::Contradiction) }
    }

    /// The same parts as JSON.
    pub(super) fn content_parts(&self) -> Result<Vec<&'a RawValue>, Unreadable> {
        let raw = self.content.filter(|raw| raw.get() != "null").map_or("[]", RawValue::get);
        serde_json::from_str(raw).map_err(|_| Unreadable::Contradiction)
    }

    /// What a call is asked to do, as its raw text: JSON, or free text. `raw` is the item's JSON.
    pub(super) fn arguments(&self, raw: &str) -> Result<String, Unreadable> {
        let text = |raw: &RawValue| -> Result<String, Unreadable> {
            // Some servers write an object where the protocol has its text.
            match serde_json::from_str::<Option<Cow<'_, str>>>(raw.get()) {
                Ok(text) => Ok(text.unwrap_or_default().into_owned()),
                Err(_) if raw.get().starts_with('{') => Ok(raw.get().to_owned()),
                Err(_) => Err(Unreadable::Contradiction),
            }
        };
        match &*self.kind {
            "function_call" | "mcp_call" | "mcp_approval_request" => self.arguments.map_or(Ok(String::new()), text),
            "custom_tool_call" => self.input.map_or(Ok(String::new()), text),
            _ => {
                let said = self.action.or(self.operation).or(self.actions).filter(|raw| raw.get() != "null");
                Ok(said.map_or(raw, RawValue::get).to_owned())
            }
        }
    }

    /// Its arguments are sent as text, piece by piece.
    pub(super) fn streams_arguments(&self) -> bool {
        matches!(&*self.kind, "function_call" | "mcp_call" | "custom_tool_call")
    }

    /// The reasoning that is shown: the summary's texts, then the content's.
    pub(super) fn thoughts(&self) -> String {
        #[derive(Deserialize)]
        struct Thought {
            text: Option<String>,
        }
        let all = [self.summary, self.content].into_iter().flatten();
        all.filter_map(|raw| serde_json::from_str::<Option<Vec<Thought>>>(raw.get()).ok().flatten())
            .flatten()
            .filter_map(|thought| thought.text)
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

impl Content<'_> {
    /// What it says.
    pub(super) fn said(&self) -> &str {
        self.text.as_deref().or(self.refusal.as_deref()).unwrap_or_default()
    }
}
