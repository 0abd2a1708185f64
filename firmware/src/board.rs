//! The seam to the hardware: what a board gives, and what happens when the program cannot go on.
//!
//! A board gives a `Board` (text out, files in) and a `Memory` (buffers) to programs that are run once,
//! and [`Devices`] (link, flash, camera, clock, watchdog, sleep, panel) to the one that lives; each is handed out
//! once. A board that is no emulator's has the second only.
//! Nothing outside this module knows which board it is; `unsafe` is allowed here and nowhere else.
#![allow(unsafe_code, reason = "registers, semihosting and statics")]

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

mod devices;
pub mod flash_map;
mod register;
mod slot;

#[cfg(feature = "qemu")]
mod addresses;
#[cfg(feature = "qemu")]
mod camera;
#[cfg(feature = "qemu")]
mod clock;
#[cfg(feature = "qemu")]
mod host_file;
#[cfg(feature = "qemu")]
pub mod mark;
#[cfg(feature = "qemu")]
mod mps2;
#[cfg(feature = "qemu")]
mod nor;
#[cfg(feature = "qemu")]
mod panel;
#[cfg(feature = "qemu")]
mod sleep;
#[cfg(feature = "qemu")]
mod uart;
#[cfg(feature = "qemu")]
mod watchdog;

#[cfg(feature = "hardware")]
mod arducam;
#[cfg(feature = "hardware")]
mod buffers;
#[cfg(feature = "hardware")]
mod buttons;
#[cfg(feature = "hardware")]
mod flash;
#[cfg(feature = "hardware")]
mod hardware;
#[cfg(feature = "hardware")]
mod wire;

#[cfg(feature = "board-nrf52840")]
mod nrf52840;
// Of two boards the assertion below speaks, not what each misses in the other.
#[cfg(all(feature = "board-pico2", not(feature = "board-nrf52840")))]
mod pico2;

#[cfg(feature = "board-nrf52840")]
use nrf52840 as chip;
#[cfg(all(feature = "board-pico2", not(feature = "board-nrf52840")))]
use pico2 as chip;

#[cfg(feature = "board-nrf52840")]
pub use flash_map::nrf52840 as map;
#[cfg(not(feature = "board-nrf52840"))]
pub use flash_map::pico2 as map;

pub use devices::Devices;

#[cfg(feature = "qemu")]
pub use self::{
    addresses::NAME,
    camera::{Camera, Picture},
    clock::Clock,
    host_file::FileError,
    mps2::{Board, Buffers, Memory, WATCHDOG_MS, exit, first_model, read_file, restart, say},
    nor::{Flash, Nor},
    panel::Panel,
    sleep::Sleep,
    uart::Uart,
    watchdog::Watchdog,
};
#[cfg(feature = "qemu")]
use mps2::gather;

#[cfg(feature = "hardware")]
pub use self::{
    arducam::{Camera, Picture},
    buffers::{Buffers, first_model},
    buttons::Panel,
    chip::{
        CYCLES_PER_US, Clock, NAME, Sleep, Uart, WATCHDOG_MS, Watchdog, note, notes, pins, restart,
    },
    flash::{Flash, Nor},
    hardware::{exit, say},
};
#[cfg(feature = "hardware")]
use hardware::gather;

const CHOSEN: usize = cfg!(feature = "board-an386") as usize
    + cfg!(feature = "board-an500") as usize
    + cfg!(feature = "board-an505") as usize
    + cfg!(feature = "board-an547") as usize
    + cfg!(feature = "board-nrf52840") as usize
    + cfg!(feature = "board-pico2") as usize;
const _: () = assert!(
    CHOSEN == 1,
    "choose exactly one board, for example `--features board-an386`"
);

/// Never runs, and the linker proves it: the function it calls does not exist, so a program with
/// one reachable panic does not link. `README.md` says how to find the panic.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn onelook_panic_must_be_unreachable() -> !;
    }
    // SAFETY: there is no such function, so there is no program in which this is called.
    unsafe { onelook_panic_must_be_unreachable() }
}

/// Bytes of stack that the program has used at its deepest: from the start of the stack down to the
/// last word that no longer has the value it was painted with.
#[cfg(feature = "measure-stack")]
#[must_use]
pub fn stack_depth() -> usize {
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let (start, end) = (&raw const _stack_start, &raw const _stack_end);
    let mut word = end;
    // SAFETY: `word` runs through RAM between two symbols of the memory map, aligned; a volatile
    // read of another function's stack is a read of plain memory.
    while word < start && unsafe { word.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
        word = word.wrapping_add(1);
    }
    start.addr() - word.addr()
}

/// A fault is a failure, not an endless loop: the host sees the exit status.
///
/// # Safety
/// Called by the hardware only; it touches no memory of the program it interrupts.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    exit(Err(()))
}
