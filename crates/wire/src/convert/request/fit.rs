//! Ids and names of tools that the target takes: the same comes out wherever one stands.

use std::borrow::Cow;

use crate::dialect::Dialect;

/// An id that a vendor of this dialect takes. Most are left as they are; one that is too long, or of letters that are not
/// taken, becomes another, always the same.
pub(super) fn id(to: Dialect, id: &str) -> Cow<'_, str> {
    // Messages wants letters, digits, `_` and `-`; OpenAI's limits are 40 on Chat and 64 on Responses.
    let (limit, strict) = match to {
        Dialect::Messages => (64, true),
        Dialect::Chat => (40, false),
        Dialect::Responses => (64, false),
    };
    let fits = |b: u8| !strict || b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !id.is_empty() && id.len() <= limit && id.bytes().all(fits) {
        return Cow::Borrowed(id);
    }
    let head: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').take(16).collect();
    Cow::Owned(format!("{head}_{:016x}", hash(id)))
}

/// A tool's name that a vendor of this dialect takes: OpenAI's are shorter than Anthropic's.
pub(super) fn name(to: Dialect, name: &str) -> Cow<'_, str> {
    let (limit, strict) = if to == Dialect::Messages { (128, true) } else { (64, false) };
    let fits = |b: u8| !strict || b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.is_empty() || (name.len() <= limit && name.bytes().all(fits)) {
        return Cow::Borrowed(name);
    }
    let head: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(47).collect();
    Cow::Owned(format!("{head}_{:016x}", hash(name)))
}

/// FNV-1a: the same on every machine and in every version.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_fit_stay() {
        for to in Dialect::ALL {
            for given in ["toolu_01A", "call_abc-1", "fc_0"] {
                assert_eq!(id(to, given), given);
            }
        }
    }

    #[test]
    fn names_that_are_too_long_are_told_apart_all_the_same() {
        let long = format!("mcp__{}", "server_".repeat(10));
        for to in [Dialect::Chat, Dialect::Responses] {
            let new = name(to, &long).into_owned();
            assert!(new.len() == 64 && new.starts_with("mcp__server_"), "{new}");
            assert_ne!(name(to, &format!("{long}x")), new);
            assert_eq!(name(to, "a.b"), "a.b");
        }
        assert_eq!(name(Dialect::Messages, &long), long);
        assert_eq!(name(Dialect::Messages, "a.b").len(), "a_b_".len() + 16);
    }

    #[test]
    fn others_become_another_that_is_always_the_same() {
        let long = format!("call_{}", "x".repeat(90));
        for to in Dialect::ALL {
            let new = id(to, &long).into_owned();
            assert!(new.len() <= 40 && new.starts_with("call_xxx"), "{new}");
            assert_eq!(id(to, &long), new);
            assert_ne!(id(to, &format!("{long}y")), new);
        }
        assert_eq!(id(Dialect::Chat, "functions.exec:0"), "functions.exec:0");
        let fitted = id(Dialect::Messages, "functions.exec:0").into_owned();
        assert!(fitted.starts_with("functionsexec0_"), "{fitted}");
        assert!(!id(Dialect::Messages, "").is_empty());
    }
}
