//! Files that only their owner may read: conversations are in them.

use std::fs::OpenOptions;

/// Options that make a file readable and writable for its owner alone; one that is there keeps its mode.
pub(crate) fn private() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are Unix's"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
