//! Moving what is still wanted to the other bank, step by step.
//!
//! In: which records to keep. Out: the other bank, erased and filled, and in the end its header,
//! which makes it the one in use. Until then the old bank is the log, and takes appends.

use embedded_storage::nor_flash::NorFlash;

use super::format::{BankHeader, RecordHead};
use super::scan::{self, Found, Record};
use super::{Active, FORMAT_VERSION, OnFlash, Store, StoreError, Writer, io, total_len};
use crate::checksum::Crc32;

/// How far a compaction has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job {
    /// There is none.
    Idle,
    /// The sector at `at` of the other bank is next.
    Erase { at: u32 },
    /// The record at `from` is next, and goes to `to`.
    Copy { from: u32, to: u32 },
}

/// What a step of a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Erased a sector, or passed over something that is not kept.
    Working,
    /// Copied a record. It is still the one at `from` that counts, until [`Store::seal`].
    Moved {
        /// Where it was.
        from: Record,
        /// Where it will be.
        to: Record,
    },
    /// Passed over a record that was whole at the mount and is not any more.
    Lost,
    /// All is copied: the caller adds what it wants, and seals.
    Copied,
}

impl Store {
    /// Whether a compaction has begun.
    #[must_use]
    pub const fn is_compacting(&self) -> bool {
        !matches!(self.job, Job::Idle)
    }

    /// Begins a compaction or takes it one step further: erases one sector or copies one record,
    /// if `keep` says so.
    ///
    /// # Errors
    /// What the flash reports, [`StoreError::NotErased`], [`StoreError::NotWritten`]; or
    /// [`StoreError::Full`], which can only be when records were appended since the beginning. The
    /// compaction is over then, the log is as it was, and the next step begins another.
    pub fn compact_step<F: NorFlash>(
        &mut self,
        flash: &mut F,
        keep: impl FnMut(&Record) -> bool,
    ) -> OnFlash<Step, F> {
        let done = match self.job {
            Job::Idle => {
                let at = self.target();
                self.erase_step(flash, at)
            }
            Job::Erase { at } => self.erase_step(flash, at),
            Job::Copy { from, to } => self.copy_step(flash, from, to, keep),
        };
        self.or_give_up(done)
    }

    /// Adds a record to the copy.
    ///
    /// # Errors
    /// [`StoreError::NotCopied`] when the last step was not [`Step::Copied`]; else as
    /// [`Store::compact_step`].
    pub fn append_copy<F: NorFlash>(
        &mut self,
        flash: &mut F,
        kind: u8,
        version: u8,
        parts: &[&[u8]],
    ) -> OnFlash<Record, F> {
        let done = self.try_append_copy(flash, kind, version, parts);
        self.or_give_up(done)
    }

    fn try_append_copy<F: NorFlash>(
        &mut self,
        flash: &mut F,
        kind: u8,
        version: u8,
        parts: &[&[u8]],
    ) -> OnFlash<Record, F> {
        let to = self.copied()?;
        let len = total_len(parts);
        self.check_room(to, len)?;
        let head = RecordHead::new(len, kind, version, parts);
        let bytes = head.emit(self.next_epoch());
        let next = super::write_record(flash, self.unit, to, &bytes, parts)?;
        self.job = Job::Copy {
            from: self.tail,
            to: next,
        };
        Ok(Record::new(to, &head))
    }

    /// Writes the header of the copy: from here on it is the log.
    ///
    /// # Errors
    /// As [`Store::append_copy`].
    pub fn seal<F: NorFlash>(&mut self, flash: &mut F) -> OnFlash<(), F> {
        let done = self.try_seal(flash);
        self.or_give_up(done)
    }

