//! Versions as programs print them.

use super::major;

#[test]
fn the_major_version_is_read_as_node_prints_it() {
    assert_eq!(major("v20.20.2\n"), Some(20));
    assert_eq!(major("20.20.2"), None);
    assert_eq!(major("vX"), None);
}
