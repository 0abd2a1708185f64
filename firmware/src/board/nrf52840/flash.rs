//! The flash that the program itself runs from, by the controller of non-volatile memory.
//!
//! In: sectors to erase, words to program. Out: bytes of the chip. Register names are those of the nRF52840 product
//! specification (NVMC). While the flash is busy the processor waits at its next instruction from there, so nothing
//! needs to run in RAM: 85 ms for a sector, 41 µs for a word, in which the USB controller puts its host off.
//! Between two erases a word may be programmed twice; one that would stay as it is, is left alone.
//! `shared/tests/nrf52840_flash.rs` runs this file against a model of the chip.

use embedded_storage::nor_flash::NorFlashErrorKind;

use crate::board::flash_map::WRITE;
use crate::board::register::Registers;

/// Where the chip is read.
pub(crate) const MAPPED: usize = 0;

const NVMC: usize = 0x4001_e000;
const READY: usize = 0x400;
const CONFIG: usize = 0x504;
const ERASEPAGE: usize = 0x508;
const READ_ONLY: u32 = 0;
const WRITE_ENABLED: u32 = 1;
const ERASE_ENABLED: u32 = 2;
/// Looks until a sector must be erased: each takes at least a cycle of 64 MHz, an erase 85 ms when it is slow.
const PATIENCE: u32 = 30_000_000;

/// The chip, in the hands of one part's owner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chip(());

impl Chip {
    /// # Safety
    /// Interrupts are masked for good. Whoever gets a copy of it changes only a part that is theirs.
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }

    /// Erases the sector at an address.
    pub(crate) fn erase(&mut self, at: u32) -> Result<(), NorFlashErrorKind> {
        let mut nvmc = nvmc();
        nvmc.write(CONFIG, ERASE_ENABLED);
        nvmc.write(ERASEPAGE, at);
        let done = wait(&nvmc);
        nvmc.write(CONFIG, READ_ONLY);
        done
    }

    /// Programs words at an address.
    pub(crate) fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let mut nvmc = nvmc();
        // SAFETY: the flash is memory that is written like registers, word by word; the words are of a part that is
        // the caller's own, as `new` demands.
        let mut flash = unsafe { Registers::new(MAPPED) };
        nvmc.write(CONFIG, WRITE_ENABLED);
        let (words, _) = bytes.as_chunks::<{ WRITE as usize }>();
        let mut done = Ok(());
        for (word, place) in words.iter().zip((at as usize..).step_by(WRITE as usize)) {
            let (new, old) = (u32::from_le_bytes(*word), flash.read(place));
            if old & new != old {
                flash.write(place, new);
                done = done.and(wait(&nvmc));
            }
        }
        nvmc.write(CONFIG, READ_ONLY);
        done
    }
}

fn nvmc() -> Registers {
    // SAFETY: the address is the chip's. The owners of the parts share the controller, but nothing runs beside the
    // program, so each is done with it before the next one begins.
    unsafe { Registers::new(NVMC) }
}

/// Until the flash has done what it was told.
fn wait(nvmc: &Registers) -> Result<(), NorFlashErrorKind> {
    let mut looks = 0..PATIENCE;
    match looks.any(|_| nvmc.read(READY) & 1 != 0) {
        true => Ok(()),
        false => Err(NorFlashErrorKind::Other),
    }
}
