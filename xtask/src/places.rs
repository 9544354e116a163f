//! Where things are: the workspace, its target folder, the user's cache.

use std::path::{Path, PathBuf};

use crate::{Failure, command};

/// The folders that the commands work in.
pub(crate) struct Places {
    /// The workspace's root.
    pub root: PathBuf,
    /// Cargo's target folder, wherever the user keeps it.
    pub target: PathBuf,
    /// Tools that outlive a target folder, such as cargo-nextest.
    pub tools: PathBuf,
}

impl Places {
    /// Asks cargo for the target folder and the environment for the user's cache.
    pub(crate) fn find() -> Result<Self, Failure> {
        // Read at run time: with a shared target folder this program may have been built for another checkout.
        let package = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("run it as `cargo xtask`")?;
        let root = Path::new(&package).parent().ok_or("xtask is not inside a workspace")?.to_path_buf();
        let metadata = command::output(command::cargo(&root).args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).map_err(|error| format!("`cargo metadata` printed no JSON: {error}"))?;
        let target = metadata["target_directory"].as_str().ok_or("`cargo metadata` names no target folder")?.into();
        let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(std::env::var_os("HOME").ok_or("HOME is not set")?).join(".cache"),
        };
        Ok(Self { root, target, tools: cache.join("luthien/tools") })
    }

    /// Where the real clients and servers of the tests are installed.
    pub(crate) fn peers(&self) -> PathBuf {
        self.target.join("peers")
    }

    /// The gateway as the tests run it.
    pub(crate) fn gateway(&self) -> PathBuf {
        self.target.join("debug/luthien")
    }
}
