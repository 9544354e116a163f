//! What this machine has: the data folder, the disk, the journal, the gateway that runs or the port for it, keys, files.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use luthien_gateway::client_keys::ClientKeys;
use luthien_gateway::data_dir::{DataDir, Keys};
use luthien_gateway::posture;
use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::assembly::Loaded;
use crate::output::count;
use crate::process::Standing;
use crate::{handles, loopback};

/// With less free space than this nothing can be relied on.
const LEAST_FREE: u64 = 256 << 20;

/// Whether the data folder is there, can be written, and is this user's alone.
pub(super) fn folder(path: &Path) -> Finding {
    const CHECK: &str = "data folder";
    let shown = path.display();
    let about = match std::fs::metadata(path) {
        Ok(about) if about.is_dir() => about,
        Ok(_) => return Finding::fail(CHECK, format!("{shown} is no folder"), "name another with LUTHIEN_DATA_DIR"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return missing(path),
        Err(error) => return Finding::fail(CHECK, format!("{shown}: {error}"), "name another with LUTHIEN_DATA_DIR"),
    };
    let own = rustix::process::geteuid().as_raw();
    if let Err(error) = tempfile::Builder::new().prefix(".doctor").tempfile_in(path) {
        let mend = if about.uid() == own {
            format!("chmod u+rwx {shown}; on a disk for reading only, name another folder with LUTHIEN_DATA_DIR")
        } else {
            format!(
                "it belongs to the user {}: run this as that user, or name another folder with LUTHIEN_DATA_DIR",
                about.uid()
            )
        };
        return Finding::fail(CHECK, format!("{shown} cannot be written: {error}"), mend);
    }
    if about.mode() & 0o077 != 0 {
        return Finding::warn(
            CHECK,
            format!(
                "other users of this machine can look into {shown} (mode {:o}), where keys and everything recorded are",
                about.mode() & 0o777
            ),
            format!("chmod 700 {shown}"),
        );
    }
    if about.uid() != own {
        return Finding::warn(
            CHECK,
            format!("{shown} belongs to the user {}, and this is the user {own}", about.uid()),
            "run the gateway and this command as one user",
        );
    }
    Finding::ok(
        CHECK,
        format!("{shown}, for this user alone; an agent under the same user can read it too (docs/security.md)"),
    )
}

/// One that is not there yet: whether it can be made.
fn missing(path: &Path) -> Finding {
    const CHECK: &str = "data folder";
    let above = path.ancestors().skip(1).find(|folder| folder.is_dir());
    let can = above.is_some_and(|folder| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok());
    let shown = path.display();
    if can {
        Finding::ok(CHECK, format!("{shown} is not there yet; the first start makes it"))
    } else {
        Finding::fail(CHECK, format!("{shown} is not there and cannot be made"), "name another with LUTHIEN_DATA_DIR")
    }
}

/// Whether the disk has room for what the journal may take.
pub(super) fn disk(loaded: &Loaded) -> Option<Finding> {
    const CHECK: &str = "disk";
    let folder = loaded.folder();
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let about = rustix::fs::statvfs(there).ok()?;
    let (free, limit) = (about.f_bavail.saturating_mul(about.f_frsize), loaded.settings.journal_max_bytes.0);
    let text = format!("{} free", size(free));
    Some(if free < LEAST_FREE {
        Finding::fail(CHECK, text, "make room: without it records are lost, and the database cannot grow")
    } else if free < limit {
        let text =
            format!("{text}, less than the {} that the journal may take where the database is away", size(limit));
        Finding::warn(CHECK, text, "make room, or lower JOURNAL_MAX_BYTES")
    } else {
        Finding::ok(CHECK, text)
    })
}

/// What waits in the journal, and what could not be stored.
pub(super) fn journal(folder: &Path) -> Option<Finding> {
    const CHECK: &str = "journal";
    let folder = folder.join("journal");
    let entries: Vec<_> = std::fs::read_dir(&folder).ok()?.flatten().collect();
    let named = |end: &str| {
        let ends = |path: &Path| path.extension().is_some_and(|found| found == end);
        entries.iter().filter(|entry| ends(&entry.path())).count() as u64
    };
    let bytes: u64 = entries.iter().filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum();
    let (refused, damaged) = (named("refused"), named("damaged"));
    let text = format!("{} on disk", size(bytes));
    Some(if refused + damaged > 0 {
        let (refused, damaged) = (count(refused, "refused record"), count(damaged, "damaged segment"));
        Finding::warn(
            CHECK,
            format!("{text}, with {refused} and {damaged}"),
            format!(
                "look at them in {}; renamed to a number and `.journal`, each is tried again at the next start",
                folder.display()
            ),
        )
    } else {
        Finding::ok(CHECK, text)
    })
}

/// The gateway that runs; or whether its port is free.
pub(super) async fn gateway(loaded: &Loaded) -> Finding {
    const CHECK: &str = "gateway";
    let note = DataDir::at(&loaded.folder()).running().filter(|note| !matches!(Standing::of(note), Standing::Gone));
    let Some(note) = note else { return port(loaded).await };
    let url = note.url();
    if !loopback::alive(&url).await {
        return Finding::fail(
            CHECK,
            format!("it runs (pid {}) and does not answer at {url}", note.pid),
            "`luthien logs` may say why; `luthien restart --now` starts it anew",
        );
    }
    let own = env!("CARGO_PKG_VERSION");
    if note.version == own {
        Finding::ok(CHECK, format!("runs at {url} (pid {}, version {own})", note.pid))
    } else {
        let text = format!("runs at {url} in version {}, and this command is version {own}", note.version);
        Finding::warn(CHECK, text, "`luthien restart` starts this version")
    }
}

async fn port(loaded: &Loaded) -> Finding {
    const CHECK: &str = "gateway";
    let (host, port) = (loaded.settings.host.trim_matches(['[', ']']), loaded.settings.port);
    match tokio::net::TcpListener::bind((host, port)).await {
        Ok(_) => Finding::ok(CHECK, format!("none runs; {host}:{port} is free for it")),
        Err(error) => Finding::fail(
            CHECK,
            format!("none runs, and {host}:{port} is not to be had: {error}"),
            "stop what uses it (`ss -ltnp` names it), or choose another port with GATEWAY_PORT",
        ),
    }
}

/// Keys that are easily guessed, and doors that stand open.
pub(super) fn keys(loaded: &Loaded) -> Vec<Finding> {
    const CHECK: &str = "access";
    let set = loaded.settings.admin_api_key.clone();
    let admin_is_set = set.is_some();
    // Without one, the first start makes a good one.
    let Some(admin) = set.or_else(|| DataDir::at(&loaded.folder()).admin_key()) else {
        return vec![Finding::ok(CHECK, "the first start makes an admin key")];
    };
    let keys = Keys { admin, admin_is_set, identity: [0; 32], exposed: None };
    let notes = posture::posture(&loaded.settings, &keys, &ClientKeys::default());
    // Which keys were given out is not looked at, so nothing is said of who has none.
    let warnings: Vec<Finding> = notes
        .into_iter()
        .filter(|note| note.warning && !note.text.starts_with("model traffic"))
        .map(|note| Finding::warn(CHECK, note.text, "docs/security.md says what stands behind this"))
        .collect();
    if warnings.is_empty() { vec![Finding::ok(CHECK, "no key looks easily guessed")] } else { warnings }
}

/// Whether this process may open as many files as connections need.
pub(super) fn files(loaded: &Loaded) -> Finding {
    const CHECK: &str = "open files";
    let wanted = loaded.settings.max_connections;
    let Some(most) = getrlimit(Resource::Nofile).maximum else { return Finding::ok(CHECK, "no limit") };
    let connections = handles::room(most, wanted);
    if connections < wanted {
        Finding::warn(
            CHECK,
            format!("{most} are allowed, enough for {connections} connections instead of {wanted} (MAX_CONNECTIONS)"),
            "raise the hard limit: `LimitNOFILE=` for systemd, `--ulimit nofile=` for a container; or lower MAX_CONNECTIONS",
        )
    } else {
        Finding::ok(CHECK, format!("{most} are allowed"))
    }
}

/// `512 MiB`, `1.4 GiB`.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut number, mut unit) = (bytes as f64, 0);
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{number:.1} {}", UNITS[unit]) }
}
