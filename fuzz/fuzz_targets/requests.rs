//! See `luthien_fuzz::requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| luthien_fuzz::requests::check(input));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    luthien_fuzz::mutate::mutate(data, size, max_size, seed)
});
