//! What an answer says without its dialect, piece by piece.

use serde_json::Value;

use crate::convert::citation::Citation;
use crate::convert::errors::Failure;
use crate::convert::search::Found;

/// A block, as its reader numbers it. No two blocks of an answer have the same key.
pub(super) type Key = u64;

/// What keeping a thing costs beside its text.
pub(super) const EACH: usize = 64;

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// The answer begins.
    Head(Head),
    /// A block begins.
    Start(Key, Kind),
    /// A block goes on.
    Delta(Key, Delta),
    /// A block ends.
    End(Key),
    /// What is open ends now, where a limit or a filter cut it off.
    Cut,
    /// What the answer has cost so far.
    Usage(Usage),
    /// Why the model stopped; the last one counts.
    Stop(Stop),
    /// The upstream says that it failed.
    Failure(Failure),
    /// The answer is complete.
    Done,
    /// Something that no other dialect has a place for.
    Dropped(String),
}

/// How an answer begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Head {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    /// Seconds since 1970.
    pub(super) created: Option<u64>,
    pub(super) usage: Usage,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Text for the user.
    Text,
    /// The model's words for not answering.
    Refusal,
    /// Reasoning.
    Thinking,
    /// A call that the client is to run.
    Call {
        /// Empty where the upstream gave none.
        id: String,
        name: String,
        /// The arguments are free text, not JSON.
        free_text: bool,
    },
    /// A web search that the vendor runs. Its arguments are what a Messages call has as input.
    Search {
        /// Empty where the upstream gave none.
        id: String,
    },
}

impl Kind {
    pub(super) fn is_call(&self) -> bool {
        matches!(self, Self::Call { .. })
    }

    /// It cannot be broken off for another block.
    pub(super) fn is_one(&self) -> bool {
        matches!(self, Self::Call { .. } | Self::Search { .. })
    }
}

/// What a block gains.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Delta {
    /// Text, refusal or reasoning.
    Text(String),
    /// Text with the log probabilities of its tokens, which may be those of the text before it too.
    Spelt(String, Vec<Value>),
    /// What a vendor needs to take its reasoning back.
    Opaque(Opaque),
    /// A source of the text.
    Citation(Citation),
    /// A fragment of a call's arguments.
    Arguments(String),
    /// What a search gave.
    Found(Found),
}

impl Delta {
    /// The bytes that keeping it costs.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Arguments(text) => text.len(),
            Self::Spelt(text, tokens) => {
                text.len() + tokens.iter().map(|one| EACH + one.to_string().len()).sum::<usize>()
            }
            Self::Opaque(Opaque::Signature(text) | Opaque::Redacted(text) | Opaque::OfCall(_, text)) => {
                EACH + text.len()
            }
            Self::Opaque(Opaque::Item(value)) => EACH + value.to_string().len(),
            Self::Opaque(Opaque::Details(values) | Opaque::Blocks(values)) => {
                values.iter().map(|value| EACH + value.to_string().len()).sum()
            }
            Self::Opaque(Opaque::Member(_)) => 0,
            Self::Citation(citation) => EACH + citation.weight(),
            Self::Found(found) => EACH + found.weight(),
        }
    }
}

/// The part of reasoning that only its vendor reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Opaque {
    /// Messages: the signature of a thinking block.
    Signature(String),
    /// Messages: the data of a redacted block.
    Redacted(String),
    /// Responses: the reasoning item as it ended.
    Item(Value),
    /// Chat: elements of `reasoning_details`.
    Details(Vec<Value>),
    /// Chat: elements of `thinking_blocks`.
    Blocks(Vec<Value>),
    /// Chat: the signature of a call that has begun before.
    OfCall(Key, String),
    /// Chat: where the text that follows stood, if not in `reasoning_content`.
    Member(Member),
}

/// The member of a Chat message that has reasoning as a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Member {
    /// `reasoning_content`, and any form that no member of its own can carry back.
    #[default]
    Content,
    /// `reasoning`.
    Reasoning,
    /// None: the text stands in the elements of a list.
    InList,
}

/// More sources than any answer names.
pub(super) const MAX_CITATIONS: usize = 1000;

/// Tokens. What the upstream did not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// The prompt's, without those read from or written to a cache.
    pub(super) input: Option<u64>,
    pub(super) cache_read: Option<u64>,
    pub(super) cache_write: Option<u64>,
    /// The answer's, reasoning included.
    pub(super) output: Option<u64>,
    pub(super) reasoning: Option<u64>,
    /// How often the vendor searched the web.
    pub(super) searches: Option<u64>,
}

impl Usage {
    /// Takes over what `more` tells.
    pub(super) fn add(&mut self, more: Self) {
        self.input = more.input.or(self.input);
        self.cache_read = more.cache_read.or(self.cache_read);
        self.cache_write = more.cache_write.or(self.cache_write);
        self.output = more.output.or(self.output);
        self.reasoning = more.reasoning.or(self.reasoning);
        self.searches = more.searches.or(self.searches);
    }

    /// The upstream has told the cost.
    pub(super) fn is_known(self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// The prompt's tokens, cached ones included.
    pub(super) fn prompt(self) -> u64 {
        [self.input, self.cache_read, self.cache_write].into_iter().flatten().fold(0, u64::saturating_add)
    }
}

impl Stop {
    /// A limit or a filter cut the answer off.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::MaxTokens | Self::ContextFull | Self::Refusal { .. })
    }
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// By itself.
    End,
    /// For the client to run tools.
    ToolUse,
    /// At the limit of tokens, or of the context.
    MaxTokens,
    /// The context was full.
    ContextFull,
    /// At one of the client's stop sequences.
    Sequence(Option<String>),
    /// It, or the vendor's filter, would not go on.
    Refusal {
        /// Messages: what kind of request it was.
        category: Option<String>,
        /// The vendor's words.
        explanation: Option<String>,
    },
    /// The vendor's server pauses a long turn.
    Pause,
    /// Anything else, by its name.
    Other(String),
}
