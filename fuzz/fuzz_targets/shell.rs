//! See `luthien_fuzz::shell`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| luthien_fuzz::shell::check(input));
