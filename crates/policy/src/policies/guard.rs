//! `guard`: rules of ours that ask no model. They stop what destroys, steals, stays, hides or lets somebody in.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalogue::{LoadError, Loading, ProblemKind};
use crate::contract::Mode;
use crate::message::Feedback;
use crate::rules::{Allowed, RuleSet, RulesPolicy};
use crate::tree::Tree;

/// The score of a match that only leaves a flag.
const SCORE: f64 = 0.9;

/// The configuration of `guard`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// What happens to a call that a rule finds.
    action: Action,
    /// What happens instead where a rule of this category finds it.
    actions: Categories<Action>,
    /// Whether the rules of a category act: off, shadow (a match is recorded, nothing happens) or enforce.
    modes: Categories<Mode>,
    /// Rules that are left out, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disable: Vec<String>,
    /// Paths with which anything may be done, with all that lies below them; patterns as in rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_paths: Vec<String>,
    /// Commands that may run, each as one line; `*` is anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_commands: Vec<String>,
    /// Paths that must not be written, deleted or given other rights, beside those of the rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    protected_paths: Vec<String>,
    /// What the agent is told about a block.
    feedback: Feedback,
}

/// What happens to a call that a rule finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// It is withheld.
    #[default]
    Block,
    /// It goes on if a person allows it.
    Ask,
    /// It goes on, with a score on the record.
    Flag,
}

/// What rules are about.
#[derive(Clone, Copy, Debug)]
enum Category {
    Destruction,
    Repositories,
    Services,
    Credentials,
    Network,
    Persistence,
    Privilege,
    Evasion,
    Protected,
}

/// Something for some of the categories.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Categories<T> {
    /// Of rules about files, disks and the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    destruction: Option<T>,
    /// Of rules about work in version control.
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<T>,
    /// Of rules about containers, clusters, clouds, databases and other services.
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<T>,
    /// Of rules about passwords, keys and tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<T>,
    /// Of rules about code from elsewhere, ways in and ways out.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<T>,
    /// Of rules about what is meant to stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    persistence: Option<T>,
    /// Of rules about rights that nobody gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    privilege: Option<T>,
    /// Of rules about hiding, and about switching off what would see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    evasion: Option<T>,
    /// Of the rule about `protected_paths`.
    #[serde(skip_serializing_if = "Option::is_none")]
    protected: Option<T>,
}

impl<T: Copy> Categories<T> {
    fn of(&self, category: Category) -> Option<T> {
        match category {
            Category::Destruction => self.destruction,
            Category::Repositories => self.repositories,
            Category::Services => self.services,
            Category::Credentials => self.credentials,
            Category::Network => self.network,
            Category::Persistence => self.persistence,
            Category::Privilege => self.privilege,
            Category::Evasion => self.evasion,
            Category::Protected => self.protected,
        }
    }
}

impl Category {
    /// The category in words that follow "this call".
    fn words(self) -> &'static str {
        match self {
            Self::Destruction => "destroys files, disks or the running system",
            Self::Repositories => "throws away work in version control",
            Self::Services => "deletes what a service holds",
            Self::Credentials => "takes passwords, keys or tokens",
            Self::Network => "runs code from elsewhere or lets something out",
            Self::Persistence => "makes something stay or run later",
            Self::Privilege => "gets rights that nobody gave",
            Self::Evasion => "hides something or switches a defence off",
            Self::Protected => "changes a protected path",
        }
    }
}

/// The rules as they are written, by category and in the order in which they are asked.
const SOURCES: &[(Category, &str)] = &[
    (Category::Credentials, include_str!("guard/rules/credentials.yaml")),
    (Category::Network, include_str!("guard/rules/network.yaml")),
    (Category::Destruction, include_str!("guard/rules/destruction.yaml")),
    (Category::Repositories, include_str!("guard/rules/repositories.yaml")),
    (Category::Services, include_str!("guard/rules/services.yaml")),
    (Category::Persistence, include_str!("guard/rules/persistence.yaml")),
    (Category::Privilege, include_str!("guard/rules/privilege.yaml")),
    (Category::Evasion, include_str!("guard/rules/evasion.yaml")),
];

