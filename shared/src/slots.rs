//! Two places in flash for a model: one in use, one for the next.
//!
//! In: two parts of flash, and a model file, piece by piece, in order. Out: the newest model that this
//! firmware reads, in place ([`choose`]), and the other slot ([`Spare`]), which takes the next one. The
//! model in use is never written to; a cut of the power at any moment leaves it, and what
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

use crate::model::ModelView;

mod record;

use record::{
    BEGIN_MAGIC, COMMIT_MAGIC, Record, WHOLE_MAGIC, is_erased, places, program, read_begin,
    read_record, record_at,
};

/// Flash that can also be looked at in place, as a model must be.
pub trait Mapped {
    /// The bytes from `at` on; `None` where there are none.
    fn mapped(&self, at: u32, len: u32) -> Option<&[u8]>;
}

/// What a commit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Committed {
    /// Bytes of the file.
    len: u32,
    /// Larger is newer.
    sequence: u32,
}

/// The slot whose model is used.
#[derive(Debug)]
pub struct InUse<F> {
    slot: F,
    /// Bytes of its file; `None` when it has none that can be used.
    len: Option<u32>,
}

impl<F: NorFlash + Mapped> InUse<F> {
    /// The model, in place; `None` when neither slot has one.
    #[must_use]
    pub fn model(&self) -> Option<ModelView<'_>> {
        let bytes = self.slot.mapped(sector_len::<F>(), self.len?)?;
        ModelView::new_checked(bytes).ok()
    }

    /// Gives the slot back.
    pub fn into_slot(self) -> F {
        self.slot
    }
}

/// At a start: takes the newest model that was committed and that this firmware reads.
pub fn choose<F: NorFlash + Mapped>(slots: [F; 2]) -> (InUse<F>, Spare<F>) {
    let [mut first, mut second] = slots;
    let sequence = |slot: &mut F| committed(slot).map_or(0, |found| found.sequence);
    let sequences = [sequence(&mut first), sequence(&mut second)];
    let [mut newest, mut other] = [in_use(first), in_use(second)];
    if sequences[1] > sequences[0] {
        core::mem::swap(&mut newest, &mut other);
    }
    if newest.model().is_none() && other.model().is_some() {
        core::mem::swap(&mut newest, &mut other);
    }
    let next = sequences[0].max(sequences[1]).saturating_add(1);
    let spare = Spare {
        slot: other.slot,
        sequence: next,
        update: None,
    };
    (newest, spare)
}

fn in_use<F: NorFlash>(mut slot: F) -> InUse<F> {
    let len = committed(&mut slot).map(|found| found.len);
    InUse { slot, len }
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

/// An update under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Update {
    len: u32,
    sha256: [u8; 32],
    /// Bytes that are there.
    next: u32,
    /// Number of the next record's place.
    place: u32,
}

/// The slot that takes the next model.
#[derive(Debug)]
pub struct Spare<F> {
    slot: F,
    /// Of the next commit.
    sequence: u32,
    update: Option<Update>,
}

impl<F: NorFlash + Mapped> Spare<F> {
    /// Largest file that fits.
    #[must_use]
    pub fn max_len(&self) -> u32 {
        max_len(&self.slot)
    }

    /// Begins an update, or goes on with it; says where.
    ///
    /// # Errors
    /// [`SlotError::TooLarge`] or [`SlotError::Flash`].
    pub fn begin(&mut self, len: u32, sha256: [u8; 32]) -> Result<u32, SlotError> {
        let max = self.max_len();
        if len == 0 || len > max {
            return Err(SlotError::TooLarge { max });
        }
        let mut update = Update {
            len,
            sha256,
            next: 0,
            place: 0,
        };
        if !go_on(&mut self.slot, &mut update) {
            let sector = sector_len::<F>();
            self.slot.erase(0, sector).map_err(|_| SlotError::Flash)?;
            let mut record = Record::new(BEGIN_MAGIC);
            record.push(&len.to_le_bytes());
            record.push(&sha256);
            record.write(&mut self.slot, 0)?;
        }
        self.update = Some(update);
        Ok(update.next)
    }

