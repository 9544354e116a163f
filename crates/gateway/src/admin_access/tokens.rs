//! Tokens of the admin side: a prefix that says what one is, and 256 random bits. Kept as hashes; wherever one stands in a request
//! to a model, it does not go upstream.

use memchr::memmem;
use secrecy::SecretString;

/// With what a person's token begins.
pub(crate) const PERSON: &str = "ltp-";

/// With what the token of a browser's session begins.
pub(crate) const SESSION: &str = "lts-";

/// With what the token of a login link begins.
pub(crate) const LINK: &str = "ltl-";

/// How many characters a token has behind its prefix: 32 bytes in hexadecimal digits.
const DIGITS: usize = 64;

/// How many of its characters are shown in lists.
const SHOWN: usize = 10;

/// A new one.
pub(crate) fn make(prefix: &str) -> Result<(SecretString, [u8; 32]), getrandom::Error> {
    let mut random = [0; DIGITS / 2];
    getrandom::fill(&mut random)?;
    let token = random.iter().fold(prefix.to_owned(), |token, byte| format!("{token}{byte:02x}"));
    let hash = hash(token.as_bytes());
    Ok((token.into(), hash))
}

/// By which it is known. It has so many random bits that a fast hash protects it as well as a slow one.
pub(crate) fn hash(token: &[u8]) -> [u8; 32] {
    *blake3::hash(token).as_bytes()
}

/// Its first characters, for people.
pub(crate) fn start(token: &str) -> String {
    token.chars().take(SHOWN).collect()
}

/// Whether a text is one with this prefix, one that holds or not.
pub(crate) fn is(prefix: &str, text: &[u8]) -> bool {
    text.strip_prefix(prefix.as_bytes())
        .is_some_and(|rest| rest.len() == DIGITS && rest.iter().all(u8::is_ascii_hexdigit))
}

/// Whether one stands anywhere in a text, one that holds or not.
pub(crate) fn stand_in(text: &[u8]) -> bool {
    memmem::find_iter(text, "lt").any(|at| {
        let rest = &text[at..];
        let ours = [PERSON, SESSION, LINK].iter().any(|prefix| rest.starts_with(prefix.as_bytes()));
        ours && rest.iter().skip(PERSON.len()).take_while(|byte| byte.is_ascii_hexdigit()).count() >= DIGITS
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn tokens_differ_and_are_found_within_texts() {
        for prefix in [PERSON, SESSION, LINK] {
            let (token, kept) = make(prefix).unwrap();
            let token = token.expose_secret();
            assert_eq!((token.len(), kept), (prefix.len() + DIGITS, hash(token.as_bytes())));
            assert_ne!(make(prefix).unwrap().1, kept);
            assert!(is(prefix, token.as_bytes()) && token.starts_with(&start(token)));
            assert!(stand_in(token.as_bytes()) && stand_in(format!("a lt-b; x={token},").as_bytes()));
            assert!(!stand_in(&token.as_bytes()[..token.len() - 1]));
            assert!(!is(prefix, format!("{token}0").as_bytes()));
        }
        assert!(!stand_in(b"default ltp-abc") && !is(PERSON, b"ltp-"));
    }
}
