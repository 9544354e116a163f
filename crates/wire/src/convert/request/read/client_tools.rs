//! Anthropic's tools that the client runs: their schemas are known to its models only, so other models are told.
//!
//! Calls of them look like calls of any other tool, so an answer needs nothing to be turned back.

use serde_json::{Value, json};

use super::super::ask::{Takes, Tool};

/// The tool of this type as a function; `None` for those that the vendor runs, and for those that need a trained model.
pub(super) fn function(kind: &str, name: Option<&str>) -> Option<Tool> {
    let family = kind.rsplit_once('_').map_or(kind, |(family, _)| family);
    let (default, description, schema) = match family {
        "bash" => ("bash", "Runs a command in a shell that stays open between calls.", bash()),
        "text_editor" => ("str_replace_based_edit_tool", "Views, creates and edits text files.", editor()),
        "memory" => ("memory", "Reads and writes files in a folder that is kept between conversations.", memory()),
        _ => return None,
    };
    Some(Tool {
        name: name.unwrap_or(default).to_owned(),
        description: Some(description.to_owned()),
        takes: Takes::Json { schema: Some(schema), strict: None },
    })
}

fn bash() -> Value {
    json!({"type": "object", "properties": {
        "command": {"type": "string", "description": "The command to run. Needed unless the shell is restarted."},
        "restart": {"type": "boolean", "description": "Starts the shell anew."},
    }})
}

fn editor() -> Value {
    json!({"type": "object", "required": ["command", "path"], "properties": {
        "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
        "path": {"type": "string", "description": "The file, or for view also a folder."},
        "file_text": {"type": "string", "description": "create: what the file is to hold."},
        "old_str": {"type": "string", "description": "str_replace: the text to replace, which must occur exactly once."},
        "new_str": {"type": "string", "description": "str_replace: the new text. insert: the text to insert."},
        "insert_line": {"type": "integer", "description": "insert: the line after which to insert, 0 for the beginning."},
        "insert_text": {"type": "string", "description": "insert: the text to insert."},
        "view_range": {"type": "array", "items": {"type": "integer"}, "description": "view: first and last line, -1 for the end."},
    }})
}

fn memory() -> Value {
    json!({"type": "object", "required": ["command"], "properties": {
        "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
        "path": {"type": "string", "description": "The file or folder, below /memories."},
        "file_text": {"type": "string", "description": "create: what the file is to hold."},
        "old_str": {"type": "string", "description": "str_replace: the text to replace, which must occur exactly once."},
        "new_str": {"type": "string", "description": "str_replace: the new text."},
        "insert_line": {"type": "integer", "description": "insert: the line after which to insert, 0 for the beginning."},
        "insert_text": {"type": "string", "description": "insert: the text to insert."},
        "old_path": {"type": "string", "description": "rename: the file's old path."},
        "new_path": {"type": "string", "description": "rename: the file's new path."},
        "view_range": {"type": "array", "items": {"type": "integer"}, "description": "view: first and last line."},
    }})
}
