//! Which items of a stream the terminal event repeats. Servers list others than they streamed: reasoning that they kept to
//! themselves, items without ids or with new ones. What is taken for new is said twice, and a call would be run twice.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::super::responses_json::{ItemKind, array, id_of, kind_of, text};
use super::{CALLS, Item, Items};

/// What an item says: its kind, its name, its texts.
type Said<'a> = (ItemKind, &'a str, Vec<&'a str>);

impl Items {
    /// For each item of the output the one of the stream that it is: by its ids, else the one that says the same, else the
    /// one in its place, else the first that has not ended. None is taken twice.
    pub(super) fn repeated(&self, output: &[Value]) -> Vec<Option<usize>> {
        let mut free = vec![true; self.all.len()];
        let mut take = |at: &usize| std::mem::replace(&mut free[*at], false);
        let mut found: Vec<Option<usize>> = output.iter().map(|item| self.by_ids(item).filter(&mut take)).collect();
        if found.iter().all(Option::is_some) {
            return found;
        }
        let mut said: HashMap<Said<'_>, VecDeque<usize>> = HashMap::new();
        for (at, item) in self.all.iter().enumerate().filter(|(at, _)| free[*at]) {
            said.entry(item.said()).or_default().push_back(at);
        }
        for (item, found) in output.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            *found = said.get_mut(&says(item)).and_then(VecDeque::pop_front);
            if let Some(at) = *found {
                free[at] = false;
            }
        }
        for (index, (item, found)) in
            output.iter().zip(&mut found).enumerate().filter(|(_, (_, found))| found.is_none())
        {
            let kind = kind_of(item);
            let fits = |at: &usize| self.all.get(*at).is_some_and(|known| known.kind == kind) && free[*at];
            let numbered = self.by_index.get(&(index as u64)).copied();
            let unfinished = || (0..self.all.len()).find(|at| !self.all[*at].ended && fits(at));
            *found = numbered.filter(fits).or_else(|| Some(index).filter(fits)).or_else(unfinished);
            if let Some(at) = *found {
                free[at] = false;
            }
        }
        found
    }

    /// An item that ends is not this one, but another of the same number: this one has ended, and under other ids.
    pub(super) fn is_another(&self, at: usize, item: &Value) -> bool {
        self.all[at].ended && id_of(item).is_some() && self.by_ids(item).is_none()
    }

    fn by_ids(&self, item: &Value) -> Option<usize> {
        let kind = kind_of(item);
        let known = |name| self.by_id.get(item.get(name)?.as_str()?).copied();
        ["id", "call_id"].into_iter().filter_map(known).find(|at| self.all[*at].kind == kind)
    }
}

impl Item {
    fn said(&self) -> Said<'_> {
        let mut parts: Vec<_> = self.parts.iter().filter(|part| !part.said.is_empty()).collect();
        parts.sort_by_key(|part| part.at);
        (self.kind, &self.name, parts.into_iter().map(|part| part.said.as_str()).collect())
    }
}

fn says(item: &Value) -> Said<'_> {
    let kind = kind_of(item);
    let name = if CALLS.contains(&kind) { text(item.get("name")) } else { "" };
    let parts = |list| array(item, list).iter().map(|part| text(part.get("text").or_else(|| part.get("refusal"))));
    let texts: Vec<&str> = match kind {
        ItemKind::Message => parts("content").collect(),
        ItemKind::Reasoning => parts("summary").chain(parts("content")).collect(),
        ItemKind::Call => vec![text(item.get("arguments"))],
        ItemKind::FreeCall => vec![text(item.get("input"))],
        ItemKind::Search | ItemKind::Other => Vec::new(),
    };
    (kind, name, texts.into_iter().filter(|text| !text.is_empty()).collect())
}
