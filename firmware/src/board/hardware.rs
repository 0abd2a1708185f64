//! A board that one can buy, with the drivers of its chip: what all of them do alike.
//!
//! In: the chip. Out: the [`Devices`] that a program lives with, and what happens when it ends.

use core::fmt;

use super::devices::Devices;
use super::{Camera, Clock, Flash, Panel, Sleep, Uart, Watchdog, chip};

/// All devices of the board.
///
/// # Safety
/// Called once.
pub(super) unsafe fn gather() -> Devices {
    // For good: nothing ever runs beside the program.
    cortex_m::interrupt::disable();
    // SAFETY: called once; what all drivers need comes first.
    unsafe {
        chip::start();
        Devices {
            uart: Uart::new(),
            flash: Flash::new(),
            camera: Camera::new(),
            clock: Clock::new(),
            watchdog: Watchdog::new(),
            sleep: Sleep::new(),
            panel: Panel::new(),
        }
    }
}

/// Says a line to nobody: the board has no terminal, and USB is the host's.
pub const fn say(_: &impl fmt::Display) {}

/// Ends the program: the lamp stays lit until the watchdog, if it runs, starts the board anew.
pub fn exit(_: Result<(), ()>) -> ! {
    chip::gpio::alarm();
    loop {
        core::hint::spin_loop();
    }
}
