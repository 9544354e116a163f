//! Backslash escapes, as in `$'…'`, `printf` and `echo -e`.

/// The text with its escapes resolved.
pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(&escape) = bytes.get(at) else {
            out.push(b'\\');
            break;
        };
        at += 1;
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'e' | b'E' => out.push(27),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'c' => at += 1,
            b'x' => number(bytes, &mut at, 16, 2, &mut out, false),
            b'u' => number(bytes, &mut at, 16, 4, &mut out, true),
            b'U' => number(bytes, &mut at, 16, 8, &mut out, true),
            b'0'..=b'7' => {
                // `\0` stands in front of three digits in `echo` and `printf %b`, and is one of three in `$'…'`.
                at -= 1;
                let most = if escape == b'0' { 4 } else { 3 };
                number(bytes, &mut at, 8, most, &mut out, false);
            }
            b'\\' | b'\'' | b'"' | b'?' => out.push(escape),
            other => out.extend([b'\\', other]),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads up to `most` digits and adds what they stand for.
fn number(bytes: &[u8], at: &mut usize, radix: u32, most: usize, out: &mut Vec<u8>, wide: bool) {
    let mut value = 0_u32;
    let mut digits = 0;
    while let Some(digit) = bytes.get(*at).and_then(|&byte| char::from(byte).to_digit(radix)) {
        if digits == most {
            break;
        }
        value = value.wrapping_mul(radix).wrapping_add(digit);
        digits += 1;
        *at += 1;
    }
    if wide {
        let mut buffer = [0; 4];
        out.extend_from_slice(char::from_u32(value).unwrap_or('\u{fffd}').encode_utf8(&mut buffer).as_bytes());
    } else {
        out.push(u8::try_from(value & 0xff).unwrap_or_default());
    }
}
