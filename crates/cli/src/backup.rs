//! `luthien backup` and `luthien restore`: the record in one file, and back.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use luthien_gateway::clock::Clock;
use luthien_record::backup::{self, About, Header, KeyFile};
use serde_json::json;

use crate::archive;
use crate::args::{BackupArgs, RestoreArgs};
use crate::assembly::Loaded;
use crate::audit;
use crate::failure::Failure;
use crate::output::{count, print};
use crate::progress::Progress;
use crate::terminal::visible_line;

/// The data folder's key files end with this.
const KEY: &str = "key";

/// Writes a backup.
pub(crate) async fn backup(args: BackupArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_record(&args.record)?;
    let now = Clock::system().now();
    let path = if args.place.is_dir() { args.place.join(name(now)) } else { args.place };
    let keys = if args.with_keys { keys(&loaded.folder())? } else { Vec::new() };
    let about = About { version: env!("CARGO_PKG_VERSION").into(), now, keys };
    let mut progress = Progress::new("rows");
    let told = |done, of| progress.show(done, of);
    let header = backup::backup(&loaded.database(), loaded.database_options(), &path, about, told).await;
    progress.end();
    let header = header.map_err(|e| Failure::new(e.to_string()))?;
    if args.json {
        print(&format!("{:#}\n", json!({"file": path, "backup": header})))?;
    } else {
        print(&made(&path, &header))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Restores one.
pub(crate) async fn restore(args: RestoreArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_record(&args.record)?;
    let folder = loaded.open_folder()?;
    if loaded.running_gateway().await.is_some() {
        return Err(Failure::new(format!(
            "a gateway runs on the data folder {}: stop it, then restore",
            folder.path().display()
        )));
    }
    let _alone = alone(folder.path())?;
    let now = Clock::system().now();
    let mut progress = Progress::new("rows");
    let told = |done, of| progress.show(done, of);
    let (url, options) = (loaded.database(), loaded.database_options());
    let restored = backup::restore(&args.file, &url, options, args.replace, now, told).await;
    progress.end();
    let restored = restored.map_err(|e| Failure::new(e.to_string()))?;
    note_restore(&loaded, &args.file).await;
    let keys = if args.with_keys { put_keys(folder.path(), &restored.keys)? } else { Vec::new() };
    if args.json {
        print(&format!("{:#}\n", json!({"backup": restored.header, "kept": restored.kept, "keys": keys})))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = counts(&restored.header);
    if let Some(kept) = &restored.kept {
        let _ = writeln!(out, "The record that was there is kept: {}", visible_line(kept));
    }
    for line in keys {
        let _ = writeln!(out, "{line}");
    }
    if !restored.keys.is_empty() && !args.with_keys {
        out.push_str("The backup holds key files; --with-keys restores them too.\n");
    }
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// Notes in the record that it was restored.
async fn note_restore(loaded: &Loaded, file: &Path) {
    // One of an older schema has no audit log yet.
    if let Ok(Some(store)) = archive::open_loaded(loaded).await {
        audit::note(&store, "restore", &file.display().to_string()).await;
        store.close().await;
    }
}

/// `luthien-20261120-140509.backup`
fn name(now: Timestamp) -> String {
    now.strftime("luthien-%Y%m%d-%H%M%S.backup").to_string()
}

fn made(path: &Path, header: &Header) -> String {
    let mut out = format!("{}\n{}", path.display(), counts(header));
    if header.keys.is_empty() {
        out.push_str("No keys are in it: keep the data folder's key files apart, or use --with-keys.\n");
    } else {
        let _ = writeln!(out, "Key files in it: {}. Keep it as safe as these.", header.keys.join(", "));
    }
    out
}

fn counts(header: &Header) -> String {
    let rows = |name: &str| header.tables.iter().find(|table| table.name == name).map_or(0, |table| table.rows);
    format!(
        "{} in {}, {}, {} {}; schema {}, made by luthien {} at {}\n",
        count(rows("transactions"), "transaction"),
        count(rows("sessions"), "session"),
        count(rows("contents") + rows("nodes"), "content"),
        rows("policies"),
        if rows("policies") == 1 { "policy" } else { "policies" },
        header.migration,
        visible_line(&header.version),
        header.made_at
    )
}

/// The key files of a data folder.
fn keys(folder: &Path) -> Result<Vec<KeyFile>, Failure> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|_| path.extension().is_some_and(|end| end == KEY) && path.is_file()) {
            out.push(KeyFile { name: name.to_owned(), bytes: std::fs::read(&path)? });
        }
    }
    out.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(out)
}

/// Puts key files into a data folder; one that is there and differs is kept beside. Gives what was done, a line each.
fn put_keys(folder: &Path, keys: &[KeyFile]) -> Result<Vec<String>, Failure> {
    let mut out = Vec::new();
    for key in keys {
        // A name is a file's own and nothing else, whatever the backup says.
        let plain = Path::new(&key.name).file_name().is_some_and(|name| name == key.name.as_str());
        if !plain || Path::new(&key.name).extension().is_none_or(|end| end != KEY) {
            return Err(Failure::new(format!(
                "the backup holds a key file of a wrong name: {}",
                visible_line(&key.name)
            )));
        }
        let path = folder.join(&key.name);
        match std::fs::read(&path) {
            Ok(there) if there == key.bytes => continue,
            Ok(_) => {
                let kept = path.with_extension("key.before-restore");
                std::fs::rename(&path, &kept)?;
                out.push(format!("{} was replaced; the old one is {}", key.name, kept.display()));
            }
            Err(_) => out.push(format!("{} was restored", key.name)),
        }
        write_private(&path, &key.bytes)?;
    }
    Ok(out)
}

fn write_private(path: &PathBuf, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

/// Keeps gateways from starting on the data folder, until it is dropped.
fn alone(folder: &Path) -> Result<File, Failure> {
    let journal = folder.join("journal");
    std::fs::create_dir_all(&journal)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let lock = options.open(journal.join("lock"))?;
    lock.try_lock().map_err(|_| {
        Failure::new(format!("another luthien uses the data folder {}: stop it, then restore", folder.display()))
    })?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, bytes: &[u8]) -> KeyFile {
        KeyFile { name: name.into(), bytes: bytes.to_vec() }
    }

    #[test]
    fn keys_go_back_and_others_stay_beside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("admin.key"), "old").unwrap();
        std::fs::write(folder.path().join("luthien.db"), "data").unwrap();
        let told = put_keys(folder.path(), &[key("admin.key", b"new"), key("identity.key", b"id")]).unwrap();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("admin.key was replaced") && told[1] == "identity.key was restored", "{told:?}");
        assert_eq!(std::fs::read(folder.path().join("admin.key.before-restore")).unwrap(), b"old");
        let found: Vec<_> = keys(folder.path()).unwrap().into_iter().map(|key| (key.name, key.bytes)).collect();
        assert_eq!(found, [("admin.key".to_owned(), b"new".to_vec()), ("identity.key".to_owned(), b"id".to_vec())]);
        for wrong in ["../admin.key", "luthien.db", "a/b.key"] {
            assert!(put_keys(folder.path(), &[key(wrong, b"x")]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_folder_is_one_gateways() {
        let folder = tempfile::tempdir().unwrap();
        let _one = alone(folder.path()).unwrap();
        assert!(alone(folder.path()).unwrap_err().to_string().contains("another luthien"));
    }
}
