//! The clock: from the ring oscillator of the chip to its crystal of 32 MHz, which USB needs.
//!
//! In: a chip as the boot loader leaves it. Out: 64 MHz for the processor and 16 MHz for the timers, both from the
//! crystal. Register names are those of the nRF52840 product specification (CLOCK). Should the crystal not swing,
//! everything runs on without it, less exactly, and USB stays dark.

use crate::board::register::Registers;

/// Of the processor: there is no other.
pub(super) const SYSTEM_HZ: u32 = 64_000_000;

const CLOCK: usize = 0x4000_0000;
const TASKS_HFCLKSTART: usize = 0x0;
const EVENTS_HFCLKSTARTED: usize = 0x100;
const HFCLKSTAT: usize = 0x40c;
/// The crystal is the source, and it runs.
const FROM_CRYSTAL: u32 = 1 | 1 << 16;
/// Looks at it until it must swing: it takes 0.4 ms, and a look some cycles.
const PATIENCE: u32 = 1_000_000;

/// Starts the crystal.
///
/// # Safety
/// Called once, before any other device is used.
pub(super) unsafe fn start() {
    // SAFETY: the address is the chip's; called once, nobody else uses it.
    let mut clock = unsafe { Registers::new(CLOCK) };
    clock.write(EVENTS_HFCLKSTARTED, 0);
    clock.write(TASKS_HFCLKSTART, 1);
    for _ in 0..PATIENCE {
        if clock.read(EVENTS_HFCLKSTARTED) != 0 {
            break;
        }
    }
}

/// Whether all clocks come from the crystal.
pub(crate) fn is_crystal() -> bool {
    // SAFETY: reading a state changes nothing.
    let clock = unsafe { Registers::new(CLOCK) };
    clock.read(HFCLKSTAT) & FROM_CRYSTAL == FROM_CRYSTAL
}
