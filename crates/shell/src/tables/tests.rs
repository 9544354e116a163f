//! The tables can be read.

use std::collections::HashMap;

use super::{SOURCES, fits, parse};

#[test]
fn every_line_is_understood() {
    for (name, source) in SOURCES {
        assert_eq!(parse::read(source, &mut HashMap::new()), Vec::<&str>::new(), "{name}");
    }
}

#[rstest::rstest]
#[case("c?t", "cat", true)]
#[case("c*", "cat", true)]
#[case("*t*", "cat", true)]
#[case("c?", "cat", false)]
#[case("", "cat", false)]
#[case("a*b*c", "axxbc", true)]
fn patterns(#[case] pattern: &str, #[case] name: &str, #[case] fit: bool) {
    assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fit);
}
