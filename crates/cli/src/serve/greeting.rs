//! What `serve` prints when it is ready: where things are, what a client needs, and which doors are open.

use std::fmt::Write as _;

use luthien_gateway::data_dir::DataDir;

use crate::assembly::{Loaded, Running};
use crate::config::without_password;
use crate::terminal::visible_line;

/// How to log in with a browser.
fn login(link: Option<&str>) -> String {
    match link {
        Some(link) => format!("Log in with a browser, once and within ten minutes:\n\n  {link}"),
        None => "Log in with a browser: `luthien login` prints a link".to_owned(),
    }
}

/// The text; its last line says that the gateway listens.
pub(super) fn text(loaded: &Loaded, folder: &DataDir, running: &Running, link: Option<&str>) -> String {
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
        "  admin and history: holders of the admin key and people with tokens of their own, from this machine as from any other\n\n{}\n\nlistening on {base}\n",
        login(link)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_told_where_there_is_one() {
        let link = "http://127.0.0.1:8000/login?token=ltl-0";
        assert!(login(Some(link)).ends_with(&format!("\n\n  {link}")));
        assert!(!login(None).contains("token"));
    }
}
