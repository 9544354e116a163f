//! Reads a `.env` file as the older proxies did: quotes, `export`, comments, values of several lines, `${NAME}`.

/// One variable of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// In their order; of several with one name the last counts.
    pub(super) variables: Vec<Variable>,
    /// Lines that are none, by their numbers.
    pub(super) unreadable: Vec<usize>,
}

/// Reads the text of a file.
pub(super) fn read(text: &str) -> Contents {
    let mut contents = Contents::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut rest = text.as_str();
    let mut line = 1;
    while !rest.is_empty() {
        let before = rest;
        match binding(&mut rest) {
            Ok(Some((name, value))) => {
                let value = filled(&value, &contents.variables);
                contents.variables.retain(|earlier| earlier.name != name);
                contents.variables.push(Variable { name, value });
            }
            Ok(None) => {}
            Err(()) => {
                contents.unreadable.push(line);
                rest = before.split_once('\n').map_or("", |(_, after)| after);
            }
        }
        line += before[..before.len() - rest.len()].matches('\n').count();
    }
    contents
}

/// One line, or several where a quoted value goes on; nothing for an empty one or a comment.
fn binding(rest: &mut &str) -> Result<Option<(String, String)>, ()> {
    *rest = rest.trim_start_matches([' ', '\t']);
    if rest.is_empty() || rest.starts_with(['\n', '#']) {
        *rest = rest.split_once('\n').map_or("", |(_, after)| after);
        return Ok(None);
    }
    if let Some(after) = rest.strip_prefix("export").filter(|after| after.starts_with([' ', '\t'])) {
        *rest = after.trim_start_matches([' ', '\t']);
    }
    let end = rest.find(['=', '#', ' ', '\t', '\n']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let after = after.trim_start_matches([' ', '\t']);
    let Some(after) = after.strip_prefix('=').filter(|_| !name.is_empty()) else { return Err(()) };
    let name = name.trim_matches('\'').to_owned();
    let after = after.trim_start_matches([' ', '\t']);
    let value = if let Some(quote @ ('\'' | '"')) = after.chars().next() {
        let (value, after) = quoted(&after[1..], quote).ok_or(())?;
        let (left, next) = after.split_once('\n').unwrap_or((after, ""));
        let left = left.trim();
        if !left.is_empty() && !left.starts_with('#') {
            return Err(());
        }
        *rest = next;
        value
    } else {
        let (value, next) = after.split_once('\n').unwrap_or((after, ""));
        *rest = next;
        bare(value).to_owned()
    };
    Ok(Some((name, value)))
}

/// A value without quotes: to a comment that has a space before it.
fn bare(value: &str) -> &str {
    let comment = value.char_indices().find(|&(at, c)| c == '#' && (at == 0 || value[..at].ends_with([' ', '\t'])));
    value[..comment.map_or(value.len(), |(at, _)| at)].trim_end()
}

/// A value up to its closing quote, and what stands behind that.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((value, &text[at + 1..]));
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        let (_, escaped) = chars.next()?;
        match (quote, escaped) {
            (_, '\\' | '\'') => value.push(escaped),
            ('"', '"') => value.push('"'),
            ('"', 'n') => value.push('\n'),
            ('"', 'r') => value.push('\r'),
            ('"', 't') => value.push('\t'),
            _ => value.extend(['\\', escaped]),
        }
    }
    None
}

/// `${NAME}` and `${NAME:-default}` by what stands before in the file; others stay as they are.
fn filled(value: &str, before: &[Variable]) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let Some(end) = inside.find('}') else { break };
        let (name, default) = match inside[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        let known = before.iter().find(|variable| variable.name == name).map(|variable| variable.value.as_str());
        match known.or(default) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[at..at + end + 3]),
        }
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("A=1", "1")]
    #[case("export A = 1  ", "1")]
    #[case("A=a b # told", "a b")]
    #[case("A=a#b", "a#b")]
    #[case("A=", "")]
    #[case("A='a # \"b\" \\n'", "a # \"b\" \\n")]
    #[case("A=\"a\\n\\\"b\\\" # c\" # d", "a\n\"b\" # c")]
    #[case("A=\"-----BEGIN\nline\n-----END\"", "-----BEGIN\nline\n-----END")]
    #[case("A='it\\'s'", "it's")]
    #[case("B=x\nA=${B}/${C:-y}/${D}", "x/y/${D}")]
    #[case("A=1\nA=2", "2")]
    #[case("A=1\r\n", "1")]
    #[case("A=pa$$word$1", "pa$$word$1")]
    fn a_value_is_read_as_the_older_proxies_read_it(#[case] text: &str, #[case] value: &str) {
        let contents = read(text);
        let last = contents.variables.last().unwrap();
        assert_eq!((last.name.as_str(), last.value.as_str()), ("A", value));
        assert_eq!(contents.unreadable, [0_usize; 0]);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line_and_the_rest_is_read() {
        let contents = read("# a comment\n\nA=\"x\ny\"\nno binding\nB='open\nC=3\n");
        let names: Vec<&str> = contents.variables.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!((names, contents.unreadable), (vec!["A", "C"], vec![5, 6]));
    }
}
