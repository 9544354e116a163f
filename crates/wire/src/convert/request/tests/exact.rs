//! Finds reasoning in a body where its vendor expects it.

use super::*;

pub(super) fn reasoning(dialect: Dialect, body: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let of_type = |kind: &'static str| move |value: &Value| value["type"] == kind;
    match dialect {
        Dialect::Messages => {
            let blocks = list(&body["messages"]).into_iter().flat_map(|message| list(&message["content"]));
            blocks.filter(of_type("thinking")).collect()
        }
        Dialect::Responses => list(&body["input"]).into_iter().filter(of_type("reasoning")).collect(),
        Dialect::Chat => {
            let own = |message: Value| message.get("reasoning_content").map(|text| json!({"reasoning_content": text}));
            list(&body["messages"]).into_iter().filter_map(own).collect()
        }
    }
}
