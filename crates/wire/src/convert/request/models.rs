//! What has to be known of the vendors' models to ask them for nothing that they refuse.

use crate::dialect::Dialect;

/// How a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinks {
    /// Not at all.
    Never,
    /// With a budget of tokens.
    Budget,
    /// As much as it finds right, guided by an effort.
    Adaptive,
}

/// How the model of this name thinks. A name that is not Anthropic's is taken for a new model.
pub(super) fn thinks(model: &str) -> Thinks {
    match version(model) {
        Some(version) if version < (3, 7) => Thinks::Never,
        Some(version) if version < (4, 6) => Thinks::Budget,
        _ => Thinks::Adaptive,
    }
}

/// Whether the model of this name lets its words be drawn by `temperature`, `top_p` and `top_k`. Servers of other models do.
pub(super) fn samples(model: &str) -> bool {
    version(model).is_none_or(|version| version < (4, 7))
}

/// Whether an OpenAI model takes `temperature` and `top_p`: those that reason do not, but for newer ones that are told not to.
pub(super) fn samples_at_openai(model: &str, effort: Option<&str>) -> bool {
    let name = bare(model);
    let first = ["o1", "o3", "o4", "codex-"].iter().any(|start| name.starts_with(start));
    let five = name == "gpt-5" || (name.starts_with("gpt-5-") && !name.starts_with("gpt-5-chat"));
    let newer = name.starts_with("gpt-5.") && !name.contains("chat");
    !(first || five || (newer && effort != Some("none")))
}

/// Whether the model of this name takes system messages between the others. Servers of other models may not.
pub(super) fn hears_system(model: &str) -> bool {
    version(model).is_some_and(|version| version >= (4, 8))
}

/// The limit of an answer's tokens where the client gave none and Messages wants one: what every model of the line takes.
pub(super) fn limit(model: &str) -> u64 {
    match version(model) {
        Some(version) if version < (3, 5) => 4_096,
        Some(version) if version < (3, 7) => 8_192,
        _ => 32_000,
    }
}

/// Whether an OpenAI model reasons. A name that is not OpenAI's is taken for one that does.
pub(super) fn reasons(model: &str) -> bool {
    let name = bare(model);
    !["gpt-3", "gpt-4", "chatgpt-", "gpt-5-chat"].iter().any(|start| name.starts_with(start))
}

/// What a Chat server calls the limit of an answer's tokens: OpenAI's models refuse the older name, other vendors' servers do
/// not all know the newer one.
pub(super) fn limit_on_chat(model: &str) -> &'static str {
    if is_openai(model) { "max_completion_tokens" } else { "max_tokens" }
}

/// Whether the name is one of OpenAI's own models, whose server refuses members it does not know.
pub(super) fn is_openai(model: &str) -> bool {
    let name = bare(model);
    let openai = ["gpt-", "chatgpt-", "codex-", "o1", "o3", "o4"].iter().any(|start| name.starts_with(start));
    openai && !name.starts_with("gpt-oss")
}

/// Whether the vendor of this model is known to search the web for it where it is asked to in this dialect. Servers of other
/// models may refuse the tool.
pub(super) fn searches(to: Dialect, model: &str) -> bool {
    match to {
        Dialect::Messages => version(model).is_some_and(|version| version >= (3, 5)),
        // Here it is a matter of the model.
        Dialect::Chat => is_openai(model) && bare(model).contains("-search") || bare(model).starts_with("sonar"),
        Dialect::Responses => is_openai(model),
    }
}

/// Whether OpenAI itself answers for this model on Chat, and no intermediary that names its vendor: it gives no reasoning
/// there, and refuses messages that hold some.
pub fn takes_no_reasoning(model: &str) -> bool {
    is_openai(model) && bare(model) == model
}

/// The effort nearest to this that an OpenAI model knows: the first ones know fewer words.
pub(super) fn effort(model: &str, word: String) -> String {
    let name = bare(model);
    let first = ["o1", "o3", "o4"].iter().any(|start| name.starts_with(start)) || name.starts_with("gpt-5-codex");
    let five = name == "gpt-5" || name.starts_with("gpt-5-");
    let nearest = match word.as_str() {
        "none" | "minimal" if first => "low",
        "none" if five => "minimal",
        "xhigh" | "max" if first || five => "high",
        _ => return word,
    };
    nearest.to_owned()
}

