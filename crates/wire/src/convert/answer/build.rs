//! Puts a whole answer together from its events.

use serde_json::Value;

use super::event::{Delta, Event, Head, Kind, Stop, Usage};
use super::thought::Thought;
use crate::convert::citation::Citation;
use crate::convert::errors::Failure;
use crate::convert::search::Found;

/// A whole answer without its dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) blocks: Vec<Block>,
    pub(super) usage: Usage,
    pub(super) stop: Option<Stop>,
    pub(super) failure: Option<Failure>,
    cut: bool,
}

/// A block of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// Text, or a call's arguments; reasoning's text is in `thought`.
    pub(super) text: String,
    pub(super) citations: Vec<Citation>,
    /// Of a text's tokens.
    pub(super) logprobs: Vec<Value>,
    pub(super) thought: Thought,
    /// What a search gave.
    pub(super) found: Option<Found>,
    /// It is not whole.
    pub(super) cut: bool,
}

impl Answer {
    /// Adds an event, of blocks that follow one another.
    pub(super) fn add(&mut self, event: Event) {
        match event {
            Event::Head(head) => {
                self.usage.add(head.usage);
                self.head = head;
            }
            Event::Start(_, kind) => self.blocks.push(Block {
                kind,
                text: String::new(),
                citations: Vec::new(),
                logprobs: Vec::new(),
                thought: Thought::default(),
                found: None,
                cut: false,
            }),
            Event::Delta(_, delta) => {
                let Some(block) = self.blocks.last_mut() else { return };
                match (&block.kind, delta) {
                    (Kind::Thinking, delta) => block.thought.add(&delta),
                    (_, Delta::Text(more) | Delta::Arguments(more)) => block.text.push_str(&more),
                    (_, Delta::Spelt(more, tokens)) => {
                        block.text.push_str(&more);
                        block.logprobs.extend(tokens);
                    }
                    (_, Delta::Citation(citation)) => block.citations.push(citation),
                    (_, Delta::Found(found)) => block.found = Some(found),
                    (_, Delta::Opaque(_)) => {}
                }
            }
            Event::Usage(usage) => self.usage.add(usage),
            Event::Stop(stop) => self.stop = Some(stop),
            Event::Failure(failure) => self.failure = Some(failure),
            Event::Cut | Event::End(_) => {
                self.cut |= event == Event::Cut;
                let cut = self.cut;
                self.blocks.last_mut().into_iter().for_each(|block| block.cut |= cut);
            }
            Event::Done | Event::Dropped(_) => {}
        }
    }

    /// It has a call that the client is to run.
    pub(super) fn called(&self) -> bool {
        self.blocks.iter().any(|block| block.kind.is_call())
    }

    /// It has words of refusal.
    pub(super) fn refused(&self) -> bool {
        self.blocks.iter().any(|block| block.kind == Kind::Refusal)
    }
}
