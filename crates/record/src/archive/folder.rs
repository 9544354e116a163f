//! An archive in a folder: a file is there whole, and on the disk, or not at all.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use super::{Archive, ArchiveError, Put};
use crate::private::private;

/// What a file's name ends in until it is whole.
const UNFINISHED: &str = ".part";

/// Keeps files in a folder, readable for their owner alone.
#[derive(Clone, Debug)]
pub struct FolderArchive {
    folder: PathBuf,
}

impl FolderArchive {
    /// In this folder, which is made when the first file comes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder).await?;
        let (unfinished, whole) = (self.folder.join(format!("{name}{UNFINISHED}")), self.folder.join(name));
        if fs::try_exists(&whole).await? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let written = fill(&unfinished, bytes).await;
        if written.is_err() {
            // What is wrong is said already.
            let _ = fs::remove_file(&unfinished).await;
        }
        written?;
        fs::rename(&unfinished, &whole).await?;
        keep_names(&self.folder).await
    }
}

impl Archive for FolderArchive {
    fn put<'a>(&'a self, name: &'a str, bytes: Bytes) -> Put<'a> {
        Box::pin(async move {
            self.write(name, &bytes).await.map_err(|error| ArchiveError {
                file: name.to_owned(),
                place: self.place(),
                why: format!("{error}; ARCHIVE_DIR must be a folder that can be written to, with room"),
            })
        })
    }

    fn place(&self) -> String {
        self.folder.display().to_string()
    }
}

async fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::from(private()).write(true).create_new(true).open(path).await?;
    file.write_all(bytes).await?;
    file.sync_all().await
}

/// A rename is on the disk when the folder is.
#[cfg(unix)]
async fn keep_names(folder: &Path) -> io::Result<()> {
    File::open(folder).await?.sync_all().await
}

/// Elsewhere folders cannot be opened.
#[cfg(not(unix))]
async fn keep_names(_: &Path) -> io::Result<()> {
    Ok(())
}
