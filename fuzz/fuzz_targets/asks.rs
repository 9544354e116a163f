//! See `luthien_fuzz::asks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| luthien_fuzz::asks::check(input));