    fn try_seal<F: NorFlash>(&mut self, flash: &mut F) -> OnFlash<(), F> {
        let tail = self.copied()?;
        let (base, epoch) = (self.target(), self.next_epoch());
        let header = BankHeader {
            format: FORMAT_VERSION,
            unit: u16::try_from(self.unit).unwrap_or(u16::MAX),
            epoch,
            bank_len: self.layout.bank_len,
        };
        let mut writer = Writer::new(base);
        writer.push(flash, &header.emit())?;
        writer.finish(flash, self.unit)?;
        self.active = Some(Active { base, epoch });
        self.tail = tail;
        self.dirty = false;
        self.job = Job::Idle;
        Ok(())
    }

    fn erase_step<F: NorFlash>(&mut self, flash: &mut F, at: u32) -> OnFlash<Step, F> {
        let base = self.target();
        // A log that has come to its last epoch is full for good.
        if self.epoch() == u32::MAX {
            return Err(StoreError::Full { needed: 1, free: 0 });
        }
        let at = io::erase_sector(flash, at)?;
        self.job = if at < self.bank_end(base) {
            Job::Erase { at }
        } else {
            Job::Copy {
                from: self.cursor().0,
                to: self.first(base),
            }
        };
        Ok(Step::Working)
    }

    fn copy_step<F: NorFlash>(
        &mut self,
        flash: &mut F,
        from: u32,
        to: u32,
        mut keep: impl FnMut(&Record) -> bool,
    ) -> OnFlash<Step, F> {
        let mut found = scan::look(flash, self.unit, self.epoch(), from, self.tail)?;
        if matches!(found, Found::Damage { .. }) {
            // Once more, before something is left behind for good.
            found = scan::look(flash, self.unit, self.epoch(), from, self.tail)?;
        }
        let Some(next) = found.next() else {
            self.job = Job::Copy {
                from: self.tail,
                to,
            };
            return Ok(Step::Copied);
        };
        let (to, step) = match found {
            Found::Record { record, .. } if keep(&record) => {
                let (copy, end) = self.copy(flash, &record, to)?;
                (
                    end,
                    Step::Moved {
                        from: record,
                        to: copy,
                    },
                )
            }
            Found::Damage { .. } => (to, Step::Lost),
            _ => (to, Step::Working),
        };
        self.job = Job::Copy { from: next, to };
        Ok(step)
    }

    fn copy<F: NorFlash>(
        &self,
        flash: &mut F,
        record: &Record,
        to: u32,
    ) -> OnFlash<(Record, u32), F> {
        self.check_room(to, record.len)?;
        let head = RecordHead {
            len: record.len,
            kind: record.kind,
            version: record.version,
            payload_crc: record.payload_crc,
        };
        let mut writer = Writer::new(to);
        let mut crc = Crc32::new();
        writer.push(flash, &head.emit(self.next_epoch()))?;
        io::pieces(flash, record.at, record.len, |flash, _, piece| {
            crc.update(piece);
            writer.push(flash, piece)?;
            Ok(None::<()>)
        })?;
        let end = writer.finish(flash, self.unit)?;
        if crc.finish() == record.payload_crc {
            Ok((Record::new(to, &head), end))
        } else {
            // It read otherwise a moment ago.
            Err(StoreError::NotWritten { at: to })
        }
    }

    fn or_give_up<T, E>(&mut self, done: Result<T, E>) -> Result<T, E> {
        if done.is_err() {
            self.job = Job::Idle;
        }
        done
    }

    fn check_room<E>(&self, to: u32, len: u32) -> Result<(), StoreError<E>> {
        let needed = self.extent(len);
        let free = self.bank_end(self.target()).saturating_sub(to);
        if needed <= free {
            Ok(())
        } else {
            Err(StoreError::Full { needed, free })
        }
    }

    /// Where the copy ends, when all is copied.
    const fn copied<E>(&self) -> Result<u32, StoreError<E>> {
        match self.job {
            Job::Copy { from, to } if from >= self.tail => Ok(to),
            _ => Err(StoreError::NotCopied),
        }
    }

    /// First byte of the bank that is not in use.
    fn target(&self) -> u32 {
        self.active
            .map_or(self.layout.at, |a| self.layout.other(a.base))
    }

    fn next_epoch(&self) -> u32 {
        self.epoch().saturating_add(1)
    }
}
