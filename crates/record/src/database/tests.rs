//! Which database files are taken, and which are refused.

use super::*;

#[test]
fn other_urls_are_refused() {
    let parse = |url| Database::parse(url, DatabaseOptions::default());
    for url in ["mysql://localhost/x", "sqlite://", "sqlite://:memory:", "x"] {
        assert!(matches!(parse(url), Err(OpenError::UnknownDatabase(_))), "{url}");
    }
    assert_eq!(parse("sqlite:///a/b.db?mode=rwc").expect("a file").path(), Some(Path::new("/a/b.db")));
    assert_eq!(parse("sqlite:b.db").expect("a file").path(), Some(Path::new("b.db")));
    assert_eq!(parse("postgres://localhost/x").expect("a server").path(), None);
}
