//! What the tools of known agents do to files and hosts, by their names and arguments.

use luthien_shell::{Analysis, Command, Effect, Kind, Object};
use luthien_wire::turn::ToolCall;
use serde_json::Value;

use super::Effects;
use crate::rules::pattern::normalised;

/// The effects of a kind of tool: its names, and the fields that say what it is about.
struct Tool {
    names: &'static [&'static str],
    kinds: &'static [Kind],
    object: Object,
    fields: &'static [&'static str],
    /// All below the path is meant.
    recursive: bool,
}

const PATHS: &[&str] =
    &["file_path", "path", "paths", "notebook_path", "filename", "file", "target_file", "filePath", "absolute_path"];

const TOOLS: &[Tool] = &[
    Tool {
        names: &[
            "Read",
            "NotebookRead",
            "read_file",
            "read_text_file",
            "read_media_file",
            "read_multiple_files",
            "view",
            "view_image",
            "cat",
            "open_file",
        ],
        kinds: &[Kind::Read],
        object: Object::File,
        fields: PATHS,
        recursive: false,
    },
    Tool {
        names: &["Grep", "Glob", "LS", "list_dir", "list_directory", "search_files", "find"],
        kinds: &[Kind::Read],
        object: Object::File,
        fields: &["path", "directory", "dir", "dir_path"],
        recursive: true,
    },
    Tool {
        names: &[
            "Write",
            "Edit",
            "MultiEdit",
            "NotebookEdit",
            "write_file",
            "create_file",
            "edit_file",
            "replace",
            "str_replace_based_edit_tool",
            "str_replace_editor",
        ],
        kinds: &[Kind::Write],
        object: Object::File,
        fields: PATHS,
        recursive: false,
    },
    Tool {
        names: &["delete_file", "remove_file"],
        kinds: &[Kind::Delete],
        object: Object::File,
        fields: PATHS,
        recursive: false,
    },
    Tool {
        names: &["WebFetch", "web_fetch", "fetch", "fetch_url"],
        kinds: &[Kind::Network],
        object: Object::Host,
        fields: &["url", "uri"],
        recursive: false,
    },
];

/// The tools of agents that write patches, and the commands that agents take for them: the files stand in the patch.
const PATCHES: &[&str] = &["apply_patch", "applypatch", "patch"];

/// Whether a call's tool is one of these, in whatever case. Servers' tools have the server's name in front: `mcp__files__read`.
pub(crate) fn is_tool(called: &str, names: &[&str]) -> bool {
    let own = called.rsplit("__").next().unwrap_or(called);
    let own = own.rsplit(['.', '/', ':']).next().unwrap_or(own);
    names.iter().any(|name| own.eq_ignore_ascii_case(name) || called.eq_ignore_ascii_case(name))
}

impl Effects {
    /// Of a tool that is no shell. Nothing is known of most.
    pub(crate) fn of_tool(call: &ToolCall) -> Self {
        let Ok(arguments) = &call.arguments else { return Self::default() };
        let mut effects = Vec::new();
        for tool in TOOLS.iter().filter(|tool| is_tool(&call.name, tool.names)) {
            let mut targets = Vec::new();
            tool.fields.iter().filter_map(|field| arguments.get(*field)).for_each(|value| strings(value, &mut targets));
            for target in targets {
                for &kind in tool.kinds {
                    effects.push(effect(kind, tool.object, target, tool.recursive));
                }
            }
        }
        if is_tool(&call.name, PATCHES) {
            let mut texts = Vec::new();
            strings(arguments, &mut texts);
            effects.extend(texts.into_iter().flat_map(|text| patched(text.lines())));
            // One file's change, as an object.
            if let (Some(kind), Some(path)) = (text(arguments, "type"), text(arguments, "path")) {
                let kind = if kind == "delete_file" { Kind::Delete } else { Kind::Write };
                effects.push(effect(kind, Object::File, path, false));
            }
        }
        Self::of(Analysis { effects, parsed: true, ..Analysis::default() })
    }

    /// With what a patch in the command does, where the command applies one: agents take such commands for their own tool.
    pub(crate) fn patching<'a>(self, lines: impl Iterator<Item = &'a str>) -> Self {
        let patches = |command: &Command| matches!(command.name.as_str(), "apply_patch" | "applypatch");
        let Some(by) = self.analysis().commands.iter().position(patches) else { return self };
        let mut analysis = self.analysis().clone();
        analysis.effects.extend(patched(lines).into_iter().map(|effect| Effect { command: by, ..effect }));
        Self::of(analysis)
    }
}

fn text<'a>(arguments: &'a Value, field: &str) -> Option<&'a str> {
    arguments.get(field)?.as_str()
}

fn effect(kind: Kind, object: Object, target: &str, recursive: bool) -> Effect {
    let target = if object == Object::File { normalised(target).into_owned() } else { target.to_owned() };
    Effect { kind, object, target: Some(target), dynamic: false, recursive, force: false, command: 0 }
}

/// The files that a patch names.
fn patched<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut before = None;
    for line in lines {
        // Agents, and `patch`, forgive blanks in front of it.
        let line = line.trim();
        if let Some((kind, path)) = section(line) {
            effects.push(effect(kind, Object::File, path, false));
        } else if let Some(path) = line.strip_prefix("--- ") {
            before = Some(file(path));
        } else if let Some(path) = line.strip_prefix("+++ ") {
            // Where nothing is left of it, the file is the one that was there before.
            let found = match (file(path), before.take()) {
                ("/dev/null", before) => before.map(|path| (Kind::Delete, path.strip_prefix("a/").unwrap_or(path))),
                (path, _) => Some((Kind::Write, path.strip_prefix("b/").unwrap_or(path))),
            };
            effects.extend(found.map(|(kind, path)| effect(kind, Object::File, path, false)));
        }
    }
    effects
}

/// A line that names a file by itself.
fn section(line: &str) -> Option<(Kind, &str)> {
    const MARKS: [(&str, Kind); 7] = [
        ("*** Add File:", Kind::Write),
        ("*** Update File:", Kind::Write),
        ("*** Move to:", Kind::Write),
        ("*** Delete File:", Kind::Delete),
        ("rename from ", Kind::Delete),
        ("rename to ", Kind::Write),
        ("copy to ", Kind::Write),
    ];
    MARKS.iter().find_map(|(mark, kind)| Some((*kind, line.strip_prefix(mark)?.trim())))
}

/// The path in a line of a diff: a time may stand behind it, and quotes around it.
fn file(rest: &str) -> &str {
    let path = rest.split('\t').next().unwrap_or(rest).trim();
    path.strip_prefix('"').and_then(|path| path.strip_suffix('"')).unwrap_or(path)
}

fn strings<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(members) => members.values().for_each(|member| strings(member, out)),
        _ => {}
    }
}
