//! Generated conversations, written in each dialect.

use super::*;
use crate::convert::envelope;

/// What only reasoning says.
pub(super) const THOUGHT: &str = "only-thought";

/// A conversation with its settings.
#[derive(Debug, Clone)]
pub(super) struct Script {
    system: Option<String>,
    rounds: Vec<Round>,
    settings: Settings,
}

/// What the user says, what the model says and calls, what came of it.
#[derive(Debug, Clone)]
struct Round {
    user: Vec<String>,
    image: bool,
    note: Option<String>,
    texts: Vec<String>,
    calls: Vec<(Value, String, bool)>,
}

#[derive(Debug, Clone)]
struct Settings {
    limit: u64,
    temperature: f64,
    user: String,
    strict: bool,
    parallel: bool,
    choice: u8,
    stream: bool,
}

/// Text that is not blank and holds no mark of ours.
fn text() -> impl Strategy<Value = String> {
    "[ \n]{0,2}[a-zé数😀\"\\\\<>{}]{1,12}[ \n]{0,2}"
}

fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<i32>().prop_map(Value::from), text().prop_map(Value::from), Just(Value::Null)];
    let inner = prop::collection::vec(leaf, 0..3).prop_map(Value::from);
    prop::collection::btree_map("[a-z]{1,5}", inner, 0..3).prop_map(|map| json!(map))
}

