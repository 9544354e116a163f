//! The documents are true of the binary: their examples load, and every policy has its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::Home;

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..")
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The fenced blocks of this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    text.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_of_settings_load() {
    let home = Home::new();
    for name in ["README.md", "docs/policies.md"] {
        let examples = blocks(&document(name), "yaml");
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            home.write("example.yaml", &example);
            let run = home.luthien(&["policy", "check", "example.yaml"]);
            assert_eq!(run.code, 0, "{name}:\n{example}\n{}", run.err);
        }
    }
}

#[test]
fn the_examples_of_rules_hold() {
    let home = Home::new();
    let examples = blocks(&document("docs/rules.md"), "yaml");
    assert!(examples.len() > 3, "{examples:?}");
    for example in examples {
        home.write("example.yaml", &example);
        let run = home.luthien(&["policy", "test", "example.yaml"]);
        assert_eq!(run.code, 0, "{example}\n{}\n{}", run.out, run.err);
    }
}

#[test]
fn every_name_that_rules_may_use_is_explained() {
    let page = document("docs/rules.md");
    let names = include_str!("../../../policy/src/rules/expression/names.rs");
    let quoted: Vec<&str> = names.split('"').skip(1).step_by(2).collect();
    assert!(quoted.len() > 40, "{quoted:?}");
    for name in quoted.iter().filter(|name| !matches!(**name, "list" | "map" | "null_type")) {
        assert!(page.contains(name), "docs/rules.md does not tell of {name}");
    }
}

#[test]
fn every_policy_is_described() {
    let home = Home::new();
    let page = document("docs/policies.md");
    let list = home.luthien(&["policy", "list"]).out;
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"no_op"), "{list}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "docs/policies.md does not tell of {name}");
    }
}

/// The commands below this one, each with the way to it, and what its help says.
fn commands(home: &Home, way: &[&str]) -> Vec<(String, String)> {
    let help = home.luthien(&[way, &["--help"]].concat()).out;
    let listed = help.split("\nCommands:\n").nth(1).map(|rest| rest.split("\n\n").next().unwrap().to_owned());
    let names =
        listed.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> =
        names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    let mut found = Vec::new();
    for name in &names {
        // The agents' help is the agents' own.
        if !matches!(*name, "claude" | "codex") {
            found.extend(commands(home, &[way, &[*name]].concat()));
        }
    }
    if names.is_empty() {
        found.push((way.join(" "), help));
    }
    found
}

#[test]
fn every_command_has_an_example_and_stands_in_the_list() {
    let home = Home::new();
    let page = document("docs/cli.md");
    let all = commands(&home, &[]);
    assert!(all.len() > 25, "{all:?}");
    for (way, help) in all {
        let first = way.split(' ').next().unwrap();
        let own = matches!(first, "config" | "policy" | "keys");
        let listed = if own { &way[..] } else { first };
        assert!(page.contains(&format!("`luthien {listed}`")), "docs/cli.md does not tell of {listed}");
        let example = help.contains("Example:\n") || help.contains("Examples:\n");
        // Others have theirs above them.
        assert!(example || !own && way.contains(' '), "{way} has no example:\n{help}");
    }
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let names = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/admin-access.md",
        "docs/backup.md",
        "docs/cli.md",
        "docs/migrating.md",
        "docs/policies.md",
        "docs/rules.md",
        "docs/security.md",
        "docs/troubleshooting.md",
        "docs/upgrade.md",
        "docs/wire-rules.md",
        "tests/README.md",
        "docs/decisions/README.md",
    ];
    for name in names {
        let folder = root().join(name).parent().unwrap().to_owned();
        for link in document(name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !link.starts_with("http") && !file.is_empty() {
                assert!(folder.join(file).exists(), "{name} links to {link}, which is not there");
            }
        }
    }
}

#[test]
fn the_architecture_names_files_that_exist() {
    let text = document("ARCHITECTURE.md");
    let paths: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|part| part.starts_with("crates/")).collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "{path} is not there");
    }
}

/// Everything written in Rust below these folders.
fn sources(folders: &[&str]) -> String {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut text = String::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[test]
fn messages_that_are_quoted_are_in_the_code() {
    // A string that goes on in the next line of the code is one line where it is printed.
    let code: Vec<String> =
        sources(&["crates/gateway/src", "crates/record/src", "crates/policy/src", "crates/cli/src", "crates/wire/src"])
            .split("\\\n")
            .map(|part| part.trim_start().to_owned())
            .collect();
    let code = code.concat();
    let quoted = blocks(&document("docs/troubleshooting.md"), "text").concat();
    assert!(quoted.lines().count() > 15, "{quoted}");
    for line in quoted.lines() {
        for part in line.split('…').filter(|part| part.len() > 3) {
            assert!(code.contains(part), "no message has {part:?} of {line:?}");
        }
    }
}

#[test]
fn rules_that_are_named_are_explained() {
    let rules = document("docs/wire-rules.md");
    let code = sources(&["crates", "tests"]);
    let number = |rest: &str| rest.get(..2).filter(|text| text.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned);
    let named: BTreeSet<String> = code.split("W-").skip(1).filter_map(number).collect();
    assert!(named.len() > 20, "{named:?}");
    for number in named {
        assert!(rules.contains(&format!("| W-{number} |")), "W-{number} is not explained in docs/wire-rules.md");
    }
}

/// What stands in a text element of a picture.
fn text_of(element: &str) -> String {
    let inside = element.split("</text>").next().unwrap().split_once('>').unwrap().1;
    let text: String = inside.split('<').map(|part| part.rsplit('>').next().unwrap()).collect();
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let home = Home::new();
    let demo = home.luthien(&["demo"]).out;
    let played = demo.split("\n\nThat turn in the record:").next().unwrap();
    let played = &played[played.find("── turn 1").unwrap()..];
    let picture = document("docs/demo.svg");
    let shown: Vec<String> = picture.split("<text ").skip(1).map(text_of).collect();
    let played: Vec<&str> = played.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(shown, played, "the README's picture is another scene: cargo xtask picture");
}
