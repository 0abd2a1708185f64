//! The checksum of files and records: CRC-32 as in zip (ISO-HDLC).
//!
//! In: bytes. Out: 32 bits. Without a table: it would take 1 KiB of a firmware's flash, and a device
//! checks a file once.

use crc::{CRC_32_ISO_HDLC, Crc, Digest, NoTable};

const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// The CRC-32 of `bytes`.
#[must_use]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

/// The CRC-32 of bytes that come piece by piece.
pub(crate) struct Crc32(Digest<'static, u32, NoTable>);

impl Crc32 {
    pub(crate) fn new() -> Self {
        static CRC_32: Crc<u32, NoTable> = CRC;
        Self(CRC_32.digest())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> u32 {
        self.0.finalize()
    }
}
