//! The records in a slot's first sector: what they say, and how they are written and read.
//!
//! In: a slot's flash. Out: a record that is whole, or none. What is written is read back.

use embedded_storage::nor_flash::NorFlash;

use super::{SlotError, sector_len};
use crate::checksum::crc32;

/// Where the records behind `begin` start.
const RECORDS: u32 = 64;
/// Bytes from one of them to the next.
const STEP: u32 = 32;
/// Bytes that are read or written at a time; a multiple of any flash's word.
const BLOCK: usize = 64;

pub(super) const BEGIN_MAGIC: [u8; 4] = *b"1SLT";
pub(super) const COMMIT_MAGIC: [u8; 4] = *b"1SLC";
pub(super) const WHOLE_MAGIC: [u8; 4] = *b"1SLW";

/// A record to be written: at most 44 bytes and padding that is as erased.
pub(super) struct Record {
    bytes: [u8; BLOCK],
    len: usize,
}

impl Record {
    pub(super) fn new(magic: [u8; 4]) -> Self {
        let mut record = Self {
            bytes: [0xff; BLOCK],
            len: 0,
        };
        record.push(&magic);
        record
    }

    /// A record of a number that belongs to a file.
    pub(super) fn of(magic: [u8; 4], number: u32, sha256: &[u8; 32]) -> Self {
        let mut record = Self::new(magic);
        record.push(&number.to_le_bytes());
        record.push(sha256.first_chunk::<4>().unwrap_or(&[0; 4]));
        record
    }

    pub(super) fn push(&mut self, part: &[u8]) {
        let free = self.bytes.iter_mut().skip(self.len);
        for (free, byte) in free.zip(part) {
            *free = *byte;
        }
        self.len += part.len();
    }

    pub(super) fn write<F: NorFlash>(mut self, flash: &mut F, at: u32) -> Result<(), SlotError> {
        let crc = crc32(self.bytes.get(..self.len).unwrap_or(&[]));
        self.push(&crc.to_le_bytes());
        program(flash, at, self.bytes.get(..self.len).unwrap_or(&[]))
    }
}

/// Writes and reads back, block by block; the last is padded with what erased flash shows.
pub(super) fn program<F: NorFlash>(flash: &mut F, at: u32, bytes: &[u8]) -> Result<(), SlotError> {
    let mut at = at;
    for part in bytes.chunks(BLOCK) {
        let mut block = [0xff; BLOCK];
        for (block, byte) in block.iter_mut().zip(part) {
            *block = *byte;
        }
        let len = part.len().next_multiple_of(F::WRITE_SIZE.max(1));
        let block = block.get(..len).ok_or(SlotError::Flash)?;
        flash.write(at, block).map_err(|_| SlotError::Flash)?;
        let mut back = [0; BLOCK];
        let back = back.get_mut(..len).ok_or(SlotError::Flash)?;
        flash.read(at, back).map_err(|_| SlotError::Flash)?;
        if back != block {
            return Err(SlotError::Flash);
        }
        at = at.saturating_add(len as u32);
    }
    Ok(())
}

pub(super) fn read_begin<F: NorFlash>(slot: &mut F) -> Option<(u32, [u8; 32])> {
    let mut bytes = [0; BLOCK];
    slot.read(0, &mut bytes).ok()?;
    let (content, rest) = bytes.split_at_checked(40)?;
    let crc = u32::from_le_bytes(*rest.first_chunk()?);
    let (magic, content_rest) = content.split_at_checked(4)?;
    let (len, sha256) = content_rest.split_at_checked(4)?;
    let intact = magic == BEGIN_MAGIC && crc == crc32(content);
    let len = u32::from_le_bytes(*len.first_chunk()?);
    intact.then_some((len, *sha256.first_chunk()?))
}

/// The number in a record that belongs to a file.
pub(super) fn read_record<F: NorFlash>(
    flash: &mut F,
    at: u32,
    magic: [u8; 4],
    sha256: &[u8; 32],
) -> Option<u32> {
    let mut bytes = [0; BLOCK];
    flash.read(at, &mut bytes).ok()?;
    let number = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
    let expected = Record::of(magic, number, sha256);
    let crc = u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?);
    let content = bytes.get(..12)?;
    (content == expected.bytes.get(..12)? && crc == crc32(content)).then_some(number)
}

/// Places for records behind `begin`.
pub(super) fn places<F: NorFlash>() -> u32 {
    sector_len::<F>().saturating_sub(RECORDS) / STEP
}

/// Where the record of that place starts.
pub(super) const fn record_at(place: u32) -> u32 {
    RECORDS.saturating_add(place.saturating_mul(STEP))
}

/// Whether nothing was written where a record would start.
pub(super) fn is_erased<F: NorFlash>(flash: &mut F, at: u32) -> bool {
    let mut bytes = [0; STEP as usize];
    flash.read(at, &mut bytes).is_ok() && bytes == [0xff; STEP as usize]
}
