//! Tokens as each vendor counts them: Anthropic's input leaves out what a cache gave or took, OpenAI's includes it.

use serde_json::{Value, json};

use super::event::Usage;
use crate::dialect::Dialect;

/// What an answer has told of its tokens so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ToldUsage(Usage);

impl ToldUsage {
    /// Takes over what `more` tells.
    pub(crate) fn add(&mut self, more: Self) {
        self.0.add(more.0);
    }

    /// Something was told.
    pub(crate) fn is_known(self) -> bool {
        self.0.is_known()
    }

    /// All that was told; what was not is none.
    pub(crate) fn usage(self) -> crate::usage::Usage {
        let Usage { input, cache_read, cache_write, output, .. } = self.0;
        crate::usage::Usage {
            input: input.unwrap_or(0),
            cache_read: cache_read.unwrap_or(0),
            cache_write: cache_write.unwrap_or(0),
            output: output.unwrap_or(0),
            estimated: false,
        }
    }
}

/// Reads a usage as a dialect's vendor writes it. What embeddings cost stands under the names of Chat.
pub(crate) fn told_usage(dialect: Dialect, usage: &Value) -> ToldUsage {
    ToldUsage(match dialect {
        Dialect::Messages => messages(usage),
        Dialect::Chat => chat(usage),
        Dialect::Responses => responses(usage),
    })
}

/// A number that is not negative, whole or written with a fraction.
pub(super) fn whole_number(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 and 2^53")]
    let rounded = |number: f64| (0.0..9e15).contains(&number).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(rounded))
}

fn number(usage: &Value, path: &str) -> Option<u64> {
    usage.pointer(path).and_then(whole_number)
}

/// Reads a Messages usage.
pub(super) fn messages(usage: &Value) -> Usage {
    Usage {
        input: number(usage, "/input_tokens"),
        cache_read: number(usage, "/cache_read_input_tokens"),
        cache_write: number(usage, "/cache_creation_input_tokens"),
        output: number(usage, "/output_tokens"),
        reasoning: number(usage, "/output_tokens_details/thinking_tokens"),
        searches: number(usage, "/server_tool_use/web_search_requests"),
    }
}

/// Reads a Chat usage.
pub(super) fn chat(usage: &Value) -> Usage {
    let details = |name: &str| number(usage, &format!("/prompt_tokens_details/{name}"));
    openai(
        number(usage, "/prompt_tokens"),
        // The second names are DeepSeek's and LiteLLM's.
        details("cached_tokens").or_else(|| number(usage, "/prompt_cache_hit_tokens")),
        details("cache_write_tokens").or_else(|| details("cache_creation_tokens")),
        number(usage, "/completion_tokens"),
        number(usage, "/completion_tokens_details/reasoning_tokens"),
    )
}

/// Reads a Responses usage.
pub(super) fn responses(usage: &Value) -> Usage {
    openai(
        number(usage, "/input_tokens"),
        number(usage, "/input_tokens_details/cached_tokens"),
        number(usage, "/input_tokens_details/cache_write_tokens"),
        number(usage, "/output_tokens"),
        number(usage, "/output_tokens_details/reasoning_tokens"),
    )
}

fn openai(
    prompt: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
) -> Usage {
    let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    let input = prompt.map(|prompt| prompt.saturating_sub(cached));
    Usage { input, cache_read, cache_write, output, reasoning, searches: None }
}

/// A Messages usage.
pub(super) fn as_messages(usage: Usage) -> Value {
    let mut out = json!({"input_tokens": usage.input.unwrap_or(0)});
    for (name, value) in
        [("cache_creation_input_tokens", usage.cache_write), ("cache_read_input_tokens", usage.cache_read)]
    {
        if let Some(value) = value {
            out[name] = value.into();
        }
    }
    out["output_tokens"] = usage.output.unwrap_or(0).into();
    if let Some(reasoning) = usage.reasoning.filter(|reasoning| *reasoning > 0) {
        out["output_tokens_details"] = json!({"thinking_tokens": reasoning});
    }
    if let Some(searches) = usage.searches.filter(|searches| *searches > 0) {
        out["server_tool_use"] = json!({"web_search_requests": searches, "web_fetch_requests": 0});
    }
    out
}

/// A Chat usage; nothing where the upstream told none.
pub(super) fn as_chat(usage: Usage) -> Option<Value> {
    let (prompt, output) = (usage.prompt(), usage.output.unwrap_or(0));
    usage.is_known().then(|| {
        json!({
            "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt.saturating_add(output),
            "prompt_tokens_details": read_and_written(usage),
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or(0)},
        })
    })
}

/// A Responses usage; `null` where the upstream told none.
pub(super) fn as_responses(usage: Usage) -> Value {
    let (prompt, output) = (usage.prompt(), usage.output.unwrap_or(0));
    if !usage.is_known() {
        return Value::Null;
    }
    json!({
        "input_tokens": prompt, "input_tokens_details": read_and_written(usage),
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or(0)},
        "total_tokens": prompt.saturating_add(output),
    })
}

fn read_and_written(usage: Usage) -> Value {
    let mut details = json!({"cached_tokens": usage.cache_read.unwrap_or(0)});
    if let Some(written) = usage.cache_write.filter(|written| *written > 0) {
        details["cache_write_tokens"] = written.into();
    }
    details
}
