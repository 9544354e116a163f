//! Globs over texts and paths, and paths made plain.

use rstest::rstest;

use super::{Globs, Pattern, normalised};

fn globs(sources: &[&str]) -> Globs {
    Globs::paths(&sources.iter().map(|&s| s.to_owned()).collect::<Vec<_>>()).unwrap()
}

#[rstest]
#[case("/etc", "/etc", true)]
#[case("/etc", "/etc/passwd", true)]
#[case("/etc", "/etcetera", false)]
#[case("/", "/home/a", true)]
#[case("/", "home/a", false)]
#[case("~/.ssh/id_*", "~/.ssh/id_rsa", true)]
#[case("~/.ssh/id_*", "~/.ssh/config", false)]
#[case("/home/*/.ssh", "/home/ann/.ssh/id_rsa", true)]
#[case("/home/*/.ssh", "/home/ann/b/.ssh/id_rsa", false)]
#[case("**/.env", "/srv/app/.env", true)]
#[case("**/.env", ".env", true)]
#[case("**/.env", "/srv/app/.envrc", false)]
#[case("*.{pem,key}", "server.key", true)]
fn paths(#[case] glob: &str, #[case] path: &str, #[case] holds: bool) {
    assert_eq!(globs(&[glob]).holds(path), holds);
}

#[test]
fn names_match_whole_and_in_their_own_case() {
    let tools = globs(&["mcp__*", "Bash"]);
    assert!(tools.matches("mcp__files_read") && tools.matches("Bash"));
    assert!(!tools.matches("bash") && !tools.matches("BashOutput"));
}

#[rstest]
#[case("/a/./b//c/", "/a/b/c")]
#[case("/a/../../b", "/b")]
#[case("a/../../b", "../b")]
#[case("./", ".")]
#[case("~/../x", "~/../x")]
#[case("/", "/")]
#[case("//", "/")]
#[case("a/b", "a/b")]
fn plain_paths(#[case] path: &str, #[case] plain: &str) {
    assert_eq!(normalised(path), plain);
}

#[test]
fn bad_patterns_say_why_in_one_line() {
    for error in [Pattern::regex("(").unwrap_err(), Globs::paths(&["[".to_owned()]).map(Pattern::Globs).unwrap_err()] {
        assert!(error.starts_with("not a ") && !error.contains('\n'), "{error}");
    }
    assert!(Pattern::words(&[]).is_err());
}

#[rstest]
#[case("~/.ssh", "/root/.ssh/id_rsa", true)]
#[case("~/.ssh", "/home/ann/.ssh", true)]
#[case("~/.ssh", "/Users/ann/.ssh", true)]
#[case("~/.ssh", "/srv/ann/.ssh", false)]
#[case("~x/.ssh", "/root/.ssh", false)]
fn homes_in_all_their_spellings(#[case] glob: &str, #[case] path: &str, #[case] holds: bool) {
    assert_eq!(globs(&[glob]).holds(path), holds);
}

#[rstest]
#[case("/etc/passwd", "/", true)]
#[case("/etc/passwd", "/*", true)]
#[case("/etc/passwd", "/etc", true)]
#[case("/etc/passwd", "/etc/*", true)]
#[case("/etc/passwd", "/etc/passwd", false)]
#[case("/etc/passwd", "/et", false)]
#[case("~/.ssh", "~", true)]
#[case("~/.ssh", "/home/ann", true)]
#[case("~/.ssh", "/home/ann/work", false)]
#[case("**/.env", "/srv", false)]
#[case("/srv/**/.env", "/srv", true)]
#[case("/srv/**/.env", "/srv/app", false)]
#[case("/{a,b}/c", "/b", true)]
fn folders_above(#[case] glob: &str, #[case] path: &str, #[case] below: bool) {
    assert_eq!(globs(&[glob]).may_lie_below(path), below);
}
