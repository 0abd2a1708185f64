//! Reads at any address, writes that are read back, erases that are checked.
//!
//! In: addresses and bytes of any length. Out: accesses that the flash allows: aligned, in words.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use super::{OnFlash, StoreError};

/// Most bytes in one access, and the longest word of a flash that this crate works with.
pub(super) const CHUNK: usize = 256;

/// Bytes that are compared or copied at a time; a multiple of every word to read but the longest.
const PIECE: usize = 64;

/// `n` rounded up to a multiple of `unit`, a power of two.
pub(super) const fn round_up(n: u32, unit: u32) -> u32 {
    let below = unit.wrapping_sub(1);
    n.saturating_add(below) & !below
}

/// Reads `out.len()` bytes from any address.
pub(crate) fn read<F: ReadNorFlash>(flash: &mut F, at: u32, out: &mut [u8]) -> OnFlash<(), F> {
    if F::READ_SIZE <= 1 {
        return flash.read(at, out).map_err(StoreError::Flash);
    }
    let below = F::READ_SIZE.wrapping_sub(1);
    let (mut at, mut out) = (at, out);
    let mut stage = [0; CHUNK];
    while !out.is_empty() {
        let skip = at as usize & below;
        let wanted = skip.saturating_add(out.len()).saturating_add(below) & !below;
        let stage = stage.get_mut(..wanted.min(CHUNK)).unwrap_or_default();
        let start = at.wrapping_sub(skip as u32);
        flash.read(start, stage).map_err(StoreError::Flash)?;
        let got = stage.get(skip..).unwrap_or_default();
        let n = got.len().min(out.len());
        let Some((part, rest)) = out.split_at_mut_checked(n) else {
            break;
        };
        part.iter_mut().zip(got).for_each(|(to, from)| *to = *from);
        at = at.saturating_add(n as u32);
        out = rest;
    }
    Ok(())
}

/// Hands `len` bytes from `at` on to `each`, piece by piece, until one answers with something.
pub(super) fn pieces<F: ReadNorFlash, T>(
    flash: &mut F,
    at: u32,
    len: u32,
    mut each: impl FnMut(&mut F, u32, &[u8]) -> OnFlash<Option<T>, F>,
) -> OnFlash<Option<T>, F> {
    let mut done = 0;
    let mut piece = [0; PIECE];
    while done < len {
        let n = len.saturating_sub(done).min(PIECE as u32);
        let piece = piece.get_mut(..n as usize).unwrap_or_default();
        let from = at.saturating_add(done);
        read(flash, from, piece)?;
        if let Some(answer) = each(flash, from, piece)? {
            return Ok(Some(answer));
        }
        done = done.saturating_add(n);
    }
    Ok(None)
}

/// Address of the first byte in `from..to` that is not erased.
pub(super) fn first_written<F: ReadNorFlash>(
    flash: &mut F,
    from: u32,
    to: u32,
) -> OnFlash<Option<u32>, F> {
    pieces(flash, from, to.saturating_sub(from), |_, at, piece| {
        let written = piece.iter().position(|byte| *byte != 0xFF);
        Ok(written.map(|offset| at.saturating_add(offset as u32)))
    })
}

/// Erases the sector at `at`, looks whether it is erased, and returns where the next one starts.
pub(super) fn erase_sector<F: NorFlash>(flash: &mut F, at: u32) -> OnFlash<u32, F> {
    let next = at.saturating_add(F::ERASE_SIZE as u32);
    flash.erase(at, next).map_err(StoreError::Flash)?;
    match first_written(flash, at, next)? {
        Some(at) => Err(StoreError::NotErased { at }),
        None => Ok(next),
    }
}

/// Writes bytes one after the other, each word once, and reads each back.
pub(super) struct Writer {
    at: u32,
    stage: [u8; CHUNK],
    filled: usize,
}

impl Writer {
    /// Will write from `at` on, a multiple of the flash's word.
    pub(super) const fn new(at: u32) -> Self {
        Self {
            at,
            stage: [0xFF; CHUNK],
            filled: 0,
        }
    }

    pub(super) fn push<F: NorFlash>(&mut self, flash: &mut F, bytes: &[u8]) -> OnFlash<(), F> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let free = self.stage.get_mut(self.filled..).unwrap_or_default();
            let n = free.len().min(rest.len());
            free.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.filled = self.filled.saturating_add(n);
            rest = rest.get(n..).unwrap_or_default();
            if self.filled >= CHUNK {
                self.flush(flash, CHUNK)?;
            }
        }
        Ok(())
    }

    /// Fills the last unit with `0xFF` and returns where the next one starts.
    pub(super) fn finish<F: NorFlash>(mut self, flash: &mut F, unit: u32) -> OnFlash<u32, F> {
        let len = round_up(self.filled as u32, unit) as usize;
        let padding = self.stage.get_mut(self.filled..len).unwrap_or_default();
        padding.fill(0xFF);
        self.flush(flash, len)?;
        Ok(self.at)
    }

    fn flush<F: NorFlash>(&mut self, flash: &mut F, len: usize) -> OnFlash<(), F> {
        let staged = self.stage.get(..len).unwrap_or_default();
        if staged.is_empty() {
            return Ok(());
        }
        flash.write(self.at, staged).map_err(StoreError::Flash)?;
        let mut expected = staged;
        let differs = pieces(flash, self.at, len as u32, |_, at, piece| {
            let same = expected.get(..piece.len()) == Some(piece);
            expected = expected.get(piece.len()..).unwrap_or_default();
            Ok((!same).then_some(at))
        })?;
        if let Some(at) = differs {
            return Err(StoreError::NotWritten { at });
        }
        self.at = self.at.saturating_add(len as u32);
        self.filled = 0;
        Ok(())
    }
}
