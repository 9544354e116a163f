//! What waits to be told is small, and nothing in it is told that is taken out elsewhere.
//!
//! Texts are redacted whole and cut after that: a secret that is cut in two is no longer found.

use luthien_record::model::{Decision, End, Start};
use luthien_record::recorder::Outline;
use luthien_record::redact::Redactor;
use serde_json::json;

use super::{About, Notice};

/// The most characters of a name, and of words for people.
const NAME: usize = 256;
const WORDS: usize = 500;
/// The most bytes of a decision's target, and of what belongs to one kind; longer ones are left out.
const TARGET: usize = 2 << 10;
const DATA: usize = 16 << 10;

/// The notice, short. Targets and data are left out whole where they are long, and still to be redacted where they are not.
pub(super) fn bounded(mut notice: Notice, redactor: &Redactor) -> Notice {
    let cut = Cut(redactor);
    cut.text(&mut notice.text, WORDS);
    if notice.data.to_string().len() > DATA {
        notice.data = json!({"left_out": true});
    }
    match &mut notice.about {
        About::Nothing => {}
        About::Named { transaction_id: _, session_id, user_id, model } => {
            cut.maybe(session_id, NAME);
            cut.maybe(user_id, NAME);
            cut.text(model, NAME);
        }
        About::Open(outline) => cut.outline(outline),
        About::Ended(outline, End { error, .. }) => {
            cut.outline(outline);
            cut.maybe(error, WORDS);
        }
    }
    notice
}

/// Redacts, then cuts.
struct Cut<'a>(&'a Redactor);

impl Cut<'_> {
    /// Leaves the first characters of a text; an ellipsis where there were more.
    fn text(&self, text: &mut String, most: usize) {
        self.0.text_in(text);
        if let Some((at, _)) = text.char_indices().nth(most) {
            text.truncate(at);
            text.push('…');
            text.shrink_to_fit();
        }
    }

    fn maybe(&self, text: &mut Option<String>, most: usize) {
        if let Some(text) = text {
            self.text(text, most);
        }
    }

    fn outline(&self, outline: &mut Outline) {
        let Outline { start, upstream, first_byte: _, decisions, decisions_left_out: _ } = outline;
        let Start { path, session_id, user_id, model, policy, .. } = start;
        self.text(path, NAME);
        self.maybe(session_id, NAME);
        self.maybe(user_id, NAME);
        self.text(model, NAME);
        self.text(policy, WORDS);
        self.maybe(upstream, NAME);
        for Decision { target, reason, .. } in decisions {
            if target.to_string().len() > TARGET {
                *target = json!({"kind": target["kind"]});
            }
            self.maybe(reason, WORDS);
        }
    }
}
