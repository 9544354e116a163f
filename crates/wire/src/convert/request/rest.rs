//! Top-level fields that only one vendor knows: what becomes of each at another's. Fields that nobody here knows go on
//! under their own names; those that only the target knows do not: policies have not read them in the client's dialect.

use serde_json::{Map, Value};

use super::super::Refused;
use super::ledger::{Ledger, refuse};
use crate::dialect::Dialect;

/// What becomes of a field.
enum Fate {
    Pass,
    /// It has no place and is named.
    Drop,
    /// It has no place, and nothing is lost.
    Nothing,
    Refuse(&'static str),
}

/// The fields that go on to the target.
pub(super) fn rest(
    from: Dialect,
    to: Dialect,
    fields: Map<String, Value>,
    ledger: &mut Ledger,
) -> Result<Map<String, Value>, Refused> {
    let mut out = Map::new();
    for (name, value) in fields {
        let fate = match from {
            Dialect::Messages => of_messages(&name, &value),
            Dialect::Chat => of_chat(&name, &value, to),
            Dialect::Responses => of_responses(&name, &value, to),
        };
        let fate = if matches!(fate, Fate::Pass) { of_target(&name, &value, from, to) } else { fate };
        match fate {
            Fate::Nothing => {}
            Fate::Drop => ledger.drop(super::ledger::plain(&name).as_str()),
            Fate::Refuse(why) => return Err(refuse(&name, why)),
            Fate::Pass => {
                out.insert(name, value);
            }
        }
    }
    Ok(out)
}

fn of_messages(name: &str, value: &Value) -> Fate {
    match name {
        "speed" if value == "standard" => Fate::Nothing,
        "inference_geo" if value == "global" => Fate::Nothing,
        "container"
        | "context_management"
        | "mcp_servers"
        | "diagnostics"
        | "fallbacks"
        | "fallback_credit_token"
        | "speed" => if_set(value, Fate::Drop),
        "inference_geo" => Fate::Refuse("the upstream that answers this model cannot promise where it runs"),
        "thread" => {
            Fate::Refuse("thread_unsupported_request: the upstream keeps no threads: send the whole conversation")
        }
        "safeguards" => Fate::Refuse("the upstream that answers this model has no safeguards to choose"),
        _ => Fate::Pass,
    }
}

/// What only OpenAI's own server can do, whichever dialect asks for it.
fn of_openai(name: &str, value: &Value, to: Dialect) -> Fate {
    let messages = to == Dialect::Messages;
    match name {
        "store" if messages => if_set(value, Fate::Drop),
        "metadata" if value.as_object().is_some_and(Map::is_empty) => Fate::Nothing,
        "metadata" if messages => metadata(value),
        // Both have a counterpart in Messages and are written there.
        "user" | "safety_identifier" | "prompt_cache_key" | "prompt_cache_retention" if messages => Fate::Nothing,
        "moderation" if messages => Fate::Drop,
        _ => Fate::Pass,
    }
}

fn of_chat(name: &str, value: &Value, to: Dialect) -> Fate {
    match name {
        "n" if value.as_u64().is_some_and(|n| n > 1) => {
            Fate::Refuse("the upstream that answers this model gives one answer at a time: ask several times")
        }
        "modalities" if value.as_array().is_some_and(|list| list.iter().any(|kind| kind != "text")) => {
            Fate::Refuse("the upstream that answers this model answers in text only")
        }
        "n" | "audio" | "modalities" => Fate::Nothing,
        "logit_bias" => if_set(value, Fate::Refuse("the upstream that answers this model cannot weigh single tokens")),
        "frequency_penalty" | "presence_penalty" | "seed" | "prediction" | "prompt_cache_options" => {
            if_set(value, Fate::Drop)
        }
        _ => of_openai(name, value, to),
    }
}

fn of_responses(name: &str, value: &Value, to: Dialect) -> Fate {
    match name {
        "previous_response_id" | "conversation" | "prompt" => {
            Fate::Refuse("the upstream that answers this model keeps nothing: send the whole conversation")
        }
        "background" => if_set(value, Fate::Refuse("the upstream that answers this model answers at once only")),
        "truncation" if value == "disabled" => Fate::Nothing,
        "store" | "truncation" | "max_tool_calls" | "context_management" | "client_metadata" => {
            if_set(value, Fate::Drop)
        }
        _ => of_openai(name, value, to),
    }
}

/// What means nothing in the client's dialect, and something to the target: texts, tools and stored states that nobody has
/// looked at on the way here.
fn of_target(name: &str, value: &Value, from: Dialect, to: Dialect) -> Fate {
    match (to, name) {
        (Dialect::Messages, "thread" | "inference_geo" | "safeguards")
        | (Dialect::Responses, "previous_response_id" | "conversation" | "prompt" | "background") => {
            if_set(value, Fate::Refuse(FOREIGN))
        }
        (Dialect::Chat, "n") if value == 1 => Fate::Nothing,
        (Dialect::Chat, "n" | "modalities" | "audio") => if_set(value, Fate::Refuse(FOREIGN)),
        (Dialect::Responses, "store") if from == Dialect::Chat => Fate::Pass,
        (Dialect::Chat | Dialect::Responses, "store") => if_set(value, Fate::Drop),
        (
            Dialect::Messages,
            "system" | "messages" | "tools" | "tool_choice" | "mcp_servers" | "container" | "context_management"
            | "fallbacks" | "fallback_credit_token" | "stop_sequences" | "output_format" | "output_config" | "max_tokens",
        )
        | (
            Dialect::Chat,
            "messages" | "tools" | "tool_choice" | "functions" | "function_call" | "web_search_options" | "prediction"
            | "stop" | "max_tokens" | "max_completion_tokens"
            // Known to servers of other vendors, and read by the model or run for it.
            | "prompt" | "documents" | "chat_template" | "plugins" | "mcp_servers",
        )
        | (
            Dialect::Responses,
            "instructions" | "input" | "tools" | "tool_choice" | "context_management" | "include" | "max_tool_calls"
            | "max_output_tokens" | "truncation",
        ) => Fate::Drop,
        _ => Fate::Pass,
    }
}

/// Why a field that only the target knows is refused where leaving it out would give another answer, or another state.
const FOREIGN: &str = "only the upstream knows this field: it is to be asked for in the dialect of the upstream";

/// Fields that say nothing are not named: `false`, zero and the empty.
fn if_set(value: &Value, fate: Fate) -> Fate {
    let says = match value {
        Value::Null => false,
        Value::Bool(set) => *set,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    };
    if says { fate } else { Fate::Nothing }
}

/// Of OpenAI's `metadata`, Messages has a place for the user's id only.
fn metadata(value: &Value) -> Fate {
    let others = value.as_object().is_some_and(|map| map.keys().any(|key| key != "user_id"));
    if others { Fate::Drop } else { Fate::Nothing }
}

#[cfg(test)]
mod tests;
