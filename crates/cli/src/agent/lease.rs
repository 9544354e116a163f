//! Who uses the gateway that an agent brought along: it stays until the last of them has ended.
//!
//! Every agent holds a shared lock on a file in the data folder. The one whose gateway it is ends it when it gets the file
//! for itself alone. The system drops the locks of a process that dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::failure::Failure;

/// How often a lock that another holds is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// How often before giving up on a gateway that is just starting or stopping: a minute.
const TRIES: u32 = 600;

/// A share in the gateway of this data folder.
#[derive(Debug)]
pub(super) struct Lease {
    file: File,
}

impl Lease {
    /// Takes a share. Waits while a gateway is being stopped.
    pub(super) async fn take(folder: &Path) -> Result<Self, Failure> {
        let file = open(folder, "agents.lock")?;
        held(&file, File::try_lock_shared, folder).await?;
        Ok(Self { file })
    }

    /// Whether nobody else has a share. If so, nobody gets one until the lease is dropped.
    pub(super) fn alone(&self) -> bool {
        // A lock is not raised in one step everywhere: the share is given back first.
        self.file.unlock().is_ok() && self.file.try_lock().is_ok()
    }

    /// Resolves when nobody else has a share.
    pub(super) async fn last(&self) {
        while !self.alone() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Keeps others from starting a gateway at the same time, until it is dropped.
pub(crate) async fn start(folder: &Path) -> Result<File, Failure> {
    let file = open(folder, "start.lock")?;
    held(&file, File::try_lock, folder).await?;
    Ok(file)
}

fn open(folder: &Path, name: &str) -> Result<File, Failure> {
    let path = folder.join(name);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    file.map_err(|e| Failure::new(format!("cannot open {}: {e}", path.display())))
}

async fn held(file: &File, lock: impl Fn(&File) -> Result<(), TryLockError>, folder: &Path) -> Result<(), Failure> {
    for _ in 0..TRIES {
        match lock(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(AGAIN).await,
            Err(TryLockError::Error(e)) => {
                return Err(Failure::new(format!("cannot lock the data folder {}: {e}", folder.display())));
            }
        }
    }
    Err(Failure::new(format!("a gateway has been starting or stopping on {} for a minute", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_one_has_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Lease::take(folder.path()).await.unwrap();
        let guest = Lease::take(folder.path()).await.unwrap();
        assert!(!owner.alone());
        drop(guest);
        assert!(owner.alone());
        let late = open(folder.path(), "agents.lock").unwrap();
        assert!(late.try_lock_shared().is_err());
        drop(owner);
        assert!(late.try_lock_shared().is_ok());
    }
}
