//! Who serves a request: by its model where a rule says so, else by the dialect that its caller speaks.

use luthien_policy::contract::Credential;
use luthien_wire::Dialect;

use super::{Upstream, Upstreams};
use crate::config::ModelRoute;

/// An upstream that may serve a request.
#[derive(Clone, Debug)]
pub(crate) struct Target<'u> {
    pub(crate) upstream: &'u Upstream,
    /// What it calls the model, where that is not what the client says.
    pub(crate) model: Option<String>,
    /// Others may have answered in the same conversation: the rule names several, or another name than the client does.
    pub(crate) shared: bool,
    /// The caller's own credential may go there: it is the default upstream of the dialect that the caller speaks.
    pub(crate) callers: bool,
}

impl Upstreams {
    /// Who serves this model to a caller of this dialect: the first, and each other where the one before it cannot answer.
    /// What names no model goes to the default upstream of its dialect. Empty where there is no upstream.
    pub(crate) fn targets(&self, dialect: Dialect, model: Option<&str>) -> Vec<Target<'_>> {
        let Some(model) = model else {
            let target =
                |upstream| Target { upstream, model: None, shared: false, callers: self.is_callers(upstream, dialect) };
            return self.default_for(dialect).map(target).into_iter().collect();
        };
        if let Some(rule) = self.rule(model) {
            let matched = rule.pattern.matches(model).unwrap_or_default();
            let named = rule.targets.iter().filter_map(|target| {
                let upstream = self.named(&target.upstream)?;
                let other = Some(target.model(model, matched)).filter(|name| name != model);
                let shared = rule.targets.len() > 1 || other.is_some();
                Some(Target { upstream, model: other, shared, callers: self.is_callers(upstream, dialect) })
            });
            return named.collect();
        }
        let upstream = self.serves(dialect);
        let target =
            |upstream| Target { upstream, model: None, shared: false, callers: self.is_callers(upstream, dialect) };
        upstream.map(target).into_iter().collect()
    }

    /// The upstream of this name, which a policy has chosen. What a rule has it call the model still holds. `None` where there
    /// is no such upstream.
    pub(crate) fn chosen(&self, dialect: Dialect, model: Option<&str>, name: &str) -> Option<Target<'_>> {
        let upstream = self.named(name)?;
        let by_rule = self.targets(dialect, model).into_iter().find(|target| target.upstream.name == name);
        Some(by_rule.unwrap_or(Target {
            upstream,
            model: None,
            shared: true,
            callers: self.is_callers(upstream, dialect),
        }))
    }

    /// A policy's credential is for this target.
    pub(crate) fn is_for(&self, credential: &Credential, target: &Target<'_>, dialect: Dialect) -> bool {
        let meant =
            credential.upstream.as_deref().or_else(|| self.serves(dialect).map(|upstream| upstream.name.as_str()));
        meant == Some(target.upstream.name.as_str())
    }

    /// The rules for models, the first of which that matches counts.
    pub(crate) fn rules(&self) -> &[ModelRoute] {
        &self.models
    }

    /// The rule for this model.
    pub(crate) fn rule(&self, model: &str) -> Option<&ModelRoute> {
        self.models.iter().find(|rule| rule.pattern.matches(model).is_some())
    }

    /// Who serves callers of this dialect where no rule says so. Where nobody speaks it, the next of kin is asked in its own.
    pub(crate) fn serves(&self, dialect: Dialect) -> Option<&Upstream> {
        self.default_for(dialect).or_else(|| kin(dialect).into_iter().find_map(|kin| self.default_for(kin)))
    }

    /// Callers of this dialect have their own credentials there: it is where their requests go unless something else is said.
    /// An upstream that the operator has added with a key of its own is reached with that key alone.
    pub(crate) fn is_callers(&self, upstream: &Upstream, dialect: Dialect) -> bool {
        let vendors = matches!(upstream.name.as_str(), "anthropic" | "openai");
        let default = self.default_for(dialect).is_some_and(|default| default.name == upstream.name);
        default && (vendors || !upstream.key.is_given())
    }
}

/// The other dialects, the one in which most of a request can be said first.
pub(crate) fn kin(dialect: Dialect) -> [Dialect; 2] {
    match dialect {
        Dialect::Messages => [Dialect::Responses, Dialect::Chat],
        Dialect::Chat => [Dialect::Responses, Dialect::Messages],
        Dialect::Responses => [Dialect::Chat, Dialect::Messages],
    }
}

