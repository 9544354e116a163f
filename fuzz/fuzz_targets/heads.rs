//! See `luthien_gateway::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    luthien_gateway::fuzzing::credentials(input);
    luthien_gateway::fuzzing::cookies(input);
});
