//! Where programs and folders are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A program of the search path.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The folder with PostgreSQL's programs: the newest of Debian's, which its packages keep out of the search path, or else
/// the one in the search path.
pub(crate) fn postgres() -> io::Result<PathBuf> {
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let folders = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = folders
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| folder.join("bin/postgres").is_file() && folder.join("bin/psql").is_file())
        .max_by_key(|folder| version(folder));
    let found = newest.map(|folder| folder.join("bin")).or_else(|| {
        // A link, as some systems have it, leads to where the other programs are.
        fs::canonicalize(in_path("postgres")?).ok()?.parent().map(Path::to_path_buf)
    });
    found.ok_or_else(|| missing("PostgreSQL", "postgresql"))
}

/// The Redis server, or Valkey's, which is the same to its clients.
pub(crate) fn redis() -> io::Result<PathBuf> {
    let found = in_path("redis-server").or_else(|| in_path("valkey-server"));
    found.ok_or_else(|| missing("Redis", "redis-server"))
}

/// The S3 store among the installed peers.
pub(crate) fn s3() -> io::Result<PathBuf> {
    let peers = match std::env::var_os("LUTHIEN_PEERS") {
        Some(folder) => PathBuf::from(folder),
        None => target()?.join("peers"),
    };
    let program = peers.join("s3/bin/moto_server");
    if program.is_file() {
        return Ok(program);
    }
    Err(io::Error::other(format!("{} is not there: run `cargo xtask peers`", program.display())))
}

/// Cargo's target folder, which this program was built into.
pub(crate) fn target() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    // <target>/<profile>/<program> or <target>/<profile>/deps/<test>
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    let target = profile.and_then(Path::parent).filter(|target| target.parent().is_some());
    target
        .map(Path::to_path_buf)
        .ok_or_else(|| io::Error::other(format!("{} is not inside a target folder", program.display())))
}

fn missing(what: &str, package: &str) -> io::Error {
    io::Error::other(format!("{what} is not installed: `apt-get install {package}`, or `cargo xtask test` as root"))
}
