//! What an import says of itself.

use std::fmt::Write as _;
use std::path::Path;

use luthien_record::import::Summary;
use luthien_record::older::OlderPolicy;
use serde_json::Value;

use super::Told;
use crate::output::count;
use crate::terminal::{visible, visible_line};

/// Of a luthien-proxy.
pub(super) fn proxy(told: &Told) -> String {
    let sum = &told.summary;
    let mut out = String::new();
    let verb = if told.dry_run { "would be imported" } else { "imported" };
    let _ =
        writeln!(out, "{}: {} {verb}, {} in the record already", count(sum.calls, "call"), sum.imported, sum.already);
    let mut line = |count: u64, words: &str| {
        if count > 0 {
            let _ = writeln!(out, "  {count} {words}");
        }
    };
    line(sum.before, "before the time that was given");
    line(sum.under_way, "still under way there: import once more when they have ended");
    line(
        sum.one_answer,
        "streamed: the older proxy kept one answer of these, without thinking, so that what policies changed in them is not known",
    );
    line(sum.rejected, "calls could not be imported");
    line(sum.events_rejected, "events could not be read; their calls were imported without them");
    line(sum.orphans, "events belong to no call and were left out");
    match told.names.taken {
        Some(taken) => line(taken as u64, "names of users were taken over"),
        None => line(told.names.there as u64, "names of users were left out; --with-labels takes them over"),
    }
    if let Some(path) = &told.rejects {
        let _ = writeln!(out, "  what could not be read is named in {}", path.display());
    }
    if let Some(settings) = &told.settings {
        let verb = if told.dry_run { "Would be taken over" } else { "Taken over" };
        for name in &settings.taken {
            let _ = writeln!(out, "{verb}: {}", visible_line(name));
        }
        for name in &settings.already {
            let _ = writeln!(out, "Here already: {}", visible_line(name));
        }
        for (name, why) in &settings.left {
            let _ = writeln!(out, "Not taken over: {}: {}", visible_line(name), visible_line(why));
        }
    }
    for table in &told.left_out {
        let _ = writeln!(out, "Not imported: {} ({} rows): {}", visible_line(&table.table), table.rows, table.why);
    }
    if let Some(policy) = &told.policy {
        match &told.set {
            Some(said) => {
                let _ = writeln!(out, "The policy {} is set: {said}.", visible_line(&policy.class_ref));
            }
            None => {
                let _ = writeln!(
                    out,
                    "The policy that is in force there, for luthien.yaml; --with-policy sets it:\n{}",
                    yaml(policy)
                );
            }
        }
    }
    out
}

/// Of an archive.
pub(super) fn archive(sum: &Summary, rejects: Option<&Path>, dry_run: bool) -> String {
    let verb = if dry_run { "would be imported" } else { "imported" };
    let mut out = format!(
        "{}: {} {verb}, {} in the record already\n",
        count(sum.calls, "transaction"),
        sum.imported,
        sum.already
    );
    if sum.rejected > 0 {
        let _ = writeln!(out, "  {} could not be imported", count(sum.rejected, "line"));
    }
    if let Some(path) = rejects {
        let _ = writeln!(out, "  what could not be read is named in {}", path.display());
    }
    out
}

/// Of a luthien_control.
pub(super) fn control(policies: &[OlderPolicy], problems: &[Option<String>], set: Option<&str>, keys: u64) -> String {
    let mut out = String::new();
    for (policy, problem) in policies.iter().zip(problems) {
        let name = policy.name.as_deref().unwrap_or_default();
        let active = if policy.active { ", active there" } else { "" };
        let _ = writeln!(out, "{}{active}:\n{}", visible_line(name), yaml(policy));
        if let Some(problem) = problem {
            let _ = writeln!(out, "  ! {}", visible_line(problem));
        }
    }
    match set {
        Some(said) => {
            let _ = writeln!(out, "The policy is set: {said}.");
        }
        None => out.push_str("--with-policy NAME sets one of them.\n"),
    }
    if keys > 0 {
        let _ = writeln!(
            out,
            "{keys} client keys were left out: they are in clear there. Give clients keys of this gateway."
        );
    }
    out
}

/// A policy as the section of a luthien.yaml: JSON is YAML.
fn yaml(policy: &OlderPolicy) -> String {
    let config = serde_json::to_string(&policy.config).unwrap_or_default();
    let class = Value::from(policy.class_ref.as_str());
    visible(&format!("  policy:\n    class: {class}\n    config: {config}")).into_owned()
}

#[cfg(test)]
mod tests {
    use luthien_record::older::LeftOut;
    use serde_json::json;

    use super::super::Names;
    use super::*;

    #[test]
    fn an_import_says_what_it_did_and_did_not() {
        let policy = OlderPolicy {
            name: None,
            class_ref: "luthien_proxy.policies.all_caps_policy:AllCapsPolicy".into(),
            config: json!({}),
            active: true,
            enabled_at: None,
            enabled_by: None,
        };
        let summary = Summary { calls: 5, imported: 3, already: 1, under_way: 1, one_answer: 2, ..Summary::default() };
        let left_out = vec![LeftOut { table: "auth_config".into(), rows: 1, why: "set AUTH_MODE instead" }];
        let mut told = Told {
            summary,
            policy: Some(policy),
            set: None,
            names: Names { there: 3, taken: None },
            settings: None,
            left_out,
            rejects: None,
            dry_run: false,
        };
        let text = proxy(&told);
        assert!(text.starts_with("5 calls: 3 imported, 1 in the record already\n  1 still under way there"), "{text}");
        assert!(text.contains("  2 streamed: ") && text.contains("without thinking"), "{text}");
        assert!(text.contains("Not imported: auth_config (1 rows): set AUTH_MODE instead\n"), "{text}");
        let class = "    class: \"luthien_proxy.policies.all_caps_policy:AllCapsPolicy\"\n    config: {}\n";
        assert!(text.ends_with(class), "{text}");
        assert!(text.contains("  3 names of users were left out; --with-labels"), "{text}");
        told.dry_run = true;
        assert!(proxy(&told).contains("3 would be imported"));
    }
}
