//! A log in two banks of NOR flash that survives a power cut at any byte.
//!
//! In: a flash, where the two banks lie in it, and records to append. Out: all records that were ever
//! acknowledged, in order, until the caller lets them go in a compaction. What records mean is the
//! caller's business. The bytes are normative in `STORE.md`, which [`crate::support_set`] shows.
//!
//! The flash is handed to every call, because other things live in it too; a [`Store`] is nothing
//! but positions. [`Store::mount`] only reads. Every written byte is read back before a call
//! returns `Ok`, and no word is programmed twice.
//!
//! # Compaction
//!
//! The caller drives it, one sector or one record for each [`Store::compact_step`], and may append
//! and read between any two steps. When the step answers [`Step::Copied`], the caller adds what it
//! wants to say about the records that it left out ([`Store::append_copy`]) and commits with
//! [`Store::seal`]. Until then nothing has changed.
//!
//! # What is assumed of the flash
//!
//! Erased bytes are `0xFF`. A read does not fail because of what a torn write or a torn erase left
//! behind (flash with ECC that traps needs a driver that returns such words as noise). A torn write
//! damages no byte outside the word it was at, and a torn erase none outside its sector. A word whose
//! write was cut so early that it reads as erased can be written: nobody can tell it from one that
//! was never touched. It is read back like any other.

use embedded_storage::nor_flash::NorFlash;

mod compact;
mod error;
mod format;
mod io;
mod scan;

pub use compact::Step;
pub use error::{GeometryError, StoreError};
pub use format::FORMAT_VERSION;
pub(crate) use format::{array, put, read_u32};
pub(crate) use io::read;
pub use scan::{Cursor, Record};

use compact::Job;
use format::BankHeader;
use io::{CHUNK, Writer};
use scan::Found;

/// What a call on flash `F` gives.
pub(crate) type OnFlash<T, F> =
    Result<T, StoreError<<F as embedded_storage::nor_flash::ErrorType>::Error>>;

/// Where the two banks lie: the first at `at`, the second right behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// First byte of the first bank; a multiple of the flash's erase size.
    pub at: u32,
    /// Bytes of one bank; a multiple of the flash's erase size.
    pub bank_len: u32,
}

impl Layout {
    const fn other(self, base: u32) -> u32 {
        if base == self.at {
            self.at.saturating_add(self.bank_len)
        } else {
            self.at
        }
    }
}

/// What a mount found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scan {
    /// Records that are whole.
    pub records: u32,
    /// Stretches in the midst of the log that once were records and are not any more.
    pub damaged: u32,
    /// Whether the log ends in something torn: the next append compacts first.
    pub dirty: bool,
}

/// The bank in use.
#[derive(Debug, Clone, Copy)]
struct Active {
    base: u32,
    epoch: u32,
}

/// Positions in a log in flash.
#[derive(Debug, Clone)]
pub struct Store {
    layout: Layout,
    /// Records and the bank header start at multiples of this; a power of two.
    unit: u32,
    active: Option<Active>,
    /// Behind the last record.
    tail: u32,
    /// The bytes from `tail` on are not all erased, or not to be trusted.
    dirty: bool,
    job: Job,
}

impl Store {
    /// Finds the newest log and reads all of it; `visit` sees each record, oldest first. Writes
    /// nothing. Flash that holds no log, whatever else it holds, is an empty log.
    ///
    /// # Errors
    /// [`StoreError::Geometry`] when the flash or the layout does not suit; [`StoreError::Format`]
    /// when a later release wrote the log; what the flash or `visit` reports.
    pub fn mount<F: NorFlash>(
        flash: &mut F,
        layout: Layout,
        visit: impl FnMut(&mut F, Record) -> OnFlash<(), F>,
    ) -> OnFlash<(Self, Scan), F> {
        let unit = check_geometry(flash, layout).map_err(StoreError::Geometry)?;
        let mut store = Self {
            layout,
            unit,
            active: None,
            tail: layout.at,
            dirty: false,
            job: Job::Idle,
        };
        let Some((base, header)) = newest(flash, layout)? else {
            return Ok((store, Scan::default()));
        };
        if header.format != FORMAT_VERSION {
            return Err(StoreError::Format { got: header.format });
        }
        if u32::from(header.unit) != unit || header.bank_len != layout.bank_len {
            return Err(StoreError::Geometry(GeometryError::Written {
                unit: header.unit,
                bank_len: header.bank_len,
            }));
        }
        store.active = Some(Active {
            base,
            epoch: header.epoch,
        });
        let scan = store.find_tail(flash, visit)?;
        Ok((store, scan))
    }

