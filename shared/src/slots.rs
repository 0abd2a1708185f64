//! Two places in flash for a model: one in use, one for the next.
//!
//! In: a model file, piece by piece, in order. Out: places whose whole content was checked, newest
//! first. The model in use is never written to; a cut of the power at any moment leaves it, and what
//! was already written of the next one need not be sent again.
//!
//! ```text
//! 0         64 + 32 p                       ERASE_SIZE                  slot_len
//! ├─ begin ─┼─ records of whole sectors, commit ─┼─ the file, then as erased ─┤
//! ```
//!
//! | record | bytes                                                                                  |
//! |--------|----------------------------------------------------------------------------------------|
//! | begin  | `1SLT`, `u32` bytes of the file, SHA-256 of the file, CRC-32 of those; 44 in all        |
//! | whole  | `1SLW`, `u32` number of the sector, the first 4 bytes of the SHA-256, CRC-32; 16 in all |
//! | commit | `1SLC`, `u32` sequence, the first 4 bytes of the SHA-256, CRC-32; 16 in all             |
//!
//! Numbers are little-endian, padding is as erased. An update erases the first sector, writes `begin`,
//! then sector after sector: erase, write, read back, `whole`. `commit` comes last. So the file is in
//! use after `commit` or not at all; the largest sequence is the newest. An update that goes on after
//! the power was cut begins with the sector that was not whole, and leaves a place for a record free,
//! because a record that the power was cut in may look as if nothing had been written.

use embedded_storage::nor_flash::NorFlash;
use sha2::{Digest, Sha256};

use crate::checksum::crc32;

/// Where the records behind `begin` start.
const RECORDS: u32 = 64;
/// Bytes from one of them to the next.
const STEP: u32 = 32;
/// Bytes that are read or written at a time; a multiple of any flash's word.
const BLOCK: usize = 64;

const BEGIN_MAGIC: [u8; 4] = *b"1SLT";
const COMMIT_MAGIC: [u8; 4] = *b"1SLC";
const WHOLE_MAGIC: [u8; 4] = *b"1SLW";

/// Where the two slots lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// First byte of each, at a sector's start.
    pub start: [u32; 2],
    /// Bytes of each, whole sectors, at least two.
    pub len: u32,
}

/// A slot with a committed model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// 0 or 1.
    pub slot: usize,
    /// Where in the flash the file starts.
    pub at: u32,
    /// Bytes of the file.
    pub len: u32,
    /// Larger is newer.
    pub sequence: u32,
}

/// Why a slot was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotError {
    /// The file does not fit.
    TooLarge {
        /// Most bytes.
        max: u32,
    },
    /// No update was begun.
    NotBegun,
    /// A piece that starts elsewhere, or is no multiple of the flash's word.
    Offset {
        /// Where it must start.
        expected: u32,
    },
    /// Pieces are missing.
    Incomplete {
        /// Where to go on.
        next: u32,
    },
    /// The content has another SHA-256.
    Digest,
    /// The flash failed, or does not hold what was written.
    Flash,
}

/// A whole file that waits for its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Where in the flash it starts.
    pub at: u32,
    /// Its bytes.
    pub len: u32,
    /// Of its content.
    pub sha256: [u8; 32],
}

/// An update under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Update {
    slot: usize,
    len: u32,
    sha256: [u8; 32],
    /// Bytes that are there.
    next: u32,
    /// Number of the next record's place.
    place: u32,
}

/// The two slots.
#[derive(Debug, Clone)]
pub struct Slots {
    layout: Layout,
    update: Option<Update>,
}

impl Slots {
    /// Slots at `layout`; nothing is read yet.
    #[must_use]
    pub const fn new(layout: Layout) -> Self {
        Self {
            layout,
            update: None,
        }
    }

    /// Largest file that fits.
    #[must_use]
    pub fn max_len<F: NorFlash>(&self) -> u32 {
        // As many sectors as have room for their records, and one for `commit`, in the first one.
        let sector = sector_len::<F>();
        let whole = places::<F>().saturating_sub(1);
        self.layout
            .len
            .saturating_sub(sector)
            .min(whole.saturating_mul(sector))
    }

    /// The committed slots, newest first. Their content is not read.
    pub fn committed<F: NorFlash>(&self, flash: &mut F) -> [Option<Committed>; 2] {
        let mut found = [self.read(flash, 0), self.read(flash, 1)];
        if let [Some(first), Some(second)] = found
            && second.sequence > first.sequence
        {
            found.reverse();
        }
        found
    }

