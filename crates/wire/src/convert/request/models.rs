//! What has to be known of Anthropic's models to ask them for something that they do not refuse.

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

/// The limit of an answer's tokens where the client gave none and Messages wants one: what every model of the line takes.
pub(super) fn limit(model: &str) -> u64 {
    match version(model) {
        Some(version) if version < (3, 5) => 4_096,
        Some(version) if version < (3, 7) => 8_192,
        _ => 32_000,
    }
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
    fn each_line_thinks_in_its_way() {
        assert_eq!(thinks("claude-3-5-haiku-latest"), Thinks::Never);
        assert_eq!(thinks("claude-3-7-sonnet"), Thinks::Budget);
        assert_eq!(thinks("claude-sonnet-4-5"), Thinks::Budget);
        assert_eq!(thinks("claude-opus-4-6"), Thinks::Adaptive);
        assert_eq!(thinks("claude-opus-5-5"), Thinks::Adaptive);
        assert_eq!(thinks("tiny"), Thinks::Adaptive);
    }
}
