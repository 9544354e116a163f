//! What holds for every request's head and every admin call, as functions that panic where it does not: for the fuzz targets, and
//! for tests with inputs by chance.

mod heads;

pub use crate::admin::fuzzed as admin;
pub use heads::{cookies, credentials};

/// Whether a text stands in another.
fn holds(text: &[u8], part: &str) -> bool {
    !part.is_empty() && memchr::memmem::find(text, part.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 40] = [
        "x-api-key: ",
        "authorization: ",
        "x-luthien-api-key: ",
        "x-anthropic-api-key: ",
        "connection: ",
        "cookie: ",
        "x-other: ",
        "api-key: ",
        "Bearer ",
        "bearer\t",
        "Basic ",
        "{gateway}",
        "{issued}",
        "{admin}",
        "{basic-gateway}",
        "sk-ant-oat01-mine",
        "sk-mine-and-long",
        "short",
        "x-api-key",
        "authorization",
        "\n",
        "\n",
        "\n",
        ",",
        " ",
        "=",
        "&",
        "%",
        "%6c",
        "luthien_session=",
        "; ",
        "\u{e9}",
        "?",
        "/v1/models/",
        "{",
        "}",
        "\"",
        ":",
        "1",
        "lth-",
    ];

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![4 => (0..WORDS.len()).prop_map(|at| WORDS[at].as_bytes().to_vec()), 1 => vec(any::<u8>(), 0..4)];
        vec(word, 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn no_head_breaks_what_holds_of_credentials(input in texts()) {
            credentials(&input);
        }

        #[test]
        fn no_cookie_of_the_gateways_goes_on(input in texts()) {
            cookies(&input);
        }

        #[test]
        fn no_call_breaks_the_readers(input in texts()) {
            admin(&input);
        }
    }
}
