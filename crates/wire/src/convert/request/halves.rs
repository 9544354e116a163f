//! Halves of surrogate pairs in JSON escapes: legal for JavaScript, no text for anyone else.

/// The JSON text with each lone `\ud800`…`\udfff` as `\ufffd`; `None` where there is none.
pub(super) fn mended(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', bytes.get(at..)?) {
        let here = at + found;
        match unit(bytes, here) {
            Some(0xd800..=0xdbff) if matches!(unit(bytes, here + 6), Some(0xdc00..=0xdfff)) => at = here + 12,
            Some(0xd800..=0xdfff) => {
                out.push_str(&text[kept..here]);
                out.push_str("\\ufffd");
                at = here + 6;
                kept = at;
            }
            _ => at = here + 2,
        }
    }
    if kept == 0 {
        return None;
    }
    out.push_str(&text[kept..]);
    Some(out)
}

/// The UTF-16 unit that the escape at `at` stands for.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_pairs_are_not() {
        assert_eq!(mended(r#""a\ud83d b""#).as_deref(), Some(r#""a\ufffd b""#));
        assert_eq!(mended(r#""\ude00\ud83d\ude00\ud83d""#).as_deref(), Some(r#""\ufffd\ud83d\ude00\ufffd""#));
        assert_eq!(mended(r#""\ud83d\ude00 \\ud83d é""#), None);
        assert_eq!(mended("\"\\"), None);
        assert_eq!(mended(r#""\ud8"#), None);
    }
}
