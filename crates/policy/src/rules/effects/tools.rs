//! What the tools of known agents do to files and hosts, by their names and arguments.

use luthien_shell::{Analysis, Effect, Kind, Object};
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
    &["file_path", "path", "notebook_path", "filename", "file", "target_file", "filePath", "absolute_path"];

const TOOLS: &[Tool] = &[
    Tool {
        names: &["Read", "NotebookRead", "read_file", "view", "view_image", "cat", "open_file"],
        kinds: &[Kind::Read],
        object: Object::File,
        fields: PATHS,
        recursive: false,
    },
    Tool {
        names: &["Grep", "Glob", "LS", "list_dir", "list_directory", "grep", "glob", "search_files", "ls", "find"],
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
            "write",
            "edit",
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
        names: &["WebFetch", "web_fetch", "fetch", "webfetch", "fetch_url"],
        kinds: &[Kind::Network],
        object: Object::Host,
        fields: &["url", "uri"],
        recursive: false,
    },
];

/// The tools of agents that write patches: the files stand in the patch.
const PATCHES: &[&str] = &["apply_patch", "patch"];

impl Effects {
    /// Of a tool that is no shell. Nothing is known of most.
    pub(crate) fn of_tool(call: &ToolCall) -> Self {
        let Ok(arguments) = &call.arguments else { return Self::default() };
        let mut effects = Vec::new();
        for tool in TOOLS.iter().filter(|tool| tool.names.contains(&call.name.as_str())) {
            for target in tool.fields.iter().filter_map(|field| arguments.get(*field)?.as_str()) {
                for &kind in tool.kinds {
                    effects.push(effect(kind, tool.object, target, tool.recursive));
                }
            }
        }
        if PATCHES.contains(&call.name.as_str()) {
            let mut texts = Vec::new();
            strings(arguments, &mut texts);
            effects.extend(texts.into_iter().flat_map(str::lines).filter_map(patched));
        }
        Self::of(Analysis { effects, parsed: true, ..Analysis::default() })
    }
}

fn effect(kind: Kind, object: Object, target: &str, recursive: bool) -> Effect {
    let target = if object == Object::File { normalised(target).into_owned() } else { target.to_owned() };
    Effect { kind, object, target: Some(target), dynamic: false, recursive, force: false, command: 0 }
}

/// The file that a patch's line names.
fn patched(line: &str) -> Option<Effect> {
    let marks = [
        ("*** Add File: ", Kind::Write),
        ("*** Update File: ", Kind::Write),
        ("*** Move to: ", Kind::Write),
        ("*** Delete File: ", Kind::Delete),
        ("+++ ", Kind::Write),
    ];
    let (path, kind) = marks.iter().find_map(|(mark, kind)| Some((line.strip_prefix(mark)?, *kind)))?;
    let path = path.trim().trim_start_matches("b/");
    (path != "/dev/null").then(|| effect(kind, Object::File, path, false))
}

fn strings<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(members) => members.values().for_each(|member| strings(member, out)),
        _ => {}
    }
}
