//! See `luthien_fuzz::framing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| luthien_fuzz::framing::check(input));
