//! Writes gzip without compressing (stored blocks), so that a body can be coded piece by piece.

/// A gzip body under construction.
pub(crate) struct Writer {
    checksum: crc32fast::Hasher,
    length: u32,
    started: bool,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { checksum: crc32fast::Hasher::new(), length: 0, started: false }
    }

    /// The coded form of the next piece.
    pub(crate) fn piece(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = self.head();
        self.checksum.update(plain);
        for block in plain.chunks(usize::from(u16::MAX)) {
            let size = u16::try_from(block.len()).unwrap_or(u16::MAX);
            self.length = self.length.wrapping_add(u32::from(size));
            out.push(0);
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(&(!size).to_le_bytes());
            out.extend_from_slice(block);
        }
        out
    }

    /// What ends the body: an empty last block, the checksum and the length.
    pub(crate) fn end(mut self) -> Vec<u8> {
        let mut out = self.head();
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        out.extend_from_slice(&self.checksum.finalize().to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out
    }

    fn head(&mut self) -> Vec<u8> {
        if std::mem::replace(&mut self.started, true) {
            return Vec::new();
        }
        vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]
    }
}

#[cfg(test)]
mod tests;
