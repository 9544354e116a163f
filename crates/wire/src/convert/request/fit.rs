//! Ids of tool calls that the target takes: a call and its result come out alike.

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