fn round() -> impl Strategy<Value = Round> {
    let calls = prop::collection::vec((arguments(), text(), any::<bool>()), 0..4);
    let user = prop::collection::vec(text(), 1..3);
    (user, any::<bool>(), prop::option::weighted(0.2, text()), prop::collection::vec(text(), 0..2), calls).prop_map(
        |(user, image, note, mut texts, calls)| {
            if calls.is_empty() && texts.is_empty() {
                texts.push("ok".to_owned());
            }
            Round { user, image, note, texts, calls }
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let numbers = (16u64..100_000, 0u8..10, 0u8..4);
    (numbers, "[a-z]{1,60}", any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |((limit, tenths, choice), user, strict, parallel, stream)| Settings {
            limit,
            temperature: f64::from(tenths) / 10.0,

            user,
            strict,
            parallel,
            choice,
            stream,
        },
    )
}

pub(super) fn conversation() -> impl Strategy<Value = Script> {
    (prop::option::of(text()), prop::collection::vec(round(), 1..4), settings())
        .prop_map(|(system, rounds, settings)| Script { system, rounds, settings })
}

/// Items of Responses in an order that a client might bring forth: each call has its result somewhere before the model's next turn.
pub(super) fn disorder() -> impl Strategy<Value = Vec<Value>> {
    let call =
        |id: usize| json!({"type": "function_call", "call_id": format!("c{id}"), "name": "f", "arguments": "{}"});
    let result = |id: usize| json!({"type": "function_call_output", "call_id": format!("c{id}"), "output": "r"});
    let say = |role: &str| json!({"role": role, "content": "t"});
    prop::collection::vec((0usize..4, prop::collection::vec(0u8..4, 0..5), any::<bool>()), 1..5).prop_map(
        move |turns| {
            let mut items = Vec::new();
            let mut next = 0;
            for (calls, between, speaks_behind) in turns {
                let ids: Vec<usize> = (next..next + calls).collect();
                next += calls;
                items.extend(ids.iter().map(|id| call(*id)));
                if speaks_behind {
                    items.push(say("assistant"));
                }
                let mut results: Vec<Value> = ids.iter().rev().map(|id| result(*id)).collect();
                for kind in between {
                    match kind {
                        0 => items.push(say("user")),
                        1 => items.push(say("developer")),
                        _ => items.extend(results.pop()),
                    }
                }
                items.append(&mut results);
                items.push(say("user"));
            }
            items
        },
    )
}

const PNG: &str = "iVBORw0KGgo=";

impl Script {
    /// The request in this dialect.
    pub(super) fn body(&self, dialect: Dialect) -> Value {
        self.written(dialect, None)
    }

    /// The request, with reasoning of this vendor before each turn of the model, as a client of the dialect keeps it.
    pub(super) fn body_with_reasoning(&self, dialect: Dialect, vendor: Dialect) -> Value {
        self.written(dialect, Some(vendor))
    }

    /// That reasoning, as the vendor gave it.
    pub(super) fn reasoning(&self, vendor: Dialect) -> Vec<Value> {
        (0..self.rounds.len()).map(|i| given(vendor, i)).collect()
    }

    fn written(&self, dialect: Dialect, vendor: Option<Dialect>) -> Value {
        match dialect {
            Dialect::Messages => self.messages(vendor),
            Dialect::Chat => self.chat(vendor),
            Dialect::Responses => self.responses(vendor),
        }
    }

    fn messages(&self, vendor: Option<Dialect>) -> Value {
        let mut messages = Vec::new();
        for (i, round) in self.rounds.iter().enumerate() {
            let mut user: Vec<Value> = round.user.iter().map(|text| json!({"type": "text", "text": text})).collect();
            if round.image {
                user.push(
                    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
                );
            }
            messages.push(json!({"role": "user", "content": user}));
            if let Some(note) = &round.note {
                messages.push(json!({"role": "system", "content": note}));
            }
            let mut blocks = Vec::new();
            if let Some(vendor) = vendor {
                let signature = envelope::seal(vendor, &given(vendor, i));
                blocks.push(json!({"type": "thinking", "thinking": shown(vendor, i), "signature": signature}));
            }
            blocks.extend(round.texts.iter().map(|text| json!({"type": "text", "text": text})));
            let calls = round.calls.iter().enumerate();
            blocks.extend(
                calls.map(|(n, (input, ..))| json!({"type": "tool_use", "id": id(i, n), "name": "f", "input": input})),
            );
            messages.push(json!({"role": "assistant", "content": blocks}));
            let result = |(n, (_, text, failed)): (usize, &(Value, String, bool))| {
                let mut result = json!({"type": "tool_result", "tool_use_id": id(i, n), "content": text});
                if *failed {
                    result["is_error"] = true.into();
                }
                result
            };
            if !round.calls.is_empty() {
                let results: Vec<Value> = round.calls.iter().enumerate().map(result).collect();
                messages.push(json!({"role": "user", "content": results}));
            }
        }
        let s = &self.settings;
        let mut choice = match s.choice {
            0 => json!({"type": "auto"}),
            1 => json!({"type": "any"}),
            2 => json!({"type": "none"}),
            _ => json!({"type": "tool", "name": "f"}),
        };
        if !s.parallel && s.choice != 2 {
            choice["disable_parallel_tool_use"] = true.into();
        }
        let mut tool =
            json!({"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"a": {}}}});
        if s.strict {
            tool["strict"] = true.into();
        }
        let mut body = json!({
            "model": "m", "max_tokens": s.limit, "messages": messages, "tools": [tool], "tool_choice": choice,
            "temperature": s.temperature, "metadata": {"user_id": s.user}, "stream": s.stream, "new": {"x": [1]},
        });
        if let Some(system) = &self.system {
            body["system"] = json!([{"type": "text", "text": system}]);
        }
        body
    }

    fn chat(&self, vendor: Option<Dialect>) -> Value {
        let mut messages = Vec::new();
        messages.extend(self.system.iter().map(|text| json!({"role": "system", "content": text})));
        for (i, round) in self.rounds.iter().enumerate() {
            let mut user: Vec<Value> = round.user.iter().map(|text| json!({"type": "text", "text": text})).collect();
            if round.image {
                user.push(json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}}));
            }
            messages.push(json!({"role": "user", "content": user}));
            messages.extend(round.note.iter().map(|text| json!({"role": "developer", "content": text})));
            let mut message = json!({"role": "assistant", "content": round.texts.first()});
            let call = |(n, (input, ..)): (usize, &(Value, String, bool))| {
                let function = json!({"name": "f", "arguments": input.to_string()});
                json!({"id": id(i, n), "type": "function", "function": function})
            };
            if !round.calls.is_empty() {
                message["tool_calls"] = round.calls.iter().enumerate().map(call).collect();
            }
            if let Some(vendor) = vendor {
                let sealed = envelope::seal(vendor, &given(vendor, i));
                message["reasoning_content"] = shown(vendor, i).into();
                if vendor == Dialect::Messages {
                    message["thinking_blocks"] =
                        json!([{"type": "thinking", "thinking": THOUGHT, "signature": sealed}]);
                } else {
                    message["reasoning_details"] = json!([{"type": "reasoning.encrypted", "data": sealed}]);
                }
            }
            messages.push(message);
            let result = |(n, (_, text, failed)): (usize, &(Value, String, bool))| json!({"role": "tool", "tool_call_id": id(i, n), "content": marked(text, *failed)});
            messages.extend(round.calls.iter().enumerate().map(result));
        }
        let s = &self.settings;
        let choice = match s.choice {
            0 => json!("auto"),
            1 => json!("required"),
            2 => json!("none"),
            _ => json!({"type": "function", "function": {"name": "f"}}),
        };
        let mut function =
            json!({"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {}}}});
        if s.strict {
            function["strict"] = true.into();
        }
        json!({
            "model": "m", "messages": messages, "tools": [{"type": "function", "function": function}], "tool_choice": choice,
            "max_tokens": s.limit, "temperature": s.temperature, "user": s.user, "stream": s.stream, "new": {"x": [1]},
            "parallel_tool_calls": s.parallel, "top_p": 0.5, "metadata": {"team": "red"}, "prompt_cache_key": "k",
            "verbosity": "low", "reasoning_effort": "medium", "service_tier": "flex",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": true}},
            "parallel_tool_calls": s.parallel, "top_p": 0.5, "metadata": {"team": "red"}, "prompt_cache_key": "k",
            "verbosity": "low", "reasoning_effort": "medium", "service_tier": "flex",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": true}},
        })
    }

    fn responses(&self, vendor: Option<Dialect>) -> Value {
        let mut input = Vec::new();
        for (i, round) in self.rounds.iter().enumerate() {
            let mut user: Vec<Value> =
                round.user.iter().map(|text| json!({"type": "input_text", "text": text})).collect();
            if round.image {
                user.push(json!({"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}")}));
            }
            input.push(json!({"type": "message", "role": "user", "content": user}));
            input.extend(round.note.iter().map(|text| json!({"role": "developer", "content": text})));
            if let Some(vendor) = vendor {
                let sealed = envelope::seal(vendor, &given(vendor, i));
                let summary = json!([{"type": "summary_text", "text": shown(vendor, i)}]);
                input.push(json!({"type": "reasoning", "id": "rs", "summary": summary, "encrypted_content": sealed}));
            }
            let said = |text: &String| json!([{"type": "output_text", "text": text, "annotations": []}]);
            input.extend(
                round.texts.iter().map(|text| json!({"type": "message", "role": "assistant", "content": said(text)})),
            );
            let call = |(n, (input, ..)): (usize, &(Value, String, bool))| json!({"type": "function_call", "call_id": id(i, n), "name": "f", "arguments": input.to_string()});
            input.extend(round.calls.iter().enumerate().map(call));
            let result = |(n, (_, text, failed)): (usize, &(Value, String, bool))| json!({"type": "function_call_output", "call_id": id(i, n), "output": marked(text, *failed)});
            input.extend(round.calls.iter().enumerate().map(result));
        }
        let s = &self.settings;
        let choice = match s.choice {
            0 => json!("auto"),
            1 => json!("required"),
            2 => json!("none"),
            _ => json!({"type": "function", "name": "f"}),
        };
        let tool = json!({
            "type": "function", "name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {}}},
            "strict": s.strict,
        });
        let mut body = json!({
            "model": "m", "input": input, "tools": [tool], "tool_choice": choice, "max_output_tokens": s.limit,
            "temperature": s.temperature, "safety_identifier": s.user, "stream": s.stream, "new": {"x": [1]},
            "parallel_tool_calls": s.parallel, "top_p": 0.5, "metadata": {"team": "red"}, "prompt_cache_key": "k",
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": true}, "verbosity": "low"},
            "service_tier": "flex",
        });
        if let Some(system) = &self.system {
            body["instructions"] = system.as_str().into();
        }
        body
    }
}

/// What a client shows of a vendor's reasoning.
fn shown(vendor: Dialect, i: usize) -> String {
    if vendor == Dialect::Chat { format!("{THOUGHT} {i}") } else { THOUGHT.to_owned() }
}

/// Reasoning of a vendor.
fn given(vendor: Dialect, i: usize) -> Value {
    match vendor {
        Dialect::Messages => json!({"type": "thinking", "thinking": THOUGHT, "signature": format!("E{i}+/==")}),
        Dialect::Chat => json!({"reasoning_content": shown(vendor, i)}),
        Dialect::Responses => {
            let summary = json!([{"type": "summary_text", "text": THOUGHT}]);
            json!({"type": "reasoning", "id": format!("rs_{i}"), "summary": summary, "encrypted_content": "gAAA"})
        }
    }
}

fn id(round: usize, call: usize) -> String {
    format!("call_{round}_{call}")
}

/// A result as dialects without a mark for failure have it.
pub(super) fn marked(text: &str, failed: bool) -> String {
    if failed { format!("[error] {text}") } else { text.to_owned() }
}
