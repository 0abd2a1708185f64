//! The checksum of model and trials files and of the log in flash: CRC-32 as in zip (ISO-HDLC).
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
    /// Of nothing.
    pub(crate) const fn new() -> Self {
        const CRC_REF: &Crc<u32, NoTable> = &CRC;
        Self(CRC_REF.digest())
    }

    /// Of `bytes` too.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all there was.
    pub(crate) fn finish(self) -> u32 {
        self.0.finalize()
    }
}
