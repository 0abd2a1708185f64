//! libFuzzer's entry to [`fuzz::operators`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::operators::run(bytes));
