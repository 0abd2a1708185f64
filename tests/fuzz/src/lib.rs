//! Fuzzing of `shared`: what each target does with its bytes.
//!
//! In: any bytes. Out: nothing, or a panic that says which promise was broken. Nothing here knows
//! the fuzzer, so a plain `cargo test` replays the seeds, and a crash is replayed in a debugger.
//!
//! | target         | its bytes are                                                          |
//! |----------------|------------------------------------------------------------------------|
//! | [`model`]      | a model file                                                           |
//! | [`forged`]     | a model file whose checksum, or whole layout, is repaired before use   |
//! | [`trials`]     | a trials file: what reaches a device over the wire                     |
//! | [`image`]      | two sizes and a picture                                                |
//! | [`operators`]  | one operator: shapes, weights, shifts, input                           |
//! | [`wire`]       | what comes over the wire: frames, or a message in one                  |
//!
//! [`seeds`] writes the inputs that every run starts from.

pub mod forged;
pub mod image;
pub mod model;
pub mod operators;
pub mod seeds;
pub mod trials;
pub mod wire;

mod source;

use crc::{CRC_32_ISO_HDLC, Crc};

/// Model and trials files keep the same checksum in the same place.
fn repair_crc(bytes: &mut [u8]) {
    const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    if let Some((head, content)) = bytes.split_at_mut_checked(16) {
        head[12..].copy_from_slice(&CRC.checksum(content).to_le_bytes());
    }
}
