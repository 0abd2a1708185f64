//! The checksum of model and trials files: CRC-32 as in zip (ISO-HDLC).
//!
//! In: bytes. Out: 32 bits. Without a table: it would take 1 KiB of a firmware's flash, and a device
//! checks a file once.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// The CRC-32 of `bytes`.
#[must_use]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}
