//! What an export says of itself, and that a file is whole or not there.

use super::*;

#[test]
fn the_line_says_how_far_it_is() {
    let mut progress = Progress::new(3, true);
    progress.add(4, 2_500_000);
    progress.session();
    assert_eq!(progress.line(), "1 of 3 sessions, 4 turns, 2 MB");
    assert_eq!(progress.turns(), 4);
}

#[test]
fn a_file_has_its_name_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("x.jsonl");
    let mut out = Output::open(Some(&name)).unwrap();
    out.write(b"half").unwrap();
    assert!(!name.exists());
    drop(out);
    assert!(!name.exists());
    let mut out = Output::open(Some(&name)).unwrap();
    out.write(b"whole").unwrap();
    out.finish().unwrap();
    assert_eq!(std::fs::read_to_string(&name).unwrap(), "whole");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&name.metadata().unwrap().permissions()) & 0o777, 0o600);
    assert!(!folder.path().join("x.jsonl.part").exists());
}
