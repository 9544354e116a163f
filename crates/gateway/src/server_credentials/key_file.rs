//! Where the keys are: in a setting, or in a file of the data folder that is made when the first credential is kept.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::keys::{BadKey, KeyRing, NoRandomness};
use crate::data_dir::{DataDirError, replace_private, secret};

/// The file's name.
pub const KEY_FILE: &str = "credentials.key";

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// `CREDENTIAL_ENCRYPTION_KEY`.
    Set(SecretString),
    /// This file.
    File(PathBuf),
}

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What is set is none.
    #[error("CREDENTIAL_ENCRYPTION_KEY cannot be used: {0}")]
    Set(BadKey),
    /// The file holds none.
    #[error("{} cannot be used: {why}; put it back from a backup. Without it the credentials that it has sealed are lost", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: BadKey,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    Folder(#[from] DataDirError),
    /// There are no random numbers.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The keys are set, and a file is to be changed.
    #[error("another rotation of {} is under way", .0.display())]
    UnderWay(PathBuf),
}

impl KeySource {
    /// The setting's, else the file's in this data folder.
    pub fn new(set: Option<&SecretString>, folder: &Path) -> Self {
        set.map_or_else(|| Self::File(folder.join(KEY_FILE)), |text| Self::Set(text.clone()))
    }

    /// The keys; `None` where no file was made yet.
    pub fn read(&self) -> Result<Option<KeyRing>, KeyError> {
        match self {
            Self::Set(text) => KeyRing::parse(text).map(Some).map_err(KeyError::Set),
            Self::File(path) => match std::fs::exists(path) {
                Ok(false) => Ok(None),
                _ => self.made().map(Some),
            },
        }
    }

    /// The keys, made where there is no file.
    pub(super) fn made(&self) -> Result<KeyRing, KeyError> {
        match self {
            Self::Set(text) => KeyRing::parse(text).map_err(KeyError::Set),
            Self::File(path) => {
                let text = secret(path, KeyRing::random)?;
                KeyRing::parse(&text).map_err(|why| KeyError::File { path: path.clone(), why })
            }
        }
    }
}

/// A change of the key file. While it lives, nobody else changes it.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    path: &'a Path,
    _lock: File,
}

impl<'a> Changing<'a> {
    pub(super) fn begin(path: &'a Path) -> Result<Self, KeyError> {
        let name = path.with_extension("key.lock");
        let failed = |doing, source| DataDirError::Io { doing, path: name.clone(), source };
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(&name).map_err(|source| failed("write", source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(KeyError::UnderWay(path.to_owned())),
            Err(std::fs::TryLockError::Error(source)) if source.kind() == ErrorKind::Unsupported => {
                Ok(Self { path, _lock: lock })
            }
            Err(std::fs::TryLockError::Error(source)) => Err(failed("lock", source).into()),
        }
    }

    /// Puts these keys in the place of those in the file, all at once.
    pub(super) fn write(&self, keys: &KeyRing) -> Result<(), KeyError> {
        Ok(replace_private(self.path, keys.text().expose_secret())?)
    }
}
