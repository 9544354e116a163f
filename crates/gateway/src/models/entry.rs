//! One model in a list, as either vendor writes it.

use luthien_wire::Dialect;
use serde_json::{Map, Value, json};

/// How many entries a page has where Anthropic's clients do not say.
const USUAL: usize = 20;

/// How many it has at most.
const MOST: usize = 1000;

/// A model. What its own vendor says of it stays with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    id: String,
    /// As it was listed; nothing where no list has it.
    said: Map<String, Value>,
    /// In whose form.
    form: Form,
    /// The upstream's name.
    upstream: String,
}

/// How a vendor writes a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Anthropic,
    OpenAi,
}

impl Form {
    pub(super) fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages => Self::Anthropic,
            Dialect::Chat | Dialect::Responses => Self::OpenAi,
        }
    }
}

impl Entry {
    /// A model that no list has, or none that was to be had.
    pub(super) fn named(id: &str, upstream: &str) -> Self {
        Self { id: id.to_owned(), said: Map::new(), form: Form::OpenAi, upstream: upstream.to_owned() }
    }

    /// The entries of a list's body, in whichever form it is; `None` where it is no list.
    pub(super) fn read(body: &[u8], upstream: &str) -> Option<Vec<Self>> {
        let list: Value = serde_json::from_slice(body).ok()?;
        let form = if list.get("object").is_some() { Form::OpenAi } else { Form::Anthropic };
        let entry = |value: &Value| {
            let said = value.as_object()?.clone();
            let id = said.get("id")?.as_str()?.to_owned();
            Some(Self { id, said, form, upstream: upstream.to_owned() })
        };
        Some(list.get("data")?.as_array()?.iter().filter_map(entry).collect())
    }

    /// The name that callers use.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The same model under another name.
    pub(super) fn renamed(&self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self.clone() }
    }

    /// As callers of this dialect read it.
    pub(super) fn written(&self, dialect: Dialect) -> Value {
        let form = Form::of(dialect);
        if form == self.form && !self.said.is_empty() {
            let mut said = self.said.clone();
            said.insert("id".to_owned(), json!(self.id));
            return Value::Object(said);
        }
        match form {
            Form::Anthropic => {
                let seconds = self.said.get("created").and_then(Value::as_i64).unwrap_or(0);
                let created = jiff::Timestamp::from_second(seconds).unwrap_or_default();
                json!({"type": "model", "id": self.id, "display_name": self.id, "created_at": created.to_string()})
            }
            Form::OpenAi => {
                let created = self.said.get("created_at").and_then(Value::as_str);
                let seconds =
                    created.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_second);
                json!({"id": self.id, "object": "model", "created": seconds, "owned_by": self.upstream})
            }
        }
    }
}

/// A list as callers of this dialect read it; Anthropic's in pages, as the query asks.
pub(super) fn page(dialect: Dialect, entries: &[Entry], query: &str) -> Value {
    if Form::of(dialect) == Form::OpenAi {
        let data: Vec<Value> = entries.iter().map(|entry| entry.written(dialect)).collect();
        return json!({"object": "list", "data": data});
    }
    let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let limit = asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(USUAL).clamp(1, MOST);
    let place = |name: &str| {
        let id = asked(name)?;
        entries.iter().position(|entry| entry.id == id || escaped(&entry.id) == id)
    };
    let (range, has_more) = if let Some(end) = place("before_id") {
        let start = end.saturating_sub(limit);
        (start..end, start > 0)
    } else {
        let start = place("after_id").map_or(0, |at| at + 1);
        let end = entries.len().min(start + limit);
        (start..end, end < entries.len())
    };
    let shown = entries.get(range).unwrap_or_default();
    let data: Vec<Value> = shown.iter().map(|entry| entry.written(dialect)).collect();
    let id = |entry: Option<&Entry>| entry.map(|entry| entry.id.clone());
    json!({"data": data, "has_more": has_more, "first_id": id(shown.first()), "last_id": id(shown.last())})
}

/// An id as clients write it in a query.
fn escaped(id: &str) -> String {
    id.replace('%', "%25").replace('/', "%2F").replace(':', "%3A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<Entry> {
        names.iter().map(|name| Entry::named(name, "u")).collect()
    }

    fn ids(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn an_entry_is_kept_in_its_own_form_and_told_in_the_other() {
        let anthropic = br#"{"data":[{"type":"model","id":"a","display_name":"A","created_at":"2026-09-01T00:00:00Z","x":1},{"no":"id"}]}"#;
        let read = Entry::read(anthropic, "up").unwrap();
        assert_eq!(read.len(), 1);
        let same = read[0].renamed("b").written(Dialect::Messages);
        assert_eq!(same["id"], "b");
        assert_eq!((&same["display_name"], &same["x"]), (&json!("A"), &json!(1)));
        let other = json!({"id": "a", "object": "model", "created": 1_788_220_800, "owned_by": "up"});
        assert_eq!(read[0].written(Dialect::Responses), other);

        let openai = br#"{"object":"list","data":[{"id":"g","object":"model","created":1788220800,"owned_by":"o"}]}"#;
        let read = Entry::read(openai, "up").unwrap();
        let other = json!({"type": "model", "id": "g", "display_name": "g", "created_at": "2026-09-01T00:00:00Z"});
        assert_eq!(read[0].written(Dialect::Messages), other);
        assert_eq!(read[0].written(Dialect::Chat)["owned_by"], "o");
        assert_eq!(Entry::read(b"<html>", "up"), None);
        assert_eq!(Entry::read(b"{}", "up"), None);
    }

    #[test]
    fn a_list_comes_in_pages_where_the_vendor_has_them() {
        let all = entries(&["a", "b/1", "c", "d"]);
        let list = |query: &str| page(Dialect::Messages, &all, query);
        assert_eq!(ids(&list("")), ["a", "b/1", "c", "d"]);
        let first = list("limit=2");
        assert_eq!((ids(&first), &first["has_more"]), (vec!["a", "b/1"], &json!(true)));
        assert_eq!((&first["first_id"], &first["last_id"]), (&json!("a"), &json!("b/1")));
        let rest = list("limit=2&after_id=b%2F1");
        assert_eq!((ids(&rest), &rest["has_more"]), (vec!["c", "d"], &json!(false)));
        let before = list("before_id=c&limit=1");
        assert_eq!((ids(&before), &before["has_more"]), (vec!["b/1"], &json!(true)));
        let none = list("after_id=d");
        assert_eq!((ids(&none), &none["first_id"]), (vec![], &Value::Null));
        let openai = page(Dialect::Chat, &all, "limit=1");
        assert_eq!((&openai["object"], ids(&openai).len()), (&json!("list"), 4));
    }
}