    fn find_tail<F: NorFlash>(
        &mut self,
        flash: &mut F,
        mut visit: impl FnMut(&mut F, Record) -> OnFlash<(), F>,
    ) -> OnFlash<Scan, F> {
        let (mut scan, mut torn, mut was_torn) = (Scan::default(), 0, false);
        let Some(active) = self.active else {
            return Ok(scan);
        };
        let end = self.bank_end(active.base);
        let mut at = self.first(active.base);
        self.tail = at;
        loop {
            let found = scan::look(flash, self.unit, active.epoch, at, end)?;
            at = match found {
                Found::Record { record, next } => {
                    scan.records = scan.records.saturating_add(1);
                    // It was written after what is torn before it, and nothing is ever written
                    // behind a torn end: so that was whole once.
                    scan.damaged = torn;
                    visit(flash, record)?;
                    self.tail = next;
                    next
                }
                Found::Damage { next } => {
                    torn = torn.saturating_add(u32::from(!was_torn));
                    next
                }
                Found::Blank { next } => next,
                Found::End => break,
            };
            was_torn = matches!(found, Found::Damage { .. });
        }
        self.dirty = torn > scan.damaged;
        scan.dirty = self.dirty;
        Ok(scan)
    }

    /// Erases both banks: an empty log, also where a later release wrote. Nothing can bring back
    /// what was there.
    ///
    /// # Errors
    /// [`StoreError::Geometry`], or what the flash reports.
    pub fn format<F: NorFlash>(flash: &mut F, layout: Layout) -> OnFlash<(), F> {
        check_geometry(flash, layout).map_err(StoreError::Geometry)?;
        // The older one first: a cut in between leaves the newer state, not the older.
        let newer = newest(flash, layout)?.map_or(layout.at, |(base, _)| base);
        for base in [layout.other(newer), newer] {
            let end = base.saturating_add(layout.bank_len);
            let mut at = base;
            while at < end {
                at = io::erase_sector(flash, at)?;
            }
        }
        Ok(())
    }

