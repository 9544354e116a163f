//! What is said and asked for, without a dialect, and any of it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

/// One thing in a conversation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// The user says.
    User(String),
    /// The user shows a picture: its base64.
    Image(String),
    /// The model says.
    Model(String),
    /// The model calls a tool.
    Call { id: String, name: String, input: Value },
    /// The tool gives back.
    Result { id: String, text: String, failed: bool },
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) schema: Value,
}

/// Which tool is to be called, where that is not left to the model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    None,
    Required,
    Named(String),
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) system: Option<String>,
    pub(crate) items: Vec<Item>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Option<Choice>,
    /// One call at a time.
    pub(crate) one_call: bool,
    pub(crate) limit: u64,
    pub(crate) temperature: Option<f64>,
    pub(crate) stop: Vec<String>,
    pub(crate) stream: bool,
    pub(crate) user: Option<String>,
    /// The schema of the answer.
    pub(crate) schema: Option<Value>,
}

/// Words that no dialect trims, marks or refuses.
pub(crate) fn words() -> impl Strategy<Value = String> {
    "[a-z][a-z\u{e9}\u{4e16}\u{1f600}\"\\\\<>{}\u{2028}]{0,9}( [a-z\t\n,.]{1,6}[a-z])?"
}

/// A tool's input, or a schema's inside.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        words().prop_map(Value::from),
        Just(Value::from("")),
    ];
    let inner = leaf
        .prop_recursive(2, 8, 3, |inner| prop_oneof![vec(inner.clone(), 0..3).prop_map(Value::from), members(inner)]);
    members(inner)
}

fn members(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec(("[a-z_]{1,6}", inner), 0..3).prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let one = (option::of(words()), vec("[a-z]{1,5}", 0..3)).prop_map(|(description, names)| {
        let properties: Map<String, Value> =
            names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
        (description, json!({"type": "object", "properties": properties, "required": []}))
    });
    vec(one, 0..4).prop_map(|tools| {
        let named = |(at, (description, schema)): (usize, _)| Tool { name: format!("tool_{at}"), description, schema };
        tools.into_iter().enumerate().map(named).collect()
    })
}

/// One exchange: what the user says and shows, then what the model says and calls, then what the tools give back.
#[derive(Clone, Debug)]
struct Exchange {
    user: Vec<(bool, String)>,
    model: Option<String>,
    calls: Vec<(Index, Value, String, bool)>,
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let user = vec((prop::bool::weighted(0.2), words()), 1..3);
    let calls = vec((any::<Index>(), object(), words(), prop::bool::weighted(0.2)), 0..3);
    (user, option::of(words()), calls).prop_map(|(user, model, calls)| Exchange { user, model, calls })
}

fn conversation(exchanges: &[Exchange], tools: &[Tool]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut count = 0;
    for exchange in exchanges {
        for (picture, words) in &exchange.user {
            items.push(if *picture { Item::Image("aGVsbG8=".to_owned()) } else { Item::User(words.clone()) });
        }
        let calls = if tools.is_empty() { &[] } else { exchange.calls.as_slice() };
        // Turns of the user that follow each other are one turn in some dialects.
        let said = exchange.model.clone().or_else(|| calls.is_empty().then(|| "Well.".to_owned()));
        items.extend(said.map(Item::Model));
        let mut results = Vec::new();
        for (which, input, text, failed) in calls {
            let id = format!("call_{count:04}");
            count += 1;
            let (name, input) = (which.get(tools).name.clone(), input.clone());
            items.push(Item::Call { id: id.clone(), name, input });
            results.push(Item::Result { id, text: text.clone(), failed: *failed });
        }
        items.append(&mut results);
    }
    items.push(Item::User("Go on.".to_owned()));
    items
}

/// Any request that all dialects can express, but for `stop`, which Responses cannot.
pub(crate) fn ask() -> impl Strategy<Value = Ask> {
    let talk = (option::of(words()), vec(exchange(), 0..4), tools());
    let settings = (
        option::of(0..4_u8),
        any::<Index>(),
        any::<[bool; 2]>(),
        16..4096_u64,
        option::of(0..8_u8),
        vec("[A-Z]{1,5}", 0..3),
        option::of("[a-z0-9_]{1,20}"),
        option::of(object()),
    );
    (talk, settings).prop_map(|((system, exchanges, tools), settings)| {
        let (choice, which, [one_call, stream], limit, temperature, stop, user, schema) = settings;
        let choice = choice.filter(|_| !tools.is_empty()).and_then(|choice| match choice {
            0 => None,
            1 => Some(Choice::None),
            2 => Some(Choice::Required),
            _ => Some(Choice::Named(which.get(&tools).name.clone())),
        });
        Ask {
            items: conversation(&exchanges, &tools),
            // Where no call may come, Messages has no place for how many.
            one_call: one_call && !tools.is_empty() && choice != Some(Choice::None),
            system,
            tools,
            choice,
            limit,
            temperature: temperature.map(|eighths| f64::from(eighths) / 8.0),
            stop,
            stream,
            user,
            // Where it is open, Messages gets it closed, since it takes no other.
            schema: schema.map(|inside| json!({"type": "object", "properties": inside, "additionalProperties": false})),
        }
    })
}
