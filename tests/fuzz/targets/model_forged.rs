//! libFuzzer's entry to [`fuzz::forged`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::forged::run(bytes));