    /// Writes a record behind the last one. Its payload is `parts`, one after the other.
    ///
    /// # Errors
    /// [`StoreError::Full`] when [`Store::room`] is less than [`Store::extent`] of the payload,
    /// before anything is written; [`StoreError::Flash`] or [`StoreError::NotWritten`] when the
    /// flash does not take it: the record does not count, and the next append needs a compaction.
    pub fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        kind: u8,
        version: u8,
        parts: &[&[u8]],
    ) -> OnFlash<Record, F> {
        let len = total_len(parts);
        let (needed, free) = (self.extent(len), self.room());
        let (Some(active), true) = (self.active, needed <= free) else {
            return Err(StoreError::Full { needed, free });
        };
        let at = self.tail;
        let head = format::RecordHead::new(len, kind, version, parts);
        match write_record(flash, self.unit, at, &head.emit(active.epoch), parts) {
            Ok(next) => {
                self.tail = next;
                Ok(Record::new(at, &head))
            }
            Err(error) => {
                self.dirty = true;
                Err(error)
            }
        }
    }

    /// Bytes for records that can be written without a compaction; 0 when the log is dirty.
    #[must_use]
    pub fn room(&self) -> u32 {
        match self.active {
            Some(active) if !self.dirty => self.bank_end(active.base).saturating_sub(self.tail),
            _ => 0,
        }
    }

    /// Bytes for records in a bank.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        let end = self.bank_end(self.layout.at);
        end.saturating_sub(self.first(self.layout.at))
    }

    /// Bytes that records take at present, also those that a compaction would free.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.active
            .map_or(0, |a| self.tail.saturating_sub(self.first(a.base)))
    }

    /// Bytes of flash that a record with a payload of `len` bytes takes.
    #[must_use]
    pub const fn extent(&self, len: u32) -> u32 {
        io::round_up(len.saturating_add(format::head::LEN as u32), self.unit)
    }

    /// What [`Store::extent`] gives on flash `F`.
    #[must_use]
    pub const fn extent_on<F: NorFlash>(len: u32) -> u32 {
        let unit = if F::WRITE_SIZE as u32 > format::MIN_UNIT {
            F::WRITE_SIZE as u32
        } else {
            format::MIN_UNIT
        };
        io::round_up(len.saturating_add(format::head::LEN as u32), unit)
    }

    /// How many banks were begun since the flash was new; 0 for none.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.active.map_or(0, |a| a.epoch)
    }

    /// Where the banks lie.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether the log ends in something torn, so that an append needs a compaction first.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Where the first record of a bank starts.
    const fn first(&self, base: u32) -> u32 {
        base.saturating_add(io::round_up(format::bank::LEN as u32, self.unit))
    }

    const fn bank_end(&self, base: u32) -> u32 {
        base.saturating_add(self.layout.bank_len)
    }
}

/// Writes a record and returns where the next one starts.
fn write_record<F: NorFlash>(
    flash: &mut F,
    unit: u32,
    at: u32,
    head: &[u8],
    parts: &[&[u8]],
) -> OnFlash<u32, F> {
    let mut writer = Writer::new(at);
    writer.push(flash, head)?;
    for part in parts {
        writer.push(flash, part)?;
    }
    writer.finish(flash, unit)
}

fn total_len(parts: &[&[u8]]) -> u32 {
    parts.iter().fold(0, |sum: u32, part| {
        sum.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX))
    })
}

/// The valid bank header with the highest epoch, and where its bank starts.
fn newest<F: NorFlash>(flash: &mut F, layout: Layout) -> OnFlash<Option<(u32, BankHeader)>, F> {
    let mut best: Option<(u32, BankHeader)> = None;
    for base in [layout.at, layout.other(layout.at)] {
        let mut bytes = [0; format::bank::LEN];
        io::read(flash, base, &mut bytes)?;
        if let Some(header) = BankHeader::parse(&bytes)
            && best.is_none_or(|(_, best)| header.epoch > best.epoch)
        {
            best = Some((base, header));
        }
    }
    Ok(best)
}

/// Returns the unit.
fn check_geometry<F: NorFlash>(flash: &F, layout: Layout) -> Result<u32, GeometryError> {
    let size = |bytes| u32::try_from(bytes).unwrap_or(0);
    let (write, read) = (size(F::WRITE_SIZE), size(F::READ_SIZE));
    let unit = write.max(format::MIN_UNIT);
    let fits = |size: u32| size.is_power_of_two() && size <= CHUNK as u32;
    if !fits(write) || !fits(read) || read > unit {
        return Err(GeometryError::Words { write, read });
    }
    let (sector, Layout { at, bank_len }) = (size(F::ERASE_SIZE), layout);
    let whole = |n: u32| n.checked_rem(sector) == Some(0);
    if !whole(at) || !whole(bank_len) || sector & unit.wrapping_sub(1) != 0 || bank_len == 0 {
        return Err(GeometryError::Sectors { sector });
    }
    let end = bank_len.checked_mul(2).and_then(|len| at.checked_add(len));
    let capacity = flash.capacity();
    if end.is_none_or(|end| usize::try_from(end).is_ok_and(|end| end > capacity)) {
        return Err(GeometryError::Capacity { capacity });
    }
    Ok(unit)
}
