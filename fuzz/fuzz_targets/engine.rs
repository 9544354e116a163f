//! See `luthien_fuzz::engine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| luthien_fuzz::engine::check(input));
