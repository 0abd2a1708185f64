//! Bytes of the bank header and of a record's head: the only place where their offsets stand.
//!
//! In: numbers, or bytes from flash. Out: bytes, or numbers whose checksum was right.

use core::ops::Range;

use crate::checksum::{Crc32, crc32};

/// The version of the log that this crate reads and writes.
pub const FORMAT_VERSION: u16 = 1;

/// Shortest unit in bytes: a record's head.
pub(super) const MIN_UNIT: u32 = 16;

const MAGIC: [u8; 4] = *b"1LOG";

/// Offsets in the bank header. `MAGIC`, `FORMAT`, `EPOCH` and `CRC` keep their places in every
/// version, so that an older release knows a newer log for one.
pub(super) mod bank {
    use super::Range;
    type Field = Range<usize>;

    pub(crate) const MAGIC: Field = 0..4;
    pub(crate) const FORMAT: Field = 4..6;
    pub(crate) const UNIT: Field = 6..8;
    pub(crate) const EPOCH: Field = 8..12;
    pub(crate) const BANK_LEN: Field = 12..16;
    pub(crate) const CRC: Field = 28..32;
    pub(crate) const LEN: usize = CRC.end;
}

/// Offsets in a record's head.
pub(super) mod head {
    use super::Range;
    type Field = Range<usize>;

    pub(crate) const PAYLOAD_LEN: Field = 0..4;
    pub(crate) const KIND: usize = 4;
    pub(crate) const VERSION: usize = 5;
    pub(crate) const RESERVED: Field = 6..8;
    pub(crate) const PAYLOAD_CRC: Field = 8..12;
    pub(crate) const HEAD_CRC: Field = 12..16;
    pub(crate) const LEN: usize = HEAD_CRC.end;
}

/// What the head of a bank says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BankHeader {
    pub(super) format: u16,
    pub(super) unit: u16,
    pub(super) epoch: u32,
    pub(super) bank_len: u32,
}

impl BankHeader {
    /// `None` for anything but a header that was written to its end.
    pub(super) fn parse(bytes: &[u8; bank::LEN]) -> Option<Self> {
        let crc = crc32(bytes.get(..bank::CRC.start)?);
        (array(bytes, bank::MAGIC)? == MAGIC && read_u32(bytes, bank::CRC)? == crc).then_some(())?;
        Some(Self {
            format: u16::from_le_bytes(array(bytes, bank::FORMAT)?),
            unit: u16::from_le_bytes(array(bytes, bank::UNIT)?),
            epoch: read_u32(bytes, bank::EPOCH)?,
            bank_len: read_u32(bytes, bank::BANK_LEN)?,
        })
    }

    pub(super) fn emit(&self) -> [u8; bank::LEN] {
        let mut bytes = [0; bank::LEN];
        put(&mut bytes, bank::MAGIC, &MAGIC);
        put(&mut bytes, bank::FORMAT, &self.format.to_le_bytes());
        put(&mut bytes, bank::UNIT, &self.unit.to_le_bytes());
        put(&mut bytes, bank::EPOCH, &self.epoch.to_le_bytes());
        put(&mut bytes, bank::BANK_LEN, &self.bank_len.to_le_bytes());
        let crc = crc32(bytes.get(..bank::CRC.start).unwrap_or(&[]));
        put(&mut bytes, bank::CRC, &crc.to_le_bytes());
        bytes
    }
}

/// What the head of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) len: u32,
    pub(super) kind: u8,
    pub(super) version: u8,
    pub(super) payload_crc: u32,
}

impl RecordHead {
    pub(super) fn new(len: u32, kind: u8, version: u8, parts: &[&[u8]]) -> Self {
        let mut crc = Crc32::new();
        parts.iter().for_each(|part| crc.update(part));
        Self {
            len,
            kind,
            version,
            payload_crc: crc.finish(),
        }
    }

    /// `None` for anything but a head of this epoch.
    pub(super) fn parse(bytes: &[u8; head::LEN], epoch: u32) -> Option<Self> {
        let crc = head_crc(bytes, epoch);
        let whole = read_u32(bytes, head::HEAD_CRC)? == crc;
        (whole && array(bytes, head::RESERVED)? == [0; 2]).then_some(())?;
        Some(Self {
            len: read_u32(bytes, head::PAYLOAD_LEN)?,
            kind: *bytes.get(head::KIND)?,
            version: *bytes.get(head::VERSION)?,
            payload_crc: read_u32(bytes, head::PAYLOAD_CRC)?,
        })
    }

    pub(super) fn emit(&self, epoch: u32) -> [u8; head::LEN] {
        let mut bytes = [0; head::LEN];
        put(&mut bytes, head::PAYLOAD_LEN, &self.len.to_le_bytes());
        let kind_version = [self.kind, self.version];
        put(&mut bytes, head::KIND..head::RESERVED.start, &kind_version);
        put(
            &mut bytes,
            head::PAYLOAD_CRC,
            &self.payload_crc.to_le_bytes(),
        );
        let crc = head_crc(&bytes, epoch);
        put(&mut bytes, head::HEAD_CRC, &crc.to_le_bytes());
        bytes
    }
}

/// The epoch is part of it, so that no record of an earlier log in the same place is taken for one
/// of this.
fn head_crc(bytes: &[u8], epoch: u32) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes.get(..head::HEAD_CRC.start).unwrap_or(&[]));
    crc.update(&epoch.to_le_bytes());
    crc.finish()
}

/// Copies `value` to `field`, which is as long.
pub(crate) fn put(bytes: &mut [u8], field: Range<usize>, value: &[u8]) {
    if let Some(field) = bytes.get_mut(field) {
        field
            .iter_mut()
            .zip(value)
            .for_each(|(to, from)| *to = *from);
    }
}

pub(crate) fn array<const N: usize>(bytes: &[u8], field: Range<usize>) -> Option<[u8; N]> {
    bytes.get(field)?.try_into().ok()
}

pub(crate) fn read_u32(bytes: &[u8], field: Range<usize>) -> Option<u32> {
    array(bytes, field).map(u32::from_le_bytes)
}