    /// Begins an update in the slot that is not `in_use`, or goes on with it.
    ///
    /// # Errors
    /// [`SlotError::TooLarge`] or [`SlotError::Flash`].
    pub fn begin<F: NorFlash>(
        &mut self,
        flash: &mut F,
        in_use: Option<usize>,
        len: u32,
        sha256: [u8; 32],
    ) -> Result<u32, SlotError> {
        let max = self.max_len::<F>();
        if len == 0 || len > max {
            return Err(SlotError::TooLarge { max });
        }
        let slot = usize::from(in_use == Some(0));
        let mut update = Update {
            slot,
            len,
            sha256,
            next: 0,
            place: 0,
        };
        if !self.go_on(flash, &mut update) {
            let start = self.start(slot);
            let end = start.saturating_add(sector_len::<F>());
            flash.erase(start, end).map_err(|_| SlotError::Flash)?;
            let mut record = Record::new(BEGIN_MAGIC);
            record.push(&len.to_le_bytes());
            record.push(&sha256);
            record.write(flash, start)?;
        }
        self.update = Some(update);
        Ok(update.next)
    }

    /// Takes a piece of the file. Every piece but the last is a multiple of the flash's word; one that
    /// is already there is passed over.
    ///
    /// # Errors
    /// [`SlotError::NotBegun`], [`SlotError::Offset`] or [`SlotError::Flash`].
    pub fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        offset: u32,
        bytes: &[u8],
    ) -> Result<u32, SlotError> {
        let mut update = self.update.ok_or(SlotError::NotBegun)?;
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let end = offset.saturating_add(len);
        if end <= update.next {
            return Ok(update.next);
        }
        let expected = update.next;
        let word = u32::try_from(F::WRITE_SIZE).unwrap_or(u32::MAX);
        let whole = len.checked_rem(word) == Some(0) || end == update.len;
        if offset != expected || end > update.len || !whole {
            return Err(SlotError::Offset { expected });
        }
        let sector = sector_len::<F>();
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = sector - update.next.checked_rem(sector).unwrap_or(0);
            let count = rest.len().min(room as usize);
            let (piece, more) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            self.write_piece(flash, &mut update, piece)?;
            self.update = Some(update);
            rest = more;
        }
        Ok(update.next)
    }

    /// Checks the whole file against its SHA-256; says where it lies, for checks of its content.
    ///
    /// # Errors
    /// [`SlotError::NotBegun`], [`SlotError::Incomplete`], [`SlotError::Digest`] or [`SlotError::Flash`].
    pub fn verify<F: NorFlash>(&self, flash: &mut F) -> Result<Verified, SlotError> {
        let update = self.update.ok_or(SlotError::NotBegun)?;
        if update.next < update.len {
            let next = update.next;
            return Err(SlotError::Incomplete { next });
        }
        let at = self.start(update.slot).saturating_add(sector_len::<F>());
        let mut hash = Sha256::new();
        let mut offset = 0;
        while offset < update.len {
            let mut block = [0; BLOCK];
            let place = at.saturating_add(offset);
            flash
                .read(place, &mut block)
                .map_err(|_| SlotError::Flash)?;
            let count = (update.len - offset).min(BLOCK as u32);
            hash.update(block.get(..count as usize).unwrap_or(&[]));
            offset += count;
        }
        if hash.finalize().as_slice() == update.sha256 {
            Ok(Verified {
                at,
                len: update.len,
                sha256: update.sha256,
            })
        } else {
            Err(SlotError::Digest)
        }
    }

    /// Makes the file the newest, after [`Self::verify`].
    ///
    /// # Errors
    /// [`SlotError::NotBegun`] or [`SlotError::Flash`].
    pub fn commit<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), SlotError> {
        let update = self.update.ok_or(SlotError::NotBegun)?;
        let newest = self.committed(flash).into_iter().flatten().next();
        let sequence = newest.map_or(0, |slot| slot.sequence).saturating_add(1);
        let record = Record::of(COMMIT_MAGIC, sequence, &update.sha256);
        record.write(flash, record_at(self.start(update.slot), update.place))?;
        self.update = None;
        Ok(())
    }

    /// Gives the update up. What was written stays until the next one.
    pub fn abort(&mut self) {
        self.update = None;
    }

    fn start(&self, slot: usize) -> u32 {
        self.layout.start.get(slot).copied().unwrap_or(0)
    }

    fn read<F: NorFlash>(&self, flash: &mut F, slot: usize) -> Option<Committed> {
        let start = self.start(slot);
        let (len, sha256) = read_begin(flash, start)?;
        let mut places = 0..places::<F>();
        let sequence = places.find_map(|place| {
            let at = record_at(start, place);
            read_record(flash, at, COMMIT_MAGIC, &sha256)
        })?;
        (len <= self.max_len::<F>()).then_some(Committed {
            slot,
            at: start.checked_add(sector_len::<F>())?,
            len,
            sequence,
        })
    }

    /// Whether an update of this very file was begun before and is not committed; then `update` goes
    /// on where it was.
    fn go_on<F: NorFlash>(&self, flash: &mut F, update: &mut Update) -> bool {
        let (start, sector) = (self.start(update.slot), sector_len::<F>());
        if read_begin(flash, start) != Some((update.len, update.sha256)) {
            return false;
        }
        let (mut whole, mut free) = (0, 0);
        for place in 0..places::<F>() {
            let at = record_at(start, place);
            if let Some(index) = read_record(flash, at, WHOLE_MAGIC, &update.sha256) {
                whole = index.saturating_add(1);
            } else if read_record(flash, at, COMMIT_MAGIC, &update.sha256).is_some() {
                return false;
            }
            if !is_erased(flash, at) {
                free = place.saturating_add(1);
            }
        }
        update.next = whole.saturating_mul(sector).min(update.len);
        // One place may have been written to although it looks erased.
        update.place = free.saturating_add(1);
        let missing = update.len.div_ceil(sector.max(1)).saturating_sub(whole);
        let needed = missing.saturating_add(1);
        let enough = update.place.saturating_add(needed) <= places::<F>();
        if !enough {
            (update.next, update.place) = (0, 0);
        }
        enough
    }

    /// Writes what lies in one sector, erasing it at its start and marking it at its end.
    fn write_piece<F: NorFlash>(
        &self,
        flash: &mut F,
        update: &mut Update,
        piece: &[u8],
    ) -> Result<(), SlotError> {
        let (start, sector) = (self.start(update.slot), sector_len::<F>());
        let index = update.next.checked_div(sector).unwrap_or(0);
        let at = start.saturating_add(sector).saturating_add(update.next);
        if update.next.checked_rem(sector) == Some(0) {
            let end = at.saturating_add(sector);
            flash.erase(at, end).map_err(|_| SlotError::Flash)?;
        }
        program(flash, at, piece)?;
        update.next = update.next.saturating_add(piece.len() as u32);
        if update.next.checked_rem(sector) == Some(0) || update.next == update.len {
            let record = Record::of(WHOLE_MAGIC, index, &update.sha256);
            record.write(flash, record_at(start, update.place))?;
            update.place = update.place.saturating_add(1);
        }
        Ok(())
    }
}

