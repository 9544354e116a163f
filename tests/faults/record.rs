//! What the record has of numbered requests, read as a person would: by the admin API.

use std::collections::{BTreeMap, BTreeSet};

use luthien_tests::gateway::Gateway;
use luthien_wire::Dialect;
use serde_json::Value;

use crate::said;

/// One transaction on the record.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: String,
    /// The text of the request.
    pub(crate) request: String,
    /// The text of the answer, as far as there is one.
    pub(crate) text: String,
    pub(crate) status: String,
}

/// Reads a record that grows.
#[derive(Debug, Default)]
pub(crate) struct Record {
    ids: BTreeSet<String>,
    numbers: BTreeSet<u64>,
}

impl Record {
    /// What is on it and was not when it was last read, by number; requests of which nothing was read have none. Fails the test if anything is there twice, or gone.
    pub(crate) async fn read(&mut self, gateway: &Gateway) -> BTreeMap<u64, Found> {
        let list = gateway.api("/api/debug/calls?limit=1000").await;
        let listed = list["calls"].as_array().expect("a list of calls");
        let ids: Vec<String> = listed.iter().map(|call| text(&call["call_id"])).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "listed twice: {ids:?}");
        let mut found = BTreeMap::new();
        for id in ids {
            if self.ids.insert(id.clone()) {
                let one = one(&gateway.api(&format!("/api/debug/calls/{id}")).await);
                let Some(number) = said::number(&one.request) else {
                    // It was killed before it had the request's body, or had it on the disk.
                    assert_eq!((one.status.as_str(), one.text.as_str()), ("interrupted", ""), "{id}");
                    continue;
                };
                assert!(self.numbers.insert(number), "request {number} is there twice, the second time as {id}");
                found.insert(number, one);
            }
        }
        assert!(found.len() < 1000, "more than a page of them");
        assert_eq!(list["total"], self.ids.len(), "of those that were there before, some are gone");
        found
    }
}

fn one(call: &Value) -> Found {
    let events = call["events"].as_array().expect("events");
    let find = |end: &str| events.iter().find(|event| event["event_type"].as_str().is_some_and(|it| it.ends_with(end)));
    let of = |end: &str| find(end).map(|event| &event["payload"]);
    let asked = of("client_request").expect("a request");
    let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == asked["dialect"]).expect("a dialect");
    let messages = asked["body"].get("messages").unwrap_or(&asked["body"]["input"]);
    let request = text(&messages[0]["content"]);
    let answer = of("response_recorded").map_or(&Value::Null, |response| &response["final_response"]);
    let status = match (of("failed"), of("client_disconnected")) {
        (Some(failed), _) => text(&failed["status"]),
        (None, Some(_)) => "client_disconnected".to_owned(),
        (None, None) => "completed".to_owned(),
    };
    Found { id: text(&call["call_id"]), text: said::whole(dialect, answer), status, request }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
