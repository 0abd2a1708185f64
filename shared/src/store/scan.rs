//! What is at a place in the log: a record, something torn, nothing.
//!
//! In: a place in a bank. Out: what is there, its checksums compared, and where to look next.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use super::format::{RecordHead, head};
use super::{OnFlash, Store, io};
use crate::checksum::Crc32;

/// A record in flash whose bytes were right when it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it means, to the caller of [`Store::append`].
    pub kind: u8,
    /// Which form of that kind.
    pub version: u8,
    /// Address of its payload in flash.
    pub at: u32,
    /// Bytes of its payload.
    pub len: u32,
    /// CRC-32 of its payload.
    pub(super) payload_crc: u32,
}

impl Record {
    pub(super) fn new(head_at: u32, head: &RecordHead) -> Self {
        Self {
            kind: head.kind,
            version: head.version,
            at: head_at.saturating_add(head::LEN as u32),
            len: head.len,
            payload_crc: head.payload_crc,
        }
    }

    /// Reads the payload from `offset` on into `out`, and returns how many bytes there were: fewer
    /// than `out` is long at the end of the payload. Checks nothing again.
    ///
    /// # Errors
    /// What the flash reports.
    pub fn read<F: ReadNorFlash>(
        &self,
        flash: &mut F,
        offset: u32,
        out: &mut [u8],
    ) -> OnFlash<usize, F> {
        let rest = self.len.saturating_sub(offset) as usize;
        let len = rest.min(out.len());
        let out = out.get_mut(..len).unwrap_or_default();
        io::read(flash, self.at.saturating_add(offset), out)?;
        Ok(len)
    }
}

/// Where a reader of the log is. It ends with the next compaction.
#[derive(Debug, Clone, Copy)]
pub struct Cursor(pub(super) u32);

impl Store {
    /// At the oldest record.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor(self.active.map_or(self.tail, |a| self.first(a.base)))
    }

    /// The record at the cursor, which moves behind it; `None` behind the last one. Damaged records
    /// are passed over.
    ///
    /// # Errors
    /// What the flash reports.
    pub fn next<F: NorFlash>(
        &self,
        flash: &mut F,
        cursor: &mut Cursor,
    ) -> OnFlash<Option<Record>, F> {
        loop {
            let found = look(flash, self.unit, self.epoch(), cursor.0, self.tail)?;
            let Some(next) = found.next() else {
                return Ok(None);
            };
            cursor.0 = next;
            if let Found::Record { record, .. } = found {
                return Ok(Some(record));
            }
        }
    }
}

/// What is at a place in the log, and where to look next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    /// A record, checksums and all.
    Record { record: Record, next: u32 },
    /// Neither a record nor erased.
    Damage { next: u32 },
    /// Erased, but something follows.
    Blank { next: u32 },
    /// Nothing from here on.
    End,
}

impl Found {
    pub(super) const fn next(&self) -> Option<u32> {
        match self {
            Self::Record { next, .. } | Self::Damage { next } | Self::Blank { next } => Some(*next),
            Self::End => None,
        }
    }
}

/// Looks at the unit at `at`; the log has no byte from `end` on.
pub(super) fn look<F: ReadNorFlash>(
    flash: &mut F,
    unit: u32,
    epoch: u32,
    at: u32,
    end: u32,
) -> OnFlash<Found, F> {
    let mut bytes = [0; head::LEN];
    let payload = at.saturating_add(head::LEN as u32);
    if payload > end {
        return Ok(Found::End);
    }
    io::read(flash, at, &mut bytes)?;
    if bytes == [0xFF; head::LEN] {
        let written = io::first_written(flash, at, end)?;
        // At the unit's last words there may be something although its head is blank.
        let next = written.map_or(end, |byte| byte & !unit.wrapping_sub(1));
        return Ok(match written {
            None => Found::End,
            Some(_) if next == at => Found::Damage {
                next: at.saturating_add(unit),
            },
            Some(_) => Found::Blank { next },
        });
    }
    let head = RecordHead::parse(&bytes, epoch);
    let Some(head) = head.filter(|head| head.len <= end.saturating_sub(payload)) else {
        let next = at.saturating_add(unit);
        return Ok(Found::Damage { next });
    };
    let next = io::round_up(payload.saturating_add(head.len), unit);
    if payload_crc(flash, payload, head.len)? != head.payload_crc {
        return Ok(Found::Damage { next });
    }
    let record = Record::new(at, &head);
    Ok(Found::Record { record, next })
}

fn payload_crc<F: ReadNorFlash>(flash: &mut F, at: u32, len: u32) -> OnFlash<u32, F> {
    let mut crc = Crc32::new();
    io::pieces(flash, at, len, |_, _, piece| {
        crc.update(piece);
        Ok(None::<()>)
    })?;
    Ok(crc.finish())
}
