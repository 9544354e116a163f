//! A data folder that is made once and copied for every server.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use crate::account::Account;
use crate::places;
use crate::postgres::USER;
use crate::process::output;

/// Makes a data folder at `to`, inside a folder that `account` owns.
pub(crate) fn copy(programs: &Path, account: Account, to: &Path) -> io::Result<()> {
    let version = output(Command::new(programs.join("postgres")).arg("--version"))?;
    // postgres (PostgreSQL) 15.8 …
    let version = version.split_whitespace().nth(2).unwrap_or("unknown");
    let folder = places::target()?.join("tmp");
    fs::create_dir_all(&folder)?;
    let name = format!("postgres-{version}-{}", account.name());
    let template = folder.join(&name);
    if !template.is_dir() {
        let lock = File::create(folder.join(format!("{name}.lock")))?;
        lock.lock()?;
        make(programs, account, to, &template)?;
    }
    fs::remove_dir_all(to)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    tree(&template, to)
}

/// Makes the template, unless another process did so while this one waited. It is whole once it has its name.
fn make(programs: &Path, account: Account, scratch: &Path, template: &Path) -> io::Result<()> {
    if template.is_dir() {
        return Ok(());
    }
    // In the scratch folder, since the account may have no way into the target folder.
    let mut initdb = account.command(&programs.join("initdb"));
    initdb.args(["--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--wal-segsize", "1"]);
    initdb.args(["--username", USER, "--pgdata"]).arg(scratch);
    output(initdb.current_dir(scratch.parent().unwrap_or(Path::new("/"))))?;
    let mut partial = template.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    if partial.exists() {
        fs::remove_dir_all(partial)?;
    }
    tree(scratch, partial)?;
    fs::rename(partial, template)
}

/// Copies a folder with its owners and modes.
fn tree(from: &Path, to: &Path) -> io::Result<()> {
    output(Command::new("cp").arg("-a").arg(from).arg(to)).map(drop)
}
