//! Commands whose arguments mean files here or elsewhere by their form: `scp`, `rsync`, `tar`.

use crate::{
    analysis::{Kind, Object, Via, Word},
    options::{self, Reading},
    tables,
    walk::{Context, Walker},
};

pub(super) fn effects(walker: &mut Walker, command: usize, name: &str, arguments: &[Word], context: &Context) {
    match name {
        "scp" | "rsync" | "rcp" => remote(walker, command, name, arguments),
        "tar" | "bsdtar" | "gtar" => tar(walker, command, arguments, context),
        _ => {}
    }
}

/// `from… to`, each of which may be `host:path`.
fn remote(walker: &mut Walker, command: usize, name: &str, arguments: &[Word]) {
    let values = tables::entry(name).map(|entry| entry.values.as_slice()).unwrap_or_default();
    let given = options::read(arguments, &Reading { values: [values, &[]], long: false, most: usize::MAX });
    let Some((to, from)) = given.operands.split_last() else { return };
    let recursive = given.has("-r") || given.has("-a") || given.has("--recursive") || given.has("--archive");
    for word in from {
        match host(&word.text) {
            Some(_) => walker.effect_on(command, Kind::Network, Object::Host, word),
            None => walker.add_with(command, Kind::Read, Object::File, word, recursive, false),
        }
    }
    if host(&to.text).is_some() {
        walker.effect_on(command, Kind::Network, Object::Host, to);
        walker.effect_on(command, Kind::Send, Object::Host, to);
    } else if !from.is_empty() {
        walker.add_with(command, Kind::Write, Object::File, to, recursive, false);
    }
    if given.options.iter().any(|option| option.name.starts_with("--del")) {
        walker.add_with(command, Kind::Delete, Object::File, to, true, given.has("--force"));
    }
    if given.has("--remove-source-files") {
        for word in from {
            walker.add_with(command, Kind::Delete, Object::File, word, true, false);
        }
    }
}

/// The host of `host:path` or a URL.
fn host(text: &str) -> Option<&str> {
    if let Some((_, rest)) = text.split_once("://") {
        return Some(rest.split('/').next().unwrap_or(rest));
    }
    let (host, _) = text.split_once(':')?;
    (!host.contains('/') && !host.is_empty()).then_some(host)
}

/// `tar`, whose mode may be letters without a dash.
fn tar(walker: &mut Walker, command: usize, arguments: &[Word], context: &Context) {
    let mut words = arguments.to_vec();
    if let Some(first) = words.first_mut()
        && !first.text.starts_with('-')
        && !first.text.is_empty()
        && first.text.bytes().all(|byte| byte.is_ascii_alphabetic())
    {
        first.text.insert(0, '-');
    }
    let values = [
        "-f",
        "-C",
        "-T",
        "-X",
        "--file",
        "--directory",
        "--exclude",
        "--files-from",
        "--to-command",
        "-I",
        "--use-compress-program",
        "--checkpoint-action",
    ];
    let given = options::read(&words, &Reading { values: [&values, &[]], long: false, most: usize::MAX });
    let on = |walker: &mut Walker, kind: Kind, object: Object, options: &[&str]| {
        for value in options.iter().flat_map(|option| given.values(option)) {
            walker.add_with(
                command,
                kind,
                object,
                &Word { text: value.text.to_owned(), ..value.word.clone() },
                true,
                false,
            );
        }
    };
    if ["-c", "-r", "-u", "-A", "--create", "--append", "--update"].iter().any(|option| given.has(option)) {
        on(walker, Kind::Write, Object::File, &["-f", "--file"]);
        for word in &given.operands {
            walker.add_with(command, Kind::Read, Object::File, word, true, false);
        }
        if given.has("--remove-files") {
            for word in &given.operands {
                walker.add_with(command, Kind::Delete, Object::File, word, true, true);
            }
        }
    } else {
        on(walker, Kind::Read, Object::File, &["-f", "--file"]);
        if given.has("-x") || given.has("--extract") || given.has("--get") {
            on(walker, Kind::Write, Object::File, &["-C", "--directory"]);
        }
    }
    let programs = ["--to-command", "-I", "--use-compress-program", "--checkpoint-action"];
    for option in given.options.iter().filter(|option| programs.contains(&option.name)) {
        let text = option.value.map_or("", |value| value.text);
        let text = if option.name == "--checkpoint-action" { text.strip_prefix("exec=") } else { Some(text) };
        if let Some(text) = text {
            walker.add(command, Kind::Execute, Object::Code, Some(text.to_owned()), false);
            walker.shell_text(text, &[], Via::Hook, context);
        }
    }
}
