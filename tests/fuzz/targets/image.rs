//! libFuzzer's entry to [`fuzz::image`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::image::run(bytes));
