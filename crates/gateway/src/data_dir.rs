//! The data folder: made private, with the keys that are generated in it and the file by which the command line finds a
//! running gateway.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

const ADMIN_KEY: &str = "admin.key";
const IDENTITY_KEY: &str = "identity.key";
const RUNNING: &str = "gateway.json";

/// The data folder.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
}

/// Something in the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file there holds something else than it should.
    #[error("{} is damaged; remove it to have a new one made, which {consequence}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What a new one changes.
        consequence: &'static str,
    },
    /// The system gave no random bytes for a new key.
    #[error("the system gave no random bytes for a new key")]
    NoRandomness,
}

/// The keys that the gateway needs to run.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The admin key: as set, else the data folder's.
    pub admin: SecretString,
    /// The admin key was set, so the data folder does not hold it.
    pub admin_is_set: bool,
    /// The key of the hash by which the record tells credentials apart.
    pub identity: [u8; 32],
    /// The data folder, if other users of this machine can look into it.
    pub exposed: Option<PathBuf>,
}

/// A running gateway, as the command line finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Its admin key is in `admin.key` here; else it was given by `ADMIN_API_KEY`.
    pub admin_key_here: bool,
    /// How it was started; none where an older version did not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Started>,
}

/// How a gateway was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When.
    pub at: Timestamp,
    /// When the system says that its process began, in the system's own unit: it tells the process from a later one of the same number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<u64>,
    /// Who keeps it running.
    pub kept: Kept,
}

/// Who keeps a gateway running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Kept {
    /// `luthien up`, with these flags in this folder. None of them is a secret.
    Up {
        /// The flags.
        flags: Vec<String>,
        /// The working folder.
        folder: PathBuf,
    },
    /// A service manager, which starts it again by itself.
    Service {
        /// What it is called there, if that is known.
        unit: Option<String>,
    },
    /// The agent that brought it along: it ends with the last agent that uses it.
    Agent,
    /// Whoever started it: a terminal or a script. Also what a later version may say and this one does not know.
    #[serde(other)]
    Caller,
}

impl Running {
    /// How this machine reaches it: a listener on all addresses is reached by loopback.
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }
}

/// Keeps `gateway.json` while it lives.
#[derive(Debug)]
pub struct RunningFile {
    path: PathBuf,
    running: Running,
}

impl Drop for RunningFile {
    fn drop(&mut self) {
        // Another gateway may have taken the place since; its file stays.
        if read_running(&self.path).as_ref() == Some(&self.running) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl DataDir {
    /// The folder at this path, made with mode 0700 if it is not there.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| failed("make the data folder", path, source))?;
        Ok(Self { path: path.to_owned() })
    }

    /// The folder at this path as it is, for reading only.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database's URL when none is set.
    pub fn database_url(&self) -> String {
        format!("sqlite://{}", self.path.join("luthien.db").display())
    }

    /// The keys, made where they are missing. An admin key that is set is not written down.
    pub fn keys(&self, admin: Option<&SecretString>) -> Result<Keys, DataDirError> {
        let identity = self.path.join(IDENTITY_KEY);
        let text = secret(&identity, || Ok(hex(&random::<32>()?)))?;
        let identity = unhex(text.expose_secret()).ok_or(DataDirError::Damaged {
            path: identity,
            consequence: "makes the sessions recorded so far look like another caller's",
        })?;
        let admin_is_set = admin.is_some();
        let admin = match admin {
            Some(key) => key.clone(),
            None => secret(&self.path.join(ADMIN_KEY), || Ok(format!("luthien-admin-{}", hex(&random::<24>()?))))?,
        };
        Ok(Keys { admin, admin_is_set, identity, exposed: open_to_others(&self.path).then(|| self.path.clone()) })
    }

    /// The admin key that is kept here; none if there is none to read.
    pub fn admin_key(&self) -> Option<SecretString> {
        let text = std::fs::read_to_string(self.path.join(ADMIN_KEY)).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| SecretString::from(text))
    }

    /// Where the admin key is kept.
    pub fn admin_key_file(&self) -> PathBuf {
        self.path.join(ADMIN_KEY)
    }

    /// Notes where the gateway can be reached, until the value is dropped.
    pub fn announce(&self, running: Running) -> Result<RunningFile, DataDirError> {
        let path = self.path.join(RUNNING);
        let text = serde_json::to_string(&running).unwrap_or_default();
        let fresh = self.path.join(format!("{RUNNING}.{}", running.pid));
        let _ = std::fs::remove_file(&fresh);
        write_private(&fresh, &text)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(|source| failed("write", &path, source))?;
        Ok(RunningFile { path, running })
    }

    /// The gateway that was announced here last and has not said good-bye. It may have died since: ask `/livez`.
    pub fn running(&self) -> Option<Running> {
        read_running(&self.path.join(RUNNING))
    }
}

/// The secret in a file, made and written with mode 0600 if it is not there.
pub(crate) fn secret(
    path: &Path,
    make: impl FnOnce() -> Result<String, DataDirError>,
) -> Result<SecretString, DataDirError> {
    if let Some(made) = write_new(path, make)? {
        return Ok(SecretString::from(made));
    }
    let text = std::fs::read_to_string(path).map_err(|source| failed("read", path, source))?;
    close_to_others(path).map_err(|source| failed("make private", path, source))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(DataDirError::Damaged { path: path.to_owned(), consequence: "ends what the old key allowed" });
    }
    Ok(SecretString::from(text))
}

/// Writes a new secret unless the file is there already, never leaving half a file under its name.
fn write_new(path: &Path, make: impl FnOnce() -> Result<String, DataDirError>) -> Result<Option<String>, DataDirError> {
    if path.exists() {
        return Ok(None);
    }
    let secret = make()?;
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    write_private(&fresh, &format!("{secret}\n")).map_err(|source| failed("write", &fresh, source))?;
    // A link does not replace: of two gateways that start at once, one makes the key and both use it.
    let linked = std::fs::hard_link(&fresh, path);
    let _ = std::fs::remove_file(&fresh);
    match linked {
        Ok(()) => Ok(Some(secret)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(_) => {
            // Not every file system has hard links.
            write_private(path, &format!("{secret}\n")).map_err(|source| failed("write", path, source))?;
            Ok(Some(secret))
        }
    }
}

/// Puts this text in the place of a private file's, whole or not at all, and writes it through to the disk.
pub(crate) fn replace_private(path: &Path, text: &str) -> Result<(), DataDirError> {
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    write_private(&fresh, text).map_err(|source| failed("write", &fresh, source))?;
    std::fs::rename(&fresh, path).map_err(|source| failed("write", path, source))?;
    // The new name is on the disk once its folder is.
    let folder = path.parent().map(std::fs::File::open).transpose().ok().flatten();
    folder.map_or(Ok(()), |folder| folder.sync_all()).map_err(|source| failed("write", path, source))
}

/// Makes a file that only this user can read, and writes it through to the disk.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Whether others have rights to a folder. It may be more than the gateway's, so they are left as they are.
#[cfg(unix)]
fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|folder| folder.permissions().mode().trailing_zeros() < 6)
}

#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> bool {
    false
}

/// Takes others' rights to a secret away, where it has any.
#[cfg(unix)]
fn close_to_others(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode.trailing_zeros() >= 6 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn close_to_others(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

fn read_running(path: &Path) -> Option<Running> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

fn failed(doing: &'static str, path: &Path, source: std::io::Error) -> DataDirError {
    DataDirError::Io { doing, path: path.to_owned(), source }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], DataDirError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| DataDirError::NoRandomness)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
