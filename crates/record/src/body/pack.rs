//! Bytes made small where that pays: a mark, then the bytes, or their length and their zstd form.

/// Below this many bytes compression is not tried.
const WORTH_IT: usize = 512;

/// No stored piece is longer than this: what says otherwise is damaged.
const LONGEST: u64 = 1 << 31;

const RAW: u8 = 0;
const ZSTD: u8 = 1;

/// Packs bytes, keeping its working memory between calls.
pub(crate) struct Packer {
    /// `None` if the library could not make one: then nothing is compressed.
    zstd: Option<zstd::bulk::Compressor<'static>>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    pub(crate) fn new() -> Self {
        Self { zstd: zstd::bulk::Compressor::new(1).ok(), buffer: Vec::new() }
    }

    /// Keeps no more working memory than most pieces need.
    fn give_back(&mut self) {
        const ENOUGH: usize = 1 << 20;
        if self.buffer.capacity() > ENOUGH {
            self.buffer = Vec::new();
        }
    }

    /// The packed form of `bytes`.
    pub(crate) fn pack(&mut self, bytes: &[u8]) -> Vec<u8> {
        if bytes.len() > WORTH_IT
            && let Some(zstd) = &mut self.zstd
        {
            self.buffer.clear();
            self.buffer.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
            if let Ok(size) = zstd.compress_to_buffer(bytes, &mut self.buffer)
                && size + 8 < bytes.len()
            {
                let mut out = Vec::with_capacity(size + 6);
                out.push(ZSTD);
                put_number(&mut out, bytes.len() as u64);
                out.extend_from_slice(&self.buffer);
                self.give_back();
                return out;
            }
            self.give_back();
        }
        let mut out = Vec::with_capacity(bytes.len() + 1);
        out.push(RAW);
        out.extend_from_slice(bytes);
        out
    }
}

/// The bytes that were packed; `None` if `packed` is damaged.
pub(crate) fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (mark, mut rest) = packed.split_first()?;
    match *mark {
        RAW => Some(rest.to_vec()),
        ZSTD => {
            let size = take_number(&mut rest).filter(|size| *size <= LONGEST)?;
            let size = usize::try_from(size).ok()?;
            zstd::bulk::decompress(rest, size).ok().filter(|bytes| bytes.len() == size)
        }
        _ => None,
    }
}

/// Appends a number in groups of seven bits, the lowest first.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Takes a number off the front of `bytes`.
pub(crate) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
