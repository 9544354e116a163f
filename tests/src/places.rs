//! Where the gateway and the real clients are. `cargo xtask test` installs and names them.

use std::path::{Path, PathBuf};

/// The target folder that this test was built into.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    // <target>/debug/deps/<test>
    test.ancestors().nth(3).expect("a test inside a target folder").to_path_buf()
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is not there: run `cargo xtask test`", path.display());
    path
}

/// The `luthien` binary.
pub(crate) fn gateway() -> PathBuf {
    existing(std::env::var_os("LUTHIEN_BIN").map_or_else(|| target().join("debug/luthien"), PathBuf::from))
}

/// A file of the installed clients and servers, by its path in their folder.
pub(crate) fn peer(path: &str) -> PathBuf {
    let peers = std::env::var_os("LUTHIEN_PEERS").map_or_else(|| target().join("peers"), PathBuf::from);
    existing(peers.join(path))
}

/// A script in `tests/peers`.
pub(crate) fn script(path: &str) -> PathBuf {
    existing(Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("peers").join(path))
}

/// A file of the Python SDK.
pub(crate) fn sdk(path: &str) -> PathBuf {
    existing(Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../sdk/python").join(path))
}
