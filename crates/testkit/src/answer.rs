//! A model's answer without a dialect: what is said, in order, with whatever goes wrong on the way.
//!
//! Put into the dialect and the form (stream or not) that a request asks for.

use bytes::Bytes;
use luthien_wire::Dialect;
use serde_json::Value;

use crate::asked::Asked;
use crate::gate::Gate;
use crate::reply::{Chunking, Reply, Step};

mod chat;
mod messages;
mod responses;

/// One thing that happens in an answer.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// Text; goes on with the open text block, if one is.
    Text(String),
    /// Ends the open block.
    Break,
    Thinking {
        text: String,
        signature: String,
    },
    /// Starts a tool call.
    Tool {
        id: Option<String>,
        name: String,
    },
    /// A piece of the open tool call's arguments, whole or not.
    Input(String),
    /// A call of a tool that takes free text.
    Custom {
        id: Option<String>,
        name: String,
        input: String,
    },
    Ping,
    Comment(String),
    /// Bytes as they are (streams only).
    Raw(Bytes),
    Hold(Gate),
    /// The vendor fails; nothing follows.
    Error {
        kind: String,
        message: String,
    },
    /// The answer ends here, without its proper end.
    End(Option<Step>),
}

/// A model's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pieces: Vec<Piece>,
    stop: Option<String>,
    delta: usize,
    chunking: Chunking,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// An answer that says nothing yet.
    pub fn new() -> Self {
        Self { pieces: Vec::new(), stop: None, delta: 16, chunking: Chunking::PerFrame, headers: Vec::new() }
    }

    /// An answer that says this and ends.
    pub fn text(text: &str) -> Self {
        Self::new().say(text)
    }

    /// An answer that calls one tool.
    pub fn tool(name: &str, input: &Value) -> Self {
        Self::new().call(name, input)
    }

    /// Adds text; two in a row make one block.
    #[must_use]
    pub fn say(self, text: &str) -> Self {
        self.with(Piece::Text(text.to_owned()))
    }

    /// Ends the open block, so that more text makes a block of its own.
    #[must_use]
    pub fn new_block(self) -> Self {
        self.with(Piece::Break)
    }

    /// Adds a thinking block (Chat: `reasoning_content`; Responses: a reasoning item with a summary, and the signature as
    /// its encrypted content where the request includes that).
    #[must_use]
    pub fn think(self, text: &str, signature: &str) -> Self {
        self.with(Piece::Thinking { text: text.to_owned(), signature: signature.to_owned() })
    }

    /// Adds a tool call; several in a row are parallel calls.
    #[must_use]
    pub fn call(self, name: &str, input: &Value) -> Self {
        self.start_call(name).input(&input.to_string())
    }

    /// Adds a tool call with this id.
    #[must_use]
    pub fn call_with_id(self, id: &str, name: &str, input: &Value) -> Self {
        self.with(Piece::Tool { id: Some(id.to_owned()), name: name.to_owned() }).input(&input.to_string())
    }

    /// Adds a call of a tool that takes free text (Messages, which has none: a call with the one field `input`).
    #[must_use]
    pub fn call_custom(self, name: &str, input: &str) -> Self {
        self.with(Piece::Custom { id: None, name: name.to_owned(), input: input.to_owned() })
    }

    /// Starts a tool call whose arguments follow by [`Answer::input`].
    #[must_use]
    pub fn start_call(self, name: &str) -> Self {
        self.with(Piece::Tool { id: None, name: name.to_owned() })
    }

    /// Adds to the arguments of the open tool call; need not be JSON.
    #[must_use]
    pub fn input(self, json: &str) -> Self {
        self.with(Piece::Input(json.to_owned()))
    }

    /// Adds a ping (a comment on Chat, a `keepalive` on Responses), also inside a block.
    #[must_use]
    pub fn ping(self) -> Self {
        self.with(Piece::Ping)
    }

    /// Adds a comment line, also inside a block.
    #[must_use]
    pub fn comment(self, text: &str) -> Self {
        self.with(Piece::Comment(text.to_owned()))
    }

    /// Adds bytes to the stream as they are, also inside a block.
    #[must_use]
    pub fn raw(self, bytes: impl Into<Bytes>) -> Self {
        self.with(Piece::Raw(bytes.into()))
    }

    /// Waits here until the gate is open, also inside a block. Unstreamed, waits before the answer.
    #[must_use]
    pub fn hold(self, gate: &Gate) -> Self {
        self.with(Piece::Hold(gate.clone()))
    }

    /// Fails here with the vendor's error; unstreamed, or at the very start, with the status that belongs to it.
    #[must_use]
    pub fn fail(self, kind: &str, message: &str) -> Self {
        self.with(Piece::Error { kind: kind.to_owned(), message: message.to_owned() })
    }

    /// Ends the stream here with a proper end of the HTTP body but none of the answer.
    #[must_use]
    pub fn end_early(self) -> Self {
        self.with(Piece::End(None))
    }

    /// Ends here with this step ([`Step::Stall`], [`Step::Close`] or [`Step::Reset`]).
    #[must_use]
    pub fn break_off(self, how: Step) -> Self {
        self.with(Piece::End(Some(how)))
    }

    /// The stop reason, by its Messages name; else `tool_use` after tool calls and `end_turn` without.
    #[must_use]
    pub fn stop(mut self, reason: &str) -> Self {
        self.stop = Some(reason.to_owned());
        self
    }

    /// How many characters a delta carries at most (at least 1; 16 unless told).
    #[must_use]
    pub fn delta_size(mut self, characters: usize) -> Self {
        self.delta = characters.max(1);
        self
    }

    /// Cuts the stream so (a piece for each frame unless told).
    #[must_use]
    pub fn chunking(mut self, chunking: Chunking) -> Self {
        self.chunking = chunking;
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether it calls a tool that the client runs.
    pub(crate) fn has_tools(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Tool { .. } | Piece::Custom { .. }))
    }

    /// The HTTP answer to this request.
    pub fn reply(&self, asked: &Asked) -> Reply {
        let reply = match (self.early_error(asked), asked.stream()) {
            (Some(reply), _) => reply,
            (None, true) => Reply::frames(self.frames(asked)).chunking(self.chunking),
            (None, false) => self.unstreamed(asked),
        };
        self.headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    }

    /// The body of this answer to a request for a stream, or not, in one piece; waits and breaks left out.
    pub fn bytes(&self, asked: &Asked) -> Bytes {
        let mut out = Vec::new();
        for step in self.reply(asked).steps {
            if let Step::Send(bytes) = step {
                out.extend_from_slice(&bytes);
            }
        }
        out.into()
    }

    fn with(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }

    /// The answer as a stream, a step for each frame.
    pub(crate) fn frames(&self, asked: &Asked) -> Vec<Step> {
        match asked.dialect {
            Dialect::Messages => messages::steps(self, asked),
            Dialect::Chat => chat::steps(self, asked),
            Dialect::Responses => responses::steps(self, asked),
        }
    }

    /// The answer in one piece, waits, breaks and errors left out.
    pub(crate) fn whole(&self, asked: &Asked) -> Value {
        match asked.dialect {
            Dialect::Messages => messages::whole(self, asked),
            Dialect::Chat => chat::whole(self, asked),
            Dialect::Responses => responses::whole(self, asked),
        }
    }

    fn unstreamed(&self, asked: &Asked) -> Reply {
        if asked.background() {
            return Reply::json(200, &responses::queued(self, asked));
        }
        let mut reply = Reply::json(200, &self.whole(asked));
        for piece in &self.pieces {
            match piece {
                Piece::Hold(gate) => reply.before.push(Step::Wait(gate.clone())),
                Piece::End(how) => reply.before.push(how.clone().unwrap_or(Step::Close)),
                _ => {}
            }
        }
        reply
    }

    /// The error that takes the place of the answer: one that comes first, or any where nothing is streamed.
    fn early_error(&self, asked: &Asked) -> Option<Reply> {
        let mut reply = None;
        let mut gates = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Hold(gate) => gates.push(Step::Wait(gate.clone())),
                Piece::Error { kind, message } => {
                    reply = Some(Reply::error(asked.dialect, status(kind), kind, message));
                    break;
                }
                _ if asked.stream() => return None,
                _ => {}
            }
        }
        reply.map(|reply| Reply { before: gates, ..reply })
    }

    /// The stop reason, by its Messages name.
    fn reason(&self) -> &str {
        match (&self.stop, self.has_tools()) {
            (Some(reason), _) => reason,
            (None, true) => "tool_use",
            (None, false) => "end_turn",
        }
    }

    /// A number of tokens that looks right.
    fn tokens(&self) -> usize {
        let length = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Input(text) | Piece::Thinking { text, .. } => text.len(),
            Piece::Tool { name, .. } => name.len() + 16,
            Piece::Custom { name, input, .. } => name.len() + input.len() + 16,
            _ => 0,
        };
        1 + self.pieces.iter().map(length).sum::<usize>() / 4
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

/// Cuts a text into deltas.
fn deltas(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|part| part.iter().collect()).collect()
}

/// The status that belongs to a vendor's error type.
fn status(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "insufficient_quota" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

#[cfg(test)]
mod tests;
