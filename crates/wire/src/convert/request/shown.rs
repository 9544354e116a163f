//! Reasoning comes back from clients in envelopes, which nobody reads on the way: of what stands in one, only that goes on
//! which the client's history shows to judges and people too.

use std::cell::OnceCell;
use std::collections::HashSet;

use serde_json::Value;

use super::ask::{Ask, What};
use super::ledger::Ledger;
use crate::conversation::Part;
use crate::convert::envelope;
use crate::dialect::Dialect;
use crate::request::Request;

/// What a request shows of reasoning: its paragraphs without white space, which clients change.
pub(super) struct Shown<'a> {
    request: &'a Request,
    paragraphs: OnceCell<HashSet<String>>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        Self { request, paragraphs: OnceCell::new() }
    }

    /// Whether all that can be read of this reasoning is shown, in whole paragraphs.
    pub(super) fn has(&self, reasoning: &Value) -> bool {
        let is_shown = |text: &str| paragraphs(text).all(|paragraph| self.paragraphs().contains(&paragraph));
        // Pieces of a stream are shown as one text.
        envelope::texts(reasoning).iter().all(|list| list.iter().all(|text| is_shown(text)) || is_shown(&list.concat()))
    }

    fn paragraphs(&self) -> &HashSet<String> {
        self.paragraphs.get_or_init(|| {
            let mut all = HashSet::new();
            for part in self.request.conversation().into_iter().flat_map(|message| message.parts) {
                if let Part::Thinking(text) = part {
                    all.extend(paragraphs(&text));
                }
            }
            all
        })
    }
}

fn paragraphs(text: &str) -> impl Iterator<Item = String> {
    let dense = |paragraph: &str| paragraph.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    text.split("\n\n").map(dense).filter(|paragraph| !paragraph.is_empty())
}

/// Leaves out reasoning for this target that says what the client's history does not show.
pub(super) fn honest(ask: &mut Ask, shown: &Shown<'_>, to: Dialect, ledger: &mut Ledger) {
    for turn in &mut ask.turns {
        turn.parts.retain(|part| match &part.what {
            What::Reasoning(from, value) if *from == to && !shown.has(value) => {
                ledger.drop_each(&part.at, "reasoning that says what it does not show");
                false
            }
            _ => true,
        });
    }
}
