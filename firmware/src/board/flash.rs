//! The flash that the program itself runs from, in parts: read in place, changed by the chip's driver.
//!
//! In: `embedded_storage`'s calls. Out: bytes of the chip. Nothing is changed outside a part, and nothing while
//! somebody reads it in place.

use core::slice;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use shared::slots::Mapped;

use super::chip::flash::{Chip, MAPPED};
use super::flash_map::{Part, SECTOR, WRITE};
use super::map::{MODELS, SAMPLES, SCRATCH};

/// A part of the flash, alone in its owner's hands.
#[derive(Debug)]
pub struct Nor {
    /// Of the chip.
    start: u32,
    len: usize,
    chip: Chip,
}

/// The parts of the chip that hold data.
#[derive(Debug)]
pub struct Flash {
    /// Both banks of the support set.
    pub samples: Nor,
    /// The slots of the models.
    pub models: [Nor; 2],
    /// The last sector, which nobody needs.
    pub scratch: Nor,
}

impl Flash {
    /// # Safety
    /// Called once, with interrupts masked for good, and no other core awake.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the obligations are the same; the parts do not overlap, as `flash_map` asserts, and each gets one
        // owner, who changes nothing else.
        let chip = unsafe { Chip::new() };
        let part = |part: Part| Nor {
            start: part.start,
            len: part.len as usize,
            chip,
        };
        Self {
            samples: part(SAMPLES),
            models: MODELS.map(part),
            scratch: part(SCRATCH),
        }
    }
}

impl Nor {
    /// What is there now. A model is used in place, so it borrows its slot.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        let start = core::ptr::with_exposed_provenance::<u8>(MAPPED + self.start as usize);
        // SAFETY: the part is `len` readable bytes of the chip that only `self` changes, and for that it
        // needs `&mut self`.
        unsafe { slice::from_raw_parts(start, self.len) }
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
        let mut at = from;
        while at < to {
            self.chip.erase(self.start.saturating_add(at))?;
            at = at.saturating_add(SECTOR);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        self.chip.program(self.start.saturating_add(offset), bytes)
    }
}
