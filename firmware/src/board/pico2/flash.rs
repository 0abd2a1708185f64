//! The flash that the program itself runs from: read in place, written through the boot ROM.
//!
//! In: sectors to erase, bytes to program. Out: bytes of the chip. While the flash is erased or programmed nothing can
//! be read from it, not even code, so that step is a function in RAM ([`away`]) with interrupts masked;
//! everything it calls is in the boot ROM. The chip programs pages of 256 bytes: words of 4 are programmed as a
//! page of ones around them, which leaves what is there as it is. A sector takes 45 ms to erase, 400 ms at
//! worst (W25Q32JV, tSE), in which USB waits.

use embedded_storage::nor_flash::NorFlashErrorKind;

use super::page::{PAGE, split};
use super::rom::FlashCalls;
use crate::board::flash_map::SECTOR;

/// Where the chip is read, through the cache.
pub(crate) const MAPPED: usize = 0x1000_0000;
/// Where the boot ROM leaves the code that makes the flash readable, as fast as it was at the start.
const BOOTRAM: usize = 0x400e_0000;
const XIP_SETUP_WORDS: usize = 64;
/// Pads of the flash: the ROM's functions reset them.
const PADS_QSPI_IO: usize = 0x4004_0004;
const N_PADS: usize = 6;
/// No block of this size is ever erased at once, so the ROM erases sectors.
const NO_BLOCK: u32 = 1 << 31;

/// The chip, in the hands of one part's owner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chip {
    calls: Option<FlashCalls>,
}

impl Chip {
    /// # Safety
    /// Interrupts are masked for good, and the other core is asleep as the boot ROM leaves it. Whoever gets a copy of
    /// it changes only a part that is theirs.
    pub(crate) unsafe fn new() -> Self {
        Self {
            calls: FlashCalls::find(),
        }
    }

    /// Erases the sector at an offset of the chip.
    pub(crate) fn erase(&mut self, at: u32) -> Result<(), NorFlashErrorKind> {
        self.change(at, None)
    }

    /// Programs words at an offset of the chip.
    pub(crate) fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let (mut at, mut rest) = (at, bytes);
        while let Some(split) = split(at, rest) {
            self.change(split.at, Some(&split.page))?;
            (at, rest) = (split.next, split.rest);
        }
        Ok(())
    }

    /// Erases a sector, or programs bytes, which lie in RAM.
    fn change(&mut self, at: u32, bytes: Option<&[u8; PAGE]>) -> Result<(), NorFlashErrorKind> {
        let calls = self.calls.as_ref().ok_or(NorFlashErrorKind::Other)?;
        let mut xip_setup = [0_u32; XIP_SETUP_WORDS];
        let boot = core::ptr::with_exposed_provenance::<u32>(BOOTRAM);
        for (index, word) in xip_setup.iter_mut().enumerate() {
            // SAFETY: the boot RAM is memory of 1 KiB, and secure code may read it.
            *word = unsafe { boot.wrapping_add(index).read_volatile() };
        }
        let task = Task {
            at,
            bytes: bytes.map_or(core::ptr::null(), |bytes| bytes.as_ptr()),
            len: bytes.map_or(SECTOR as usize, |bytes| bytes.len()),
            xip_setup: xip_setup.as_ptr(),
        };
        // SAFETY: the range is in a part that is the caller's own, as `new` demands; `task` and what it points to are
        // on the stack, in RAM; interrupts are masked.
        unsafe { away(calls, &task) };
        Ok(())
    }
}

/// What is to be done without the flash.
#[derive(Debug)]
#[repr(C)]
struct Task {
    /// Offset in the chip.
    at: u32,
    /// Bytes to program, in RAM; null to erase a sector.
    bytes: *const u8,
    len: usize,
    /// The code that makes the flash readable again, in RAM.
    xip_setup: *const u32,
}

/// Leaves the flash, does the task, comes back.
///
/// It lies in RAM, calls nothing but the ROM and the copy of the ROM's own code, and has no constant elsewhere:
/// `cargo xtask firmware build` looks at its instructions.
///
/// # Safety
/// 1. Nothing else runs, and nobody reads the flash.
/// 2. The range of the task may be changed, and all that it and `calls` point to is in RAM.
#[inline(never)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.onelook_flash_away")]
unsafe extern "C" fn onelook_flash_away(calls: &FlashCalls, task: &Task) {
    let pads = core::ptr::with_exposed_provenance_mut::<u32>(PADS_QSPI_IO);
    // SAFETY: the registers are the chip's; the ROM's functions are called in the order that the datasheet
    // wants, with what the obligations grant. Bit 0 of the address says that the copied code is Thumb.
    unsafe {
        let kept: [u32; N_PADS] = [
            pads.read_volatile(),
            pads.wrapping_add(1).read_volatile(),
            pads.wrapping_add(2).read_volatile(),
            pads.wrapping_add(3).read_volatile(),
            pads.wrapping_add(4).read_volatile(),
            pads.wrapping_add(5).read_volatile(),
        ];
        (calls.connect)();
        (calls.exit_xip)();
        if task.bytes.is_null() {
            (calls.erase)(task.at, task.len, NO_BLOCK, 0);
        } else {
            (calls.program)(task.at, task.bytes, task.len);
        }
        (calls.flush)();
        let xip_setup = task.xip_setup.wrapping_byte_add(1);
        core::mem::transmute::<*const u32, super::rom::Plain>(xip_setup)();
        let [a, b, c, d, e, f] = kept;
        pads.write_volatile(a);
        pads.wrapping_add(1).write_volatile(b);
        pads.wrapping_add(2).write_volatile(c);
        pads.wrapping_add(3).write_volatile(d);
        pads.wrapping_add(4).write_volatile(e);
        pads.wrapping_add(5).write_volatile(f);
    }
}

/// The function by a short name; the long one is for who looks at the ELF file.
unsafe fn away(calls: &FlashCalls, task: &Task) {
    // What was written before is in RAM before the ROM reads it, and nothing that is read after comes from
    // before.
    cortex_m::asm::dsb();
    // SAFETY: the obligations are the same.
    unsafe { onelook_flash_away(calls, task) };
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}
