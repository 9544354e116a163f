//! What the model may be told of the policies in force (`INJECT_POLICY_CONTEXT`).

use super::Plan;
use crate::catalogue::short_description;
use crate::tree::Tree;

impl Plan {
    /// Words for the model about the policies that are enforced; `None` where there are none to tell of.
    pub fn told(&self) -> Option<String> {
        let mut names = Vec::new();
        enforced(&self.tree, &mut names);
        let mut lines: Vec<String> = Vec::new();
        for name in names.into_iter().filter(|name| *name != "no_op") {
            let line = match short_description(name) {
                Some(what) => format!("- {name}: {what}"),
                None => format!("- {name}"),
            };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let list = lines.join("\n");
        (!lines.is_empty()).then(|| {
            format!(
                "This conversation passes through a gateway whose operator has put these policies in force:\n{list}\nThey may \
                 change or withhold parts of your answers, tool calls above all; a notice then stands in their place. Where \
                 that happens, say so to the user and do not try to reach the same end by another way."
            )
        })
    }
}

/// Who is on trial is not told of.
fn enforced(tree: &Tree, names: &mut Vec<&'static str>) {
    match tree {
        Tree::Policy(policy) => names.push(policy.name()),
        Tree::Serial(trees) | Tree::Parallel(_, trees) => trees.iter().for_each(|tree| enforced(tree, names)),
        Tree::Branch(cases, default) => {
            cases.iter().map(|(_, tree)| tree).chain([&**default]).for_each(|tree| enforced(tree, names));
        }
        Tree::Shadow(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::catalogue::{LoadEnv, PolicySpec, load};

    fn told(policies: &Value) -> Option<String> {
        let spec = PolicySpec::new("serial", json!({"policies": policies}));
        Plan::new(load(&spec, &LoadEnv::default()).unwrap().tree).told()
    }

    #[test]
    fn the_model_is_told_of_what_is_enforced_once() {
        let policies = json!([{"class": "all_caps"}, {"class": "no_yapping", "mode": "shadow"}, {"class": "all_caps"}]);
        let told = told(&policies).unwrap();
        assert_eq!(told.matches("- all_caps: Answers in capital letters.\n").count(), 1);
        assert!(!told.contains("no_yapping"));
    }

    #[test]
    fn where_nothing_is_enforced_nothing_is_told() {
        assert_eq!(told(&json!([{"class": "no_op"}, {"class": "all_caps", "mode": "shadow"}])), None);
    }
}
