//! Flash that is memory: a window of the board's PSRAM with the manners of a NOR flash.
//!
//! In: `embedded_storage`'s calls. Out: bytes in the region `NV` of the memory map. Erasing sets all bits of a
//! sector, programming clears bits and never sets one. With QEMU's `memory-backend-file` the window is
//! a file, so it outlives the emulator, and a killed emulator is a power cut: stores are volatile and in the
//! order of the calls, so what was written before the cut is there and nothing else.

use core::slice;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use shared::slots::Mapped;

use super::flash_map::{Part, SECTOR, WRITE};
use super::map::{DATA, MODELS, SAMPLES};

/// A part of the flash, alone in its owner's hands.
#[derive(Debug)]
pub struct Nor {
    words: *mut u32,
    /// Bytes.
    len: usize,
}

/// The parts of the chip that hold data.
#[derive(Debug)]
pub struct Flash {
    /// Both banks of the support set.
    pub samples: Nor,
    /// The slots of the models.
    pub models: [Nor; 2],
}

impl Flash {
    /// The window of the memory map.
    ///
    /// # Safety
    /// Called once.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the parts do not overlap, as `flash_map` asserts; called once, each has one owner.
        unsafe {
            Self {
                samples: Nor::part(SAMPLES),
                models: MODELS.map(|part| Nor::part(part)),
            }
        }
    }
}

impl Nor {
    /// # Safety
    /// Called once for a part, of those in [`DATA`].
    unsafe fn part(part: Part) -> Self {
        unsafe extern "C" {
            /// The start of `NV`, where `DATA` is; `memory/psram.x` asserts that it is long enough.
            static mut _onelook_nv_start: u32;
        }
        let offset = part.start.saturating_sub(DATA.start);
        let window = &raw mut _onelook_nv_start;
        Self {
            words: window.wrapping_byte_add(offset as usize),
            len: part.len as usize,
        }
    }

    /// What is there now. A model is used in place, so it borrows its slot.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        // SAFETY: the part is `len` bytes of memory that only `self` refers to, and a write needs
        // `&mut self`. Memory that nobody has written yet has a value too: that of the file or 0.
        unsafe { slice::from_raw_parts(self.words.cast::<u8>(), self.len) }
    }

    /// Changes `count` words from `offset` on; the caller has checked that they are there.
    fn change(&mut self, offset: u32, count: usize, mut new: impl FnMut(usize, u32) -> u32) {
        let start = self.words.wrapping_byte_add(offset as usize);
        for index in 0..count {
            let word = start.wrapping_add(index);
            // SAFETY: it is an aligned word of the part, which only `self` refers to. Volatile, so that
            // it is written now and once.
            unsafe { word.write_volatile(new(index, word.read_volatile())) };
        }
    }
}

impl Mapped for Nor {
    fn mapped(&self, at: u32, len: u32) -> Option<&[u8]> {
        self.bytes().get(at as usize..)?.get(..len as usize)
    }
}

impl ErrorType for Nor {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        let rest = self.bytes().get(offset as usize..);
        let source = rest.and_then(|rest| rest.get(..bytes.len()));
        for (to, from) in bytes.iter_mut().zip(source.unwrap_or(&[])) {
            *to = *from;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = WRITE as usize;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        let words = to.saturating_sub(from) / WRITE;
        self.change(from, words as usize, |_, _| u32::MAX);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        let (words, _) = bytes.as_chunks::<{ WRITE as usize }>();
        self.change(offset, words.len(), |index, old| {
            let new = words.get(index).copied().unwrap_or([0xff; 4]);
            old & u32::from_ne_bytes(new)
        });
        Ok(())
    }
}
