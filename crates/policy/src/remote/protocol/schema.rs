//! The JSON Schema of the messages, from their types.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{Answer, Check, Checked, Description, Failure, Question};

/// The JSON Schema (2020-12) of every message.
pub fn schema() -> Value {
    let mut sent = SchemaSettings::draft2020_12().for_serialize().into_generator();
    sent.subschema_for::<Check<'_>>();
    sent.subschema_for::<Question<'_>>();
    let mut read = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    read.subschema_for::<Description>();
    read.subschema_for::<Checked>();
    read.subschema_for::<Answer>();
    read.subschema_for::<Failure>();
    let mut messages = sent.take_definitions(true);
    messages.extend(read.take_definitions(true));
    messages.sort_keys();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Messages between the Luthien gateway and a policy server, version 1",
        "description": "The gateway sends Check and Question; the server answers with Description, Checked, Answer or Failure.",
        "$defs": messages,
    })
}
