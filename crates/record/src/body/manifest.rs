//! The manifest of a body: its pieces in order, each inline or a reference.

use super::Hash;
use super::pack::{put_number, take_number};

const INLINE: u8 = 0;
const CONTENT: u8 = 1;
const CHAIN: u8 = 2;

/// One piece.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    /// These bytes.
    Inline(&'a [u8]),
    /// The content of this hash.
    Content(Hash),
    /// The messages up to the node of this hash.
    Chain(Hash),
}

/// Appends a piece to a manifest.
pub(crate) fn put(out: &mut Vec<u8>, piece: &Piece<'_>) {
    match piece {
        Piece::Inline(bytes) => {
            out.push(INLINE);
            put_number(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Piece::Content(hash) => {
            out.push(CONTENT);
            out.extend_from_slice(hash);
        }
        Piece::Chain(hash) => {
            out.push(CHAIN);
            out.extend_from_slice(hash);
        }
    }
}

/// The pieces of a manifest; `None` if it is damaged.
pub(crate) fn pieces(mut manifest: &[u8]) -> Option<Vec<Piece<'_>>> {
    let mut out = Vec::new();
    while let Some((mark, rest)) = manifest.split_first() {
        manifest = rest;
        let size = match *mark {
            INLINE => usize::try_from(take_number(&mut manifest)?).ok()?,
            _ => size_of::<Hash>(),
        };
        let (bytes, rest) = manifest.split_at_checked(size)?;
        manifest = rest;
        out.push(match *mark {
            INLINE => Piece::Inline(bytes),
            CONTENT => Piece::Content(bytes.try_into().ok()?),
            CHAIN => Piece::Chain(bytes.try_into().ok()?),
            _ => return None,
        });
    }
    Some(out)
}
