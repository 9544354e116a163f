//! Which models go where: patterns of model names, and the upstreams that serve them.

use std::fmt;

/// A rule: the models that it is for, and who serves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRoute {
    /// Which models.
    pub pattern: ModelPattern,
    /// Who serves them: the first, and each other where the one before it cannot answer. Never empty.
    pub targets: Vec<RouteTarget>,
}

/// One upstream of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTarget {
    /// The upstream's name.
    pub upstream: String,
    /// What the upstream calls the model, with a `*` for what the pattern's `*` stands for; `None` as the client does.
    pub rename: Option<String>,
}

impl RouteTarget {
    /// The model's name for the upstream. `matched` is what the pattern's `*` stands for in `model`.
    pub fn model(&self, model: &str, matched: &str) -> String {
        self.rename.as_deref().map_or_else(|| model.to_owned(), |rename| rename.replacen('*', matched, 1))
    }
}

/// A model's name, or a name with one `*` that stands for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPattern {
    before: String,
    /// What follows the `*`; `None` where there is none.
    after: Option<String>,
}

impl ModelPattern {
    /// Reads a pattern. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("expected a model's name, or one with a `*`".to_owned());
        }
        match text.split_once('*') {
            None => Ok(Self { before: text.to_owned(), after: None }),
            Some((_, after)) if after.contains('*') => Err("only one `*` can stand in a pattern".to_owned()),
            Some((before, after)) => Ok(Self { before: before.to_owned(), after: Some(after.to_owned()) }),
        }
    }

    /// What the `*` stands for in this name, nothing where there is no `*`; `None` where the name does not match.
    pub fn matches<'m>(&self, model: &'m str) -> Option<&'m str> {
        match &self.after {
            None => (model == self.before).then_some(""),
            Some(after) => model.strip_prefix(self.before.as_str())?.strip_suffix(after.as_str()),
        }
    }

    /// The name, where it is one.
    pub fn exact(&self) -> Option<&str> {
        self.after.is_none().then_some(self.before.as_str())
    }

    /// The name that has `what` in place of the `*`.
    pub fn filled(&self, what: &str) -> String {
        self.after.as_deref().map_or_else(|| self.before.clone(), |after| [&self.before, what, after].concat())
    }

    /// Every name that `other` matches is matched by this one too.
    pub fn covers(&self, other: &Self) -> bool {
        match (&self.after, &other.after) {
            (None, _) => self == other,
            (Some(_), None) => self.matches(&other.before).is_some(),
            (Some(after), Some(others)) => {
                other.before.starts_with(self.before.as_str()) && others.ends_with(after.as_str())
            }
        }
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.filled("*"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn pattern(text: &str) -> ModelPattern {
        ModelPattern::parse(text).unwrap()
    }

    #[rstest]
    #[case("gpt-5", "gpt-5", Some(""))]
    #[case("gpt-5", "gpt-5-mini", None)]
    #[case("local/*", "local/qwen/3", Some("qwen/3"))]
    #[case("local/*", "local", None)]
    #[case("*-latest", "claude-latest", Some("claude"))]
    #[case("claude-*-latest", "claude-latest", None)]
    #[case("*", "anything", Some("anything"))]
    #[case("*", "", Some(""))]
    fn a_star_stands_for_anything(#[case] text: &str, #[case] model: &str, #[case] expected: Option<&str>) {
        assert_eq!(pattern(text).matches(model), expected);
        assert_eq!(pattern(text).to_string(), text);
    }

    #[rstest]
    #[case("*", "claude-*", true)]
    #[case("claude-*", "claude-haiku", true)]
    #[case("claude-*", "claude-*-latest", true)]
    #[case("claude-*", "*", false)]
    #[case("claude-*-latest", "claude-*", false)]
    #[case("a", "a", true)]
    #[case("a", "a*", false)]
    fn one_pattern_covers_another_where_nothing_is_left_for_it(
        #[case] first: &str,
        #[case] second: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(pattern(first).covers(&pattern(second)), expected);
    }

    proptest! {
        #[test]
        fn nothing_is_left_for_a_covered_pattern_and_something_for_any_other(
            first in "[ab]{0,2}[*]?[ab]{0,2}", second in "[ab]{0,2}[*]?[ab]{0,2}",
        ) {
            prop_assume!(!first.is_empty() && !second.is_empty());
            let (first, second) = (pattern(&first), pattern(&second));
            // `c` stands for what neither pattern can ask for.
            let names = ["", "a", "b", "aa", "ab", "ba", "bb", "c", "cc"].map(|star| second.filled(star));
            let left = names.iter().any(|name| first.matches(name).is_none());
            prop_assert_eq!(first.covers(&second), !left, "{} {}", first, second);
        }

        #[test]
        fn what_the_star_stands_for_makes_the_name_again(text in "[ab]{0,2}[*][ab]{0,2}", name in "[ab]{0,6}") {
            let pattern = pattern(&text);
            if let Some(star) = pattern.matches(&name) {
                prop_assert_eq!(pattern.filled(star), name);
            }
        }
    }

    #[test]
    fn a_new_name_takes_up_what_the_star_stands_for() {
        let target = |rename: Option<&str>| RouteTarget { upstream: "u".into(), rename: rename.map(str::to_owned) };
        assert_eq!(target(None).model("local/qwen", "qwen"), "local/qwen");
        assert_eq!(target(Some("*")).model("local/qwen", "qwen"), "qwen");
        assert_eq!(target(Some("org/*:free")).model("local/qwen", "qwen"), "org/qwen:free");
        assert_eq!(target(Some("*")).model("local/a*b", "a*b"), "a*b");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert!(ModelPattern::parse("").is_err());
        assert!(ModelPattern::parse("a*b*").is_err());
    }
}
