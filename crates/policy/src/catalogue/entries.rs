//! The built-in policies: names, words for people, schemas, examples.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{Entry, NoConfig};
use crate::policies::{all_caps, no_op, serial};

fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

fn nothing() -> Value {
    json!({})
}

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "all_caps",
        older: &["luthien_proxy.policies.all_caps_policy:AllCapsPolicy"],
        display_name: "All caps",
        short_description: "Answers in capital letters.",
        description: "Turns the text of every answer into upper case as it streams. Tool calls and thinking stay as \
                      they are. Good for seeing at a glance that the gateway is in the way.",
        category: "rewriting",
        badges: &["streams"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: all_caps::build,
    },
    Entry {
        name: "serial",
        older: &["luthien_proxy.policies.multi_serial_policy:MultiSerialPolicy", "SerialPolicy", "CompoundPolicy"],
        display_name: "Chain",
        short_description: "Several policies, one after the other.",
        description: "Runs its policies in the order of the list, for requests and answers alike. Each sees what the \
                      one before it let out. Chains may hold chains; a mode on a chain holds for all its members.",
        category: "composition",
        badges: &[],
        schema: schema::<serial::Config>,
        example: || json!({"policies": [{"class": "no_op"}, {"class": "all_caps"}]}),
        build: serial::build,
    },
    Entry {
        name: "no_op",
        older: &[
            "luthien_proxy.policies.noop_policy:NoOpPolicy",
            "luthien_proxy.policies.simple_noop_policy:SimpleNoOpPolicy",
            "NoopPolicy",
        ],
        display_name: "No policy",
        short_description: "Passes everything.",
        description: "Watches nothing and changes nothing: requests and answers go through byte for byte and are recorded.",
        category: "basics",
        badges: &[],
        schema: schema::<NoConfig>,
        example: nothing,
        build: no_op::build,
    },
];
