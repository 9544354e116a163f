//! What a vendor's search found, and the sources that a text names.

use serde_json::Value;

use super::super::responses::Data;
use super::super::responses_json::{ItemKind, text};
use super::{Items, Place};
use crate::convert::answer::event::{Delta, Event, Key};
use crate::convert::citation::Citation;
use crate::convert::search::{self, Found};

impl Items {
    pub(super) fn annotation(
        &mut self,
        data: &Data<'_>,
        place: (Place, u64),
        annotation: &Value,
        out: &mut Vec<Event>,
    ) {
        let item = self.of(data, &[ItemKind::Message]);
        let part = item.and_then(|at| self.all[at].parts.iter_mut().find(|part| part.at == place));
        if let Some(part) = part {
            part.cited += 1;
            out.push(cited(part.key, annotation));
        } else {
            out.push(uncited(annotation));
        }
    }

    /// A search is told at its end: what was asked, and what was found.
    pub(super) fn end_search(&mut self, at: usize, item: &Value, out: &mut Vec<Event>) {
        let Some(key) = self.all[at].parts.first().map(|part| part.key) else { return };
        let input = search::input(item.get("action").unwrap_or(&Value::Null));
        self.searched += u64::from(input.get("type").is_none());
        out.push(Event::Delta(key, Delta::Arguments(input.to_string())));
        out.push(Event::Delta(key, Delta::Found(Found::of_item(item).0)));
    }
}

/// A source of a block.
pub(super) fn cited(key: Key, annotation: &Value) -> Event {
    match Citation::of_openai(annotation) {
        Some(citation) => Event::Delta(key, Delta::Citation(citation)),
        None => uncited(annotation),
    }
}

/// A source without an address, or of no text.
fn uncited(annotation: &Value) -> Event {
    Event::Dropped(format!("annotation ({})", text(annotation.get("type"))))
}
