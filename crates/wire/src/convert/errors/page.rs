//! The words of an error body that is no JSON: a proxy's page, a line of text, or nothing.

/// No error says anything useful beyond this.
const MAX_CHARS: usize = 2000;

/// So much of a page is looked at.
const MAX_BYTES: usize = 64 << 10;

/// What the body says, for a person, on one line where it is HTML.
pub(super) fn words(body: &[u8], status: u16) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_BYTES)]);
    let text = text.trim();
    let said = if looks_like_html(text) { without_tags(text) } else { text.to_owned() };
    if said.is_empty() {
        return format!("the upstream answered {status} without a message");
    }
    match said.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

fn looks_like_html(text: &str) -> bool {
    let head = text.get(..text.len().min(512)).unwrap_or(text).to_ascii_lowercase();
    head.starts_with('<') && (head.contains("<html") || head.contains("<!doctype") || head.contains("<head"))
}

/// The text between tags, white space collapsed; what stands in `script` and `style` is no text.
fn without_tags(html: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.extend(rest[..open].split_whitespace());
        let tag = &rest[open..];
        let lower = tag.get(..8).unwrap_or(tag).to_ascii_lowercase();
        let hidden = ["script", "style"].into_iter().find(|name| lower[1..].starts_with(name));
        let end = match hidden {
            Some(name) => tag.to_ascii_lowercase().find(&format!("</{name}")).unwrap_or(tag.len()),
            None => 0,
        };
        rest = tag[end..].find('>').map_or("", |close| &tag[end + close + 1..]);
    }
    out.extend(rest.split_whitespace());
    out.join(" ")
}
