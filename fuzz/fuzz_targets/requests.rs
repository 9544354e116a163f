//! See `luthien_fuzz::requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| luthien_fuzz::requests::check(input));