impl Upstream {
    /// In which dialects a request of `dialect` can be put to it, the best first: as it is, else converted. Messages go on
    /// Responses where that is spoken, since reasoning survives there.
    pub(crate) fn asked_in(&self, dialect: Dialect) -> impl Iterator<Item = Dialect> {
        let spoken = |wanted: &Dialect| self.dialects.contains(wanted);
        let others = if spoken(&dialect) { [None, None] } else { kin(dialect).map(Some) };
        [Some(dialect), others[0], others[1]].map(|dialect| dialect.filter(spoken)).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio_util::task::TaskTracker;

    use super::super::testing::{config, upstream};
    use super::*;
    use crate::config::{ModelPattern, RouteTarget, UpstreamConfig};

    /// A rule's pattern and its upstreams, each with another name for the model.
    type Rule<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    fn upstreams(list: Vec<UpstreamConfig>, models: &[Rule<'_>]) -> Upstreams {
        let mut config = config(list);
        config.models = models
            .iter()
            .map(|(pattern, targets)| ModelRoute {
                pattern: ModelPattern::parse(pattern).unwrap(),
                targets: targets
                    .iter()
                    .map(|(name, rename)| RouteTarget {
                        upstream: (*name).to_owned(),
                        rename: rename.map(str::to_owned),
                    })
                    .collect(),
            })
            .collect();
        Upstreams::new(&config, &TaskTracker::new()).unwrap()
    }

    fn three() -> Vec<UpstreamConfig> {
        vec![
            upstream("anthropic", &[Dialect::Messages]),
            upstream("openai", &[Dialect::Chat, Dialect::Responses]),
            upstream("local", &[Dialect::Chat]),
        ]
    }

    /// Names, models and whether the caller's credential goes along.
    fn told<'u>(upstreams: &'u Upstreams, dialect: Dialect, model: &str) -> Vec<(&'u str, Option<String>, bool)> {
        let targets = upstreams.targets(dialect, Some(model));
        targets.into_iter().map(|target| (target.upstream.name.as_str(), target.model, target.callers)).collect()
    }

    #[test]
    fn the_first_rule_that_matches_counts_and_without_one_the_dialect_does() {
        let rules: &[Rule<'_>] = &[
            ("local/*", &[("local", Some("*")), ("anthropic", Some("haiku"))]),
            ("local/never", &[("openai", None)]),
            ("same", &[("openai", Some("same"))]),
        ];
        let upstreams = upstreams(three(), rules);
        let local = [("local", Some("never".to_owned()), false), ("anthropic", Some("haiku".to_owned()), true)];
        assert_eq!(told(&upstreams, Dialect::Messages, "local/never"), local);
        assert_eq!(told(&upstreams, Dialect::Messages, "same"), [("openai", None, false)]);
        assert_eq!(told(&upstreams, Dialect::Responses, "same"), [("openai", None, true)]);
        assert_eq!(told(&upstreams, Dialect::Messages, "claude"), [("anthropic", None, true)]);
        assert_eq!(told(&upstreams, Dialect::Chat, "claude"), [("openai", None, true)]);
    }

    #[test]
    fn who_speaks_another_dialect_serves_where_nobody_speaks_the_callers() {
        let upstreams = upstreams(vec![upstream("local", &[Dialect::Chat])], &[]);
        assert_eq!(told(&upstreams, Dialect::Messages, "m"), [("local", None, false)]);
        assert_eq!(told(&upstreams, Dialect::Chat, "m"), [("local", None, true)]);
        let upstreams = self::upstreams(three().drain(..).filter(|one| one.name != "openai").collect(), &[]);
        assert_eq!(told(&upstreams, Dialect::Responses, "m"), [("local", None, false)]);
        let upstreams = self::upstreams(vec![upstream("anthropic", &[Dialect::Messages])], &[]);
        assert_eq!(told(&upstreams, Dialect::Responses, "m"), [("anthropic", None, false)]);
    }

    #[test]
    fn an_added_upstream_with_a_key_of_its_own_never_gets_a_callers() {
        let mut local = upstream("local", &[Dialect::Chat]);
        local.key = Some("sk-of-local".into());
        let upstreams = upstreams(vec![local, upstream("near", &[Dialect::Responses])], &[]);
        assert_eq!(told(&upstreams, Dialect::Chat, "m"), [("local", None, false)]);
        assert_eq!(told(&upstreams, Dialect::Responses, "m"), [("near", None, true)]);
        assert!(!upstreams.targets(Dialect::Chat, None)[0].callers);
        let mut vendors = upstream("openai", &[Dialect::Chat]);
        vendors.key = Some("sk-of-the-server".into());
        let upstreams = self::upstreams(vec![vendors], &[]);
        assert_eq!(told(&upstreams, Dialect::Chat, "m"), [("openai", None, true)]);
    }

    #[test]
    fn a_rule_for_an_upstream_that_is_not_there_stops_the_start() {
        let mut config = config(three());
        let targets = vec![RouteTarget { upstream: "gone".to_owned(), rename: None }];
        config.models = vec![ModelRoute { pattern: ModelPattern::parse("a*").unwrap(), targets }];
        let error = Upstreams::new(&config, &TaskTracker::new()).unwrap_err().to_string();
        assert!(error.contains("`a*`") && error.contains("`gone`"), "{error}");
    }

    #[rstest]
    #[case(&[Dialect::Chat, Dialect::Responses], Dialect::Chat, &[Dialect::Chat])]
    #[case(&[Dialect::Chat, Dialect::Responses], Dialect::Messages, &[Dialect::Responses, Dialect::Chat])]
    #[case(&[Dialect::Chat], Dialect::Responses, &[Dialect::Chat])]
    #[case(&[Dialect::Messages], Dialect::Responses, &[Dialect::Messages])]
    fn an_upstream_is_asked_in_the_callers_dialect_if_it_speaks_it(
        #[case] spoken: &[Dialect],
        #[case] callers: Dialect,
        #[case] expected: &[Dialect],
    ) {
        let upstreams = upstreams(vec![upstream("u", spoken)], &[]);
        let asked: Vec<Dialect> = upstreams.named("u").unwrap().asked_in(callers).collect();
        assert_eq!(asked, expected);
    }
}