/// A name without the vendor's in front.
fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// The version in a name such as `claude-3-7-sonnet-20250219`, `anthropic/claude-sonnet-4.5` or `claude-opus-4@20250514`.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.split_once("claude-")?;
    // A date is no version.
    let number = |word: &&str| word.parse::<u32>().ok().filter(|number| *number < 100);
    let words: Vec<&str> = name.split(['-', '.', '@', ':', '_']).collect();
    let at = words.iter().position(|word| number(word).is_some())?;
    Some((number(&words[at])?, words.get(at + 1).and_then(number).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_all_ways_to_write_a_name() {
        for (name, expected) in [
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-3-opus-20240229", Some((3, 0))),
            ("anthropic/claude-sonnet-4.5", Some((4, 5))),
            ("anthropic.claude-haiku-4-5-20251001-v1:0", Some((4, 5))),
            ("claude-opus-4@20250514", Some((4, 0))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-opus-5-5", Some((5, 5))),
            ("claude-instant", None),
            ("gpt-5", None),
            ("qwen3-32b", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
    }

    #[test]
    fn openai_models_are_asked_in_words_that_they_know() {
        for model in ["gpt-4o", "openai/gpt-4.1-mini", "gpt-3.5-turbo", "gpt-5-chat-latest"] {
            assert!(!reasons(model), "{model}");
        }
        for (model, given, expected) in [
            ("gpt-5", "none", "minimal"),
            ("gpt-5-mini-2025-08-07", "max", "high"),
            ("gpt-5", "minimal", "minimal"),
            ("openai/o4-mini", "none", "low"),
            ("gpt-5-codex", "minimal", "low"),
            ("gpt-5.5", "xhigh", "xhigh"),
            ("gpt-5.1", "none", "none"),
            ("qwen3-32b", "none", "none"),
        ] {
            assert!(reasons(model), "{model}");
            assert_eq!(effort(model, given.to_owned()), expected, "{model} {given}");
        }
    }

    #[test]
    fn sampling_is_asked_of_models_that_take_it() {
        for model in ["claude-opus-4-6", "claude-sonnet-4-5", "claude-3-haiku", "tiny", "qwen3-32b"] {
            assert!(samples(model), "{model}");
        }
        for model in ["claude-opus-4-7", "anthropic/claude-opus-4.8", "claude-opus-5-5"] {
            assert!(!samples(model), "{model}");
        }
        for model in ["gpt-4o", "gpt-5-chat-latest", "qwen3-32b", "openai/gpt-4.1", "gpt-oss-120b"] {
            assert!(samples_at_openai(model, None), "{model}");
        }
        for model in ["gpt-5", "openai/gpt-5-mini", "o3", "o4-mini", "gpt-5-codex", "gpt-5.1", "gpt-5.5"] {
            assert!(!samples_at_openai(model, None) && !samples_at_openai(model, Some("high")), "{model}");
        }
        assert!(samples_at_openai("gpt-5.1", Some("none")));
        assert!(!samples_at_openai("gpt-5", Some("minimal")));
    }

    #[test]
    fn searches_are_asked_of_vendors_that_have_them() {
        for (to, model, searches) in [
            (Dialect::Messages, "claude-sonnet-4-5", true),
            (Dialect::Messages, "claude-3-opus", false),
            (Dialect::Messages, "tiny", false),
            (Dialect::Responses, "openai/gpt-5", true),
            (Dialect::Responses, "gpt-oss-120b", false),
            (Dialect::Chat, "gpt-5", false),
            (Dialect::Chat, "gpt-4o-search-preview", true),
            (Dialect::Chat, "perplexity/sonar-pro", true),
        ] {
            assert_eq!(super::searches(to, model), searches, "{model}");
        }
    }

    #[test]
    fn a_limit_has_the_name_that_the_models_server_knows() {
        for model in ["gpt-5", "openai/gpt-4o", "o4-mini", "chatgpt-4o-latest"] {
            assert_eq!(limit_on_chat(model), "max_completion_tokens", "{model}");
        }
        for model in ["qwen3-32b", "mistral-large", "openai/gpt-oss-120b", "tiny"] {
            assert_eq!(limit_on_chat(model), "max_tokens", "{model}");
        }
    }

    #[test]
    fn each_line_thinks_in_its_way() {
        assert_eq!(thinks("claude-3-5-haiku-latest"), Thinks::Never);
        assert_eq!(thinks("claude-3-7-sonnet"), Thinks::Budget);
        assert_eq!(thinks("claude-sonnet-4-5"), Thinks::Budget);
        assert_eq!(thinks("claude-opus-4-6"), Thinks::Adaptive);
        assert_eq!(thinks("claude-opus-5-5"), Thinks::Adaptive);
        assert_eq!(thinks("tiny"), Thinks::Adaptive);
    }
}
