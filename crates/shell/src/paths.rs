//! Paths in one form, so that `/etc/../etc//passwd` is `/etc/passwd`.

/// The path without `.`, `..` and doubled slashes, below `folder` where it is relative and the folder known.
pub(crate) fn normalise(path: &str, folder: Option<&str>) -> String {
    let path = path.strip_prefix("file://").unwrap_or(path);
    match folder {
        Some(folder) if !rooted(path) => tidy(&format!("{folder}/{path}")),
        _ => tidy(path),
    }
}

/// Whether a path says by itself where it begins.
pub(crate) fn rooted(path: &str) -> bool {
    path.starts_with(['/', '~', '$', '`'])
}

fn tidy(path: &str) -> String {
    let plain = !path.contains("//")
        && !path.contains("/.")
        && !path.starts_with('.')
        && (path.len() < 2 || !path.ends_with('/'));
    if plain {
        return path.to_owned();
    }
    // A substitution within a path may hold slashes of its own.
    if path.contains("$(") || path.contains('`') {
        return path.to_owned();
    }
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last().copied()) {
            ("" | ".", _) => {}
            ("..", None) if absolute => {}
            ("..", None | Some("..")) => parts.push(".."),
            ("..", Some(last)) if last.starts_with(['~', '$']) || last.contains('*') => parts.push(".."),
            ("..", Some(_)) => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// The last part of a path.
pub(crate) fn basename(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}