/// The rules, read once. Their examples are tried by the tests and not at every load.
static RULES: LazyLock<Result<Vec<(Category, Value)>, String>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (category, source) in SOURCES {
        let read: Value = serde_saphyr::from_str(source).map_err(|error| format!("{category:?}: {error}"))?;
        for rule in read.get("rules").and_then(Value::as_array).into_iter().flatten() {
            let mut rule = rule.clone();
            if let Some(members) = rule.as_object_mut() {
                members.remove("match");
                members.remove("no_match");
            }
            all.push((*category, rule));
        }
    }
    Ok(all)
});

/// The name of the rule about `protected_paths`.
const PROTECTED: &str = "protected-paths";

/// What the configuration names is looked up here, so that what is not there is refused at load.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let known = RULES.as_ref().map_err(|why| LoadError::one(loading.at(&[]), ProblemKind::BadValue, why.clone()))?;
    let name = |rule: &Value| rule.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let names: Vec<String> = known.iter().map(|(_, rule)| name(rule)).collect();
    if let Some((at, disabled)) = config.disable.iter().enumerate().find(|(_, disabled)| !names.contains(disabled)) {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = match similar::get_close_matches(disabled.as_str(), &known, 1, 0.6).first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        return Err(loading.refuse(&["disable", &at.to_string()], format!("there is no rule `{disabled}`; {hint}")));
    }
    let mut rules = Vec::with_capacity(known.len() + 1);
    for (category, rule) in known.iter().filter(|(_, rule)| !config.disable.contains(&name(rule))) {
        rules.push(config.applied(*category, rule.clone()));
    }
    if let Some(rule) = protected(loading, &config.protected_paths)? {
        rules.push(config.applied(Category::Protected, rule));
    }
    let set = RuleSet::compile(&json!({"rules": rules}), loading.env)?;
    let allowed = Allowed::new(&config.allowed_paths, &config.allowed_commands)
        .map_err(|(list, at, why)| loading.refuse(&[list, &at.to_string()], why))?;
    let none = config.allowed_paths.is_empty() && config.allowed_commands.is_empty();
    Ok(Tree::of(RulesPolicy::new("guard", if none { set } else { set.allowing(allowed) })))
}

impl Config {
    /// A rule with what the configuration makes of it.
    fn applied(&self, category: Category, mut rule: Value) -> Value {
        let action = self.actions.of(category).unwrap_or(self.action);
        let mode = self.modes.of(category).unwrap_or_default();
        let Some(members) = rule.as_object_mut() else { return rule };
        members.insert("mode".to_owned(), json!(mode));
        members.insert("action".to_owned(), json!(action));
        if action == Action::Flag {
            members.insert("score".to_owned(), json!(SCORE));
        } else {
            members.insert("message".to_owned(), json!(self.message(category)));
        }
        rule
    }

    /// What the agent reads in place of a call.
    fn message(&self, category: Category) -> String {
        let call = "[Blocked: the guard does not allow this call of the tool `{tool_name}`";
        match self.feedback {
            Feedback::None => "[Blocked.]".to_owned(),
            Feedback::Constant => format!("{call}.]"),
            Feedback::Category => format!("{call}: it {}.]", category.words()),
            Feedback::Full => format!("{call} (rule `{{rule}}`): it {{description}}. Seen: {{effects}}]"),
        }
    }
}

/// The rule about the paths that the operator protects.
fn protected(loading: &Loading<'_>, paths: &[String]) -> Result<Option<Value>, LoadError> {
    for (at, path) in paths.iter().enumerate() {
        if path.trim().is_empty() {
            return Err(loading.refuse(&["protected_paths", &at.to_string()], "must not be empty"));
        }
        RuleSet::is_path_pattern(path).map_err(|why| loading.refuse(&["protected_paths", &at.to_string()], why))?;
    }
    if paths.is_empty() {
        return Ok(None);
    }
    let listed: Vec<String> = paths.iter().map(|path| Value::from(path.as_str()).to_string()).collect();
    let listed = listed.join(", ");
    Ok(Some(json!({
        "name": PROTECTED,
        "description": "changes a path that the operator protects",
        "effects": ["write", "append", "delete", "change_mode"],
        "when": format!(
            "tool.effects.writes({listed}) || tool.effects.deletes({listed}) \
             || tool.effects.does(\"change_mode\", \"file\", {listed})"
        ),
    })))
}

#[cfg(test)]
mod tests;
