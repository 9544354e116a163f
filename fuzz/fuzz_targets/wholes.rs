//! See `luthien_fuzz::wholes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| luthien_fuzz::wholes::check(input));
