//! What is installed is not installed again.

use std::cell::Cell;
use std::path::PathBuf;

use super::provided;

/// A folder of this test's own, empty at first.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("luthien-xtask-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder.join("peer")
}

#[test]
fn what_is_there_is_not_installed_again_until_the_pins_change() {
    let folder = folder("again");
    let installs = Cell::new(0);
    let install = || {
        installs.set(installs.get() + 1);
        Ok(())
    };
    for (pins, so_far) in [("one", 1), ("one", 1), ("two", 2), ("two", 2)] {
        provided(&folder, pins, install).expect("installs");
        assert_eq!(installs.get(), so_far, "{pins}");
    }
}

#[test]
fn a_failed_install_is_tried_again() {
    let folder = folder("failed");
    provided(&folder, "one", || Ok(())).expect("installs");
    assert_eq!(provided(&folder, "two", || Err("no network".into())), Err("no network".into()));
    let tried = Cell::new(false);
    let install = || {
        tried.set(true);
        Ok(())
    };
    provided(&folder, "one", install).expect("installs");
    assert!(tried.get(), "the older stamp is gone");
}
