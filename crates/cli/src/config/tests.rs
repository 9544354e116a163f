//! Which setting a name means, and what is shown of a URL.

use super::*;

#[test]
fn a_setting_is_found_by_any_of_its_names() {
    for name in ["rate_limit_rpm", "limits.rate_limit_rpm", "RATE_LIMIT_RPM", "--rate-limit-rpm", "rate-limit-rpm"] {
        assert_eq!(named(name).unwrap().name, "rate_limit_rpm", "{name}");
    }
    let unknown = named("rate_limt_rpm").unwrap_err().to_string();
    assert!(unknown.contains("did you mean `rate_limit_rpm`?"), "{unknown}");
}

#[test]
fn passwords_in_urls_are_hidden() {
    for (url, shown) in [
        ("http://ann:geheim@proxy:3128/x", "http://***@proxy:3128/x"),
        ("https://api.example.com/a@b", "https://api.example.com/a@b"),
        ("postgres://u:p@ss@host/db?x=1", "postgres://***@host/db?x=1"),
        ("plain", "plain"),
    ] {
        assert_eq!(without_password(url), shown);
    }
}

#[test]
fn what_only_a_start_reads_says_where_to_write_it() {
    let text = in_file(named("max_messages").unwrap());
    assert!(text.contains("`limits: { max_messages: … }`") && text.contains("MAX_MESSAGES"), "{text}");
}
