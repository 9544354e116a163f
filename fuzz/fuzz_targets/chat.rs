//! See `luthien_fuzz::streams`.
#![no_main]

use luthien_wire::Dialect;

libfuzzer_sys::fuzz_target!(|input: &[u8]| luthien_fuzz::streams::check(Dialect::Chat, input));
