//! What `serve` prints when it is ready: where things are, what a client needs, and which doors are open.

use std::fmt::Write as _;

use luthien_gateway::data_dir::DataDir;

use crate::assembly::{Loaded, Running};
use crate::config::without_password;
use crate::terminal::visible_line;

/// The text; its last line says that the gateway listens.
pub(super) fn text(loaded: &Loaded, folder: &DataDir, running: &Running) -> String {
    let base = running.base();
    let file = loaded.settings.file.as_ref();
    let settings =
        file.map_or_else(|| "flags, environment and defaults; no luthien.yaml".to_owned(), |f| f.display().to_string());
    let admin = if running.keys().admin_is_set {
        "as set by ADMIN_API_KEY".to_owned()
    } else {
        folder.admin_key_file().display().to_string()
    };
    let mut out = format!("luthien {}\n\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("address", base.clone()),
        ("settings", settings),
        ("data", folder.path().display().to_string()),
        ("database", without_password(&loaded.database())),
        ("policy", running.policy()),
        ("admin key", admin),
    ] {
        let _ = writeln!(out, "  {name:<10} {}", visible_line(&value));
    }
    let _ = write!(
        out,
        "\nPoint a client here:\n\n  ANTHROPIC_BASE_URL={base}\n  OPENAI_BASE_URL={base}/v1\n\nWho gets in:\n\n"
    );
    let notes = running.access_notes();
    for note in running.policy_notes().into_iter().chain(notes) {
        let mark = if note.warning { "! " } else { "  " };
        let _ = writeln!(out, "{mark}{}", visible_line(&note.text));
    }
    let _ = write!(
        out,
        "  admin and history: holders of the admin key, from this machine as from any other\n\nlistening on {base}\n"
    );
    out
}
