//! `$x`, `${x…}`, `$(…)`, `$((…))`.

use super::Fields;
use crate::{
    analysis::Word,
    syntax::{
        is_name,
        scan::{self, Open},
    },
    walk::{Context, Walker},
};

impl Walker {
    /// What begins with the `$` at `at`; gives the place behind it.
    pub(super) fn dollar(
        &mut self,
        raw: &str,
        at: usize,
        quoted: bool,
        fields: &mut Fields,
        context: &Context,
    ) -> usize {
        let bytes = raw.as_bytes();
        let slice = |from: usize, to: usize| raw.get(from..to.min(raw.len())).unwrap_or_default();
        match bytes.get(at + 1) {
            Some(b'(') if bytes.get(at + 2) == Some(&b'(') => {
                let end = scan::close(bytes, at + 2, Open::Arithmetic);
                let inside = slice(at + 3, end).trim_end_matches(')');
                self.arithmetic(inside, slice(at, end + 1), fields, context);
                end + 1
            }
            Some(b'(') => {
                let end = scan::close(bytes, at + 2, Open::Paren(0));
                let value = self.substitute(slice(at + 2, end), context);
                self.expanded(&value, quoted, slice(at, end + 1), fields);
                end + 1
            }
            Some(b'{') => {
                let end = scan::close(bytes, at + 2, Open::Brace);
                let value = self.braced(slice(at + 2, end), context);
                let list = slice(at + 2, end).ends_with("[@]") || slice(at + 2, end) == "@";
                self.expanded(&value, quoted && !list, slice(at, end + 1), fields);
                end + 1
            }
            Some(&first) if first == b'_' || first.is_ascii_alphabetic() => {
                let rest = bytes.get(at + 1..).unwrap_or_default();
                let length =
                    rest.iter().position(|&byte| byte != b'_' && !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
                let end = at + 1 + length;
                let value = self.variable(slice(at + 1, end));
                self.expanded(&value, quoted, slice(at, end), fields);
                end
            }
            Some(b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-' | b'0'..=b'9') => {
                let name = slice(at + 1, at + 2);
                let value = self.variable(name);
                self.expanded(&value, quoted && name != "@", slice(at, at + 2), fields);
                at + 2
            }
            _ => {
                fields.literal("$");
                at + 1
            }
        }
    }

    fn expanded(&mut self, value: &Word, quoted: bool, source: &str, fields: &mut Fields) {
        if self.spend(value.text.len()) {
            fields.value(value, quoted, source);
        } else {
            fields.unknown(source);
        }
    }

    /// Numbers are worked out where they stand alone; what is substituted within runs.
    fn arithmetic(&mut self, inside: &str, source: &str, fields: &mut Fields, context: &Context) {
        let value = self.quoted(inside, context);
        fields.current.from.extend(&value.from);
        match value.text.trim().parse::<i64>() {
            Ok(number) if !value.dynamic => fields.literal(&number.to_string()),
            _ => fields.unknown(source),
        }
    }

    /// The inside of `${…}`.
    fn braced(&mut self, inside: &str, context: &Context) -> Word {
        let unknown = || Word { dynamic: true, ..Word::default() };
        if let Some(indirect) = inside.strip_prefix('!') {
            let name = self.variable(indirect);
            return if name.dynamic || !is_name(&name.text) { unknown() } else { self.variable(&name.text) };
        }
        if let Some(name) = inside.strip_prefix('#')
            && !name.is_empty()
        {
            let value = self.variable(name);
            return if value.dynamic { unknown() } else { Word::fixed(value.text.chars().count().to_string()) };
        }
        let special = inside.starts_with(['@', '*', '#', '?', '$', '!', '-']);
        let length = if special {
            1
        } else {
            inside.bytes().position(|byte| byte != b'_' && !byte.is_ascii_alphanumeric()).unwrap_or(inside.len())
        };
        let (name, mut operation) = inside.split_at_checked(length).unwrap_or((inside, ""));
        let mut value = self.variable(name);
        if let Some((index, after)) = operation.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            if let (Ok(index), false) = (index.parse::<usize>(), value.dynamic) {
                value = Word::fixed(value.text.split_ascii_whitespace().nth(index).unwrap_or_default());
            }
            operation = after;
        }
        if operation.is_empty() { value } else { self.operation(value, operation, context) }
    }

    fn operation(&mut self, value: Word, operation: &str, context: &Context) -> Word {
        let colon = operation.strip_prefix(':');
        let rest = colon.unwrap_or(operation);
        let (sign, text) = rest.split_at_checked(1).unwrap_or((rest, ""));
        match sign {
            "-" | "=" => {
                let other = self.word(text, context);
                // An unknown variable may be unset: what stands in for it is likelier than nothing.
                if value.dynamic && value.text.is_empty() {
                    Word { dynamic: true, ..other }
                } else if value.text.is_empty() {
                    other
                } else {
                    value
                }
            }
            "+" => {
                let other = self.word(text, context);
                if value.text.is_empty() && !value.dynamic { value } else { other }
            }
            "?" => value,
            _ if value.dynamic => {
                let operand = self.word(operation, context);
                Word { dynamic: true, from: [value.from, operand.from].concat(), ..Word::default() }
            }
            _ if colon.is_some() => substring(&value, rest),
            "^" => Word::fixed(if text.starts_with('^') { value.text.to_uppercase() } else { capital(&value.text) }),
            "," => Word::fixed(value.text.to_lowercase()),
            "/" => {
                let operand = self.word(text.trim_start_matches('/'), context);
                let (from, to) = operand.text.split_once('/').unwrap_or((&operand.text, ""));
                let all = text.starts_with('/');
                if operand.dynamic || from.is_empty() || from.contains(['*', '?', '[']) {
                    return Word { dynamic: true, ..value };
                }
                let count = if all { value.text.matches(from).count() } else { 1 };
                if !self.work(value.text.len() + count.saturating_mul(to.len())) {
                    return Word { dynamic: true, ..value };
                }
                Word::fixed(if all { value.text.replace(from, to) } else { value.text.replacen(from, to, 1) })
            }
            "#" | "%" => {
                let operand = self.word(text.trim_start_matches(['#', '%']), context);
                if operand.dynamic || operand.text.contains(['*', '?', '[']) {
                    return Word { dynamic: true, ..value };
                }
                let cut = if sign == "#" {
                    value.text.strip_prefix(&operand.text)
                } else {
                    value.text.strip_suffix(&operand.text)
                };
                Word::fixed(cut.unwrap_or(&value.text))
            }
            _ => Word { dynamic: true, ..value },
        }
    }
}

/// `${x:from:length}`.
fn substring(value: &Word, range: &str) -> Word {
    let (from, length) = range.split_once(':').unwrap_or((range, ""));
    let count = value.text.chars().count();
    let Ok(from) = from.trim().parse::<i64>() else { return Word { dynamic: true, ..value.clone() } };
    let from = if from < 0 {
        count.saturating_sub(usize::try_from(from.unsigned_abs()).unwrap_or(usize::MAX))
    } else {
        usize::try_from(from).unwrap_or(usize::MAX)
    };
    let length = match length.trim() {
        "" => count,
        text => match text.parse::<i64>() {
            Ok(length) if length >= 0 => usize::try_from(length).unwrap_or(usize::MAX),
            Ok(length) => {
                count.saturating_sub(from).saturating_sub(usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX))
            }
            Err(_) => return Word { dynamic: true, ..value.clone() },
        },
    };
    Word::fixed(value.text.chars().skip(from).take(length).collect::<String>())
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
