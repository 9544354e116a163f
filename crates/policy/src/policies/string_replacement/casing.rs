//! The case of a replacement, taken from the text that it replaces.

/// `to` in the case of `source`: all upper, all lower, or title; else letter by letter, and lower beyond the source's end.
/// A source without letters that have a case leaves `to` as it is.
pub(super) fn follow(source: &str, to: &str) -> String {
    let upper = source.chars().any(char::is_uppercase);
    let lower = source.chars().any(char::is_lowercase);
    match (upper, lower) {
        (false, false) => to.to_owned(),
        (true, false) => to.to_uppercase(),
        (false, true) => to.to_lowercase(),
        (true, true) if is_title(source) => title(to),
        (true, true) => by_letter(source, to),
    }
}

fn is_title(source: &str) -> bool {
    let mut chars = source.chars();
    chars.next().is_some_and(char::is_uppercase) && !chars.any(char::is_uppercase)
}

fn title(to: &str) -> String {
    let mut chars = to.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.flat_map(char::to_lowercase)).collect()
}

fn by_letter(source: &str, to: &str) -> String {
    let mut shape = source.chars();
    let mut out = String::with_capacity(to.len());
    for c in to.chars() {
        match shape.next() {
            Some(like) if like.is_uppercase() => out.extend(c.to_uppercase()),
            Some(like) if !like.is_lowercase() => out.push(c),
            _ => out.extend(c.to_lowercase()),
        }
    }
    out
}
