//! Divides an input into chunks: another way for each input, always the same way for the same.

/// A number that is the input's own (FNV-1a).
pub(crate) fn hash(input: &[u8]) -> u64 {
    input.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The input in pieces, empty ones among them.
pub(crate) fn chunks(input: &[u8]) -> Vec<&[u8]> {
    // Xorshift. No seed is taken from the input, so that fixtures are inputs as they are.
    let mut state = hash(input) | 1;
    let most = 1 + usize::try_from(state >> 33).unwrap_or_default() % 96;
    let mut out = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let take = usize::try_from(state >> 33).unwrap_or_default() % (most + 1);
        let (chunk, left) = rest.split_at(take.min(rest.len()));
        out.push(chunk);
        rest = left;
    }
    out
}