    /// Takes a piece of the file. Every piece but the last is a multiple of the flash's word; one that
    /// is already there is passed over.
    ///
    /// # Errors
    /// [`SlotError::NotBegun`], [`SlotError::Offset`] or [`SlotError::Flash`].
    pub fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, SlotError> {
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
            write_piece(&mut self.slot, &mut update, piece)?;
            self.update = Some(update);
            rest = more;
        }
        Ok(update.next)
    }

    /// Checks the whole file against its SHA-256, and returns that.
    ///
    /// # Errors
    /// [`SlotError::NotBegun`], [`SlotError::Incomplete`] or [`SlotError::Digest`].
    pub fn verify(&self) -> Result<[u8; 32], SlotError> {
        let update = self.update.ok_or(SlotError::NotBegun)?;
        if update.next < update.len {
            let next = update.next;
            return Err(SlotError::Incomplete { next });
        }
        let file = self.file().ok_or(SlotError::Flash)?;
        if Sha256::digest(file).as_slice() == update.sha256 {
            Ok(update.sha256)
        } else {
            Err(SlotError::Digest)
        }
    }

    /// The file that is being written, in place; what was not written yet is undefined.
    #[must_use]
    pub fn file(&self) -> Option<&[u8]> {
        self.slot.mapped(sector_len::<F>(), self.update?.len)
    }

    /// Makes the file the newest, after [`Self::verify`]. It is used from the next start on.
    ///
    /// # Errors
    /// [`SlotError::NotBegun`] or [`SlotError::Flash`].
    pub fn commit(&mut self) -> Result<(), SlotError> {
        let update = self.update.ok_or(SlotError::NotBegun)?;
        let record = Record::of(COMMIT_MAGIC, self.sequence, &update.sha256);
        record.write(&mut self.slot, record_at(update.place))?;
        self.update = None;
        Ok(())
    }

    /// Gives the update up. What was written stays until the next one.
    pub fn abort(&mut self) {
        self.update = None;
    }

    /// Gives the slot back.
    pub fn into_slot(self) -> F {
        self.slot
    }
}

/// Largest file that fits a slot: as many sectors as have room for their records, and one for `commit`,
/// in the first one.
fn max_len<F: NorFlash>(slot: &F) -> u32 {
    let sector = sector_len::<F>();
    let len = u32::try_from(slot.capacity()).unwrap_or(u32::MAX);
    let whole = places::<F>().saturating_sub(1);
    len.saturating_sub(sector).min(whole.saturating_mul(sector))
}

fn committed<F: NorFlash>(slot: &mut F) -> Option<Committed> {
    let (len, sha256) = read_begin(slot)?;
    let mut places = 0..places::<F>();
    let sequence =
        places.find_map(|place| read_record(slot, record_at(place), COMMIT_MAGIC, &sha256))?;
    (len <= max_len(slot)).then_some(Committed { len, sequence })
}

/// Whether an update of this very file was begun before and is not committed; then `update` goes on
/// where it was.
fn go_on<F: NorFlash>(slot: &mut F, update: &mut Update) -> bool {
    if read_begin(slot) != Some((update.len, update.sha256)) {
        return false;
    }
    let (mut whole, mut free) = (0, 0_u32);
    for place in 0..places::<F>() {
        let at = record_at(place);
        if let Some(index) = read_record(slot, at, WHOLE_MAGIC, &update.sha256) {
            whole = index.saturating_add(1);
        } else if read_record(slot, at, COMMIT_MAGIC, &update.sha256).is_some() {
            return false;
        }
        if !is_erased(slot, at) {
            free = place.saturating_add(1);
        }
    }
    let sector = sector_len::<F>();
    let missing = update.len.div_ceil(sector.max(1)).saturating_sub(whole);
    // One place may have been written to although it looks erased.
    let place = free.saturating_add(1);
    let enough = place.saturating_add(missing) < places::<F>();
    if enough {
        update.next = whole.saturating_mul(sector).min(update.len);
        update.place = place;
    }
    enough
}

/// Writes what lies in one sector, erasing it at its start and marking it at its end.
fn write_piece<F: NorFlash>(
    slot: &mut F,
    update: &mut Update,
    piece: &[u8],
) -> Result<(), SlotError> {
    let sector = sector_len::<F>();
    let index = update.next.checked_div(sector).unwrap_or(0);
    let at = sector.saturating_add(update.next);
    if update.next.checked_rem(sector) == Some(0) {
        let end = at.saturating_add(sector);
        slot.erase(at, end).map_err(|_| SlotError::Flash)?;
    }
    program(slot, at, piece)?;
    update.next = update.next.saturating_add(piece.len() as u32);
    if update.next.checked_rem(sector) == Some(0) || update.next == update.len {
        let record = Record::of(WHOLE_MAGIC, index, &update.sha256);
        record.write(slot, record_at(update.place))?;
        update.place = update.place.saturating_add(1);
    }
    Ok(())
}

fn sector_len<F: NorFlash>() -> u32 {
    u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX)
}
