//! Who PostgreSQL runs as: it refuses to be root.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

/// An account that is not root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// The one who runs the tests.
    Own,
    /// Another, to which root steps down.
    Other { user: u32, group: u32 },
}

impl Account {
    /// Oneself, or for root the account `postgres`, or `nobody` where that is missing.
    pub(crate) fn choose() -> io::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self::Own);
        }
        let all = fs::read_to_string("/etc/passwd")?;
        ["postgres", "nobody"].iter().find_map(|name| entry(&all, name)).ok_or_else(|| {
            io::Error::other("PostgreSQL cannot run as root, and there is no account `postgres` or `nobody`")
        })
    }

    /// A command that runs `program` as this account.
    pub(crate) fn command(self, program: &Path) -> Command {
        match self {
            Self::Own => Command::new(program),
            Self::Other { user, group } => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={group}"))
                    .arg("--clear-groups")
                    .arg(program);
                command
            }
        }
    }

    /// Gives it a folder.
    pub(crate) fn own(self, folder: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { user, group } => chown(folder, Some(user), Some(group)),
        }
    }

    /// A name for what only this account can use.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Own => geteuid().as_raw().to_string(),
            Self::Other { user, .. } => user.to_string(),
        }
    }
}

fn entry(all: &str, name: &str) -> Option<Account> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let found = all.lines().map(fields).find(|fields| fields.first().is_some_and(|first| first == name))?;
    Some(Account::Other { user: found.get(2)?.parse().ok()?, group: found.get(3)?.parse().ok()? })
}