fn sector_len<F: NorFlash>() -> u32 {
    u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX)
}

/// A record to be written: at most 44 bytes and padding that is as erased.
struct Record {
    bytes: [u8; BLOCK],
    len: usize,
}

impl Record {
    fn new(magic: [u8; 4]) -> Self {
        let mut record = Self {
            bytes: [0xff; BLOCK],
            len: 0,
        };
        record.push(&magic);
        record
    }

    /// A record of a number that belongs to a file.
    fn of(magic: [u8; 4], number: u32, sha256: &[u8; 32]) -> Self {
        let mut record = Self::new(magic);
        record.push(&number.to_le_bytes());
        record.push(sha256.first_chunk::<4>().unwrap_or(&[0; 4]));
        record
    }

    fn push(&mut self, part: &[u8]) {
        let free = self.bytes.iter_mut().skip(self.len);
        for (free, byte) in free.zip(part) {
            *free = *byte;
        }
        self.len += part.len();
    }

    fn write<F: NorFlash>(mut self, flash: &mut F, at: u32) -> Result<(), SlotError> {
        let crc = crc32(self.bytes.get(..self.len).unwrap_or(&[]));
        self.push(&crc.to_le_bytes());
        program(flash, at, self.bytes.get(..self.len).unwrap_or(&[]))
    }
}

/// Writes and reads back, block by block; the last is padded with what erased flash shows.
fn program<F: NorFlash>(flash: &mut F, at: u32, bytes: &[u8]) -> Result<(), SlotError> {
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

fn read_begin<F: NorFlash>(flash: &mut F, at: u32) -> Option<(u32, [u8; 32])> {
    let mut bytes = [0; BLOCK];
    flash.read(at, &mut bytes).ok()?;
    let (content, rest) = bytes.split_at_checked(40)?;
    let crc = u32::from_le_bytes(*rest.first_chunk()?);
    let (magic, content_rest) = content.split_at_checked(4)?;
    let (len, sha256) = content_rest.split_at_checked(4)?;
    let intact = magic == BEGIN_MAGIC && crc == crc32(content);
    let len = u32::from_le_bytes(*len.first_chunk()?);
    intact.then_some((len, *sha256.first_chunk()?))
}

/// The number in a record that belongs to a file.
fn read_record<F: NorFlash>(
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
fn places<F: NorFlash>() -> u32 {
    sector_len::<F>().saturating_sub(RECORDS) / STEP
}

/// Where the record of that place starts.
const fn record_at(start: u32, place: u32) -> u32 {
    start
        .saturating_add(RECORDS)
        .saturating_add(place.saturating_mul(STEP))
}

/// Whether nothing was written where a record would start.
fn is_erased<F: NorFlash>(flash: &mut F, at: u32) -> bool {
    let mut bytes = [0; STEP as usize];
    flash.read(at, &mut bytes).is_ok() && bytes == [0xff; STEP as usize]
}
