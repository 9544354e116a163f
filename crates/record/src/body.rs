//! Bodies as they are stored: a manifest of inline pieces and references, from which every byte comes back.
//!
//! An agent resends its whole history with every request. So the messages of a request are a chain of nodes, each named by
//! the hash of its parent and its own bytes, and a request refers to all of them by the last node. Other large parts are
//! contents named by their hash.

pub(crate) mod identity;
pub(crate) mod manifest;
pub(crate) mod marks;
pub(crate) mod pack;
pub(crate) mod split;

/// A BLAKE3 hash.
pub(crate) type Hash = [u8; 32];

/// The parent of a chain's first node.
pub(crate) const ROOT: Hash = [0; 32];

/// The hash that names a content.
pub(crate) fn content_hash(bytes: &[u8]) -> Hash {
    *blake3::hash(bytes).as_bytes()
}

/// The hash of `bytes` after `parent`: names a node, or the identity of a message after those before it.
pub(crate) fn chain_hash(parent: &Hash, bytes: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(parent);
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests;
