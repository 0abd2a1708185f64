//! libFuzzer's entry to [`fuzz::trials`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::trials::run(bytes));
