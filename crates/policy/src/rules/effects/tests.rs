//! What is asked of effects, and what the tools of agents do.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Deed, Effects, host, kind_name, names};
use crate::rules::pattern::Globs;
use crate::scripted::call;

fn of_tool(name: &str, arguments: Value) -> Vec<String> {
    Effects::of_tool(&call(name, arguments)).lines()
}

#[rstest]
#[case("Read", json!({"file_path": "/a/../b"}), &["read file /b"])]
#[case("Write", json!({"file_path": "/etc/x", "content": "y"}), &["write file /etc/x"])]
#[case("MultiEdit", json!({"file_path": "x", "edits": []}), &["write file x"])]
#[case("NotebookEdit", json!({"notebook_path": "n.ipynb"}), &["write file n.ipynb"])]
#[case("Grep", json!({"pattern": "k", "path": "/srv"}), &["read file /srv and all below"])]
#[case("WebFetch", json!({"url": "https://a.example/b", "prompt": "p"}), &["network host https://a.example/b"])]
#[case("apply_patch", json!({"input": "*** Begin Patch\n*** Add File: a\n+x\n*** Delete File: b\n*** Move to: c"}), &["write file a", "delete file b", "write file c"])]
#[case("apply_patch", json!("--- a/x\n+++ b/x\n--- a/y\n+++ /dev/null"), &["write file x", "delete file y"])]
#[case("apply_patch", json!("--- /etc/x\t2026\n+++ /etc/x\t2026-01-01 00:00"), &["write file /etc/x"])]
#[case("apply_patch", json!("rename from a\nrename to \"b\""), &["delete file a", "write file \"b\""])]
#[case("apply_patch", json!("+++ \"b/a b\"\n+++ b/b/c"), &["write file a b", "write file b/c"])]
#[case("apply_patch", json!("  *** Delete File: /etc/x\n*** Update File: b/x"), &["delete file /etc/x", "write file b/x"])]
#[case("TodoWrite", json!({"todos": []}), &[])]
fn tools(#[case] name: &str, #[case] arguments: Value, #[case] lines: &[&str]) {
    assert_eq!(of_tool(name, arguments), lines);
}

#[rstest]
#[case("https://user@a.example:8080/p?q", "a.example")]
#[case("a.example:22", "a.example")]
#[case("git@a.example:me/repo", "a.example")]
#[case("http://[::1]:80/", "::1")]
#[case("::1", "::1")]
#[case("10.0.0.1", "10.0.0.1")]
#[case("file:///etc/passwd", "")]
fn hosts(#[case] target: &str, #[case] name: &str) {
    assert_eq!(host(target), name);
}

fn deed(words: &[&str]) -> Result<Deed, String> {
    Deed::new(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
}

#[rstest]
#[case("rm -rf /srv/a", &["delete"], true)]
#[case("rm -rf /srv/a", &["delete", "file"], true)]
#[case("rm -rf /srv", &["delete", "file", "/srv/a", "/etc"], true)]
#[case("rm /srv", &["delete", "file", "/srv/a"], false)]
#[case("rm -rf /srv/a", &["delete", "process"], false)]
#[case("rm -rf /srv/a", &["write"], false)]
fn deeds(#[case] command: &str, #[case] words: &[&str], #[case] done: bool) {
    assert_eq!(Effects::of_command(command).does(&deed(words).unwrap()), done);
}

#[test]
fn deeds_that_nobody_does_are_refused() {
    assert!(deed(&[]).is_err());
    assert!(deed(&["delete", "file", "["]).is_err());
    assert_eq!(deed(&["delte"]).unwrap_err(), "unknown effect `delte`; did you mean `delete`?");
}

#[test]
fn programs_are_found_behind_what_runs_them() {
    let effects = Effects::of_command("sudo sh -c 'echo $(id -u)' && /usr/bin/env FOO=1 make -j4 test");
    let globs = |names: &[&str]| Globs::paths(&names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>()).unwrap();
    for name in ["sudo", "id", "make", "ech?"] {
        assert!(effects.executes(&globs(&[name])), "{name}");
    }
    assert!(!effects.executes(&globs(&["ls", "mak"])));
    let lines = |line: &str| Globs::lines(&[line.to_owned()]).unwrap();
    assert!(effects.runs(&lines("make * test")) && effects.runs(&lines("id -u")));
    assert!(!effects.runs(&lines("make")));
}

#[test]
fn every_kind_and_object_has_the_name_that_the_analysis_gives_it() {
    for (kind, name) in names::KINDS {
        assert_eq!(serde_json::to_value(kind).unwrap(), *name);
        assert_eq!(kind_name(*kind), *name);
    }
    for (object, name) in names::OBJECTS {
        assert_eq!(serde_json::to_value(object).unwrap(), *name);
    }
}
