//! The seam to the hardware: what a board gives, and what happens when the program cannot go on.
//!
//! A board gives a [`Board`] (text out, files in) and a [`Memory`] (buffers) to programs that are run once,
//! and [`Devices`] (link, flash, camera, clock, watchdog, sleep) to the one that lives; each is handed out once.
//! Nothing outside this module knows which board it is; `unsafe` is allowed here and nowhere else.
#![allow(unsafe_code, reason = "registers, semihosting and statics")]

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

mod addresses;
mod camera;
mod clock;
mod devices;
pub mod flash_map;
mod host_file;
pub mod mark;
mod mps2;
mod nor;
mod register;
mod sleep;
mod uart;
mod watchdog;

pub use addresses::NAME;
pub use camera::{Camera, Picture};
pub use clock::Clock;
pub use devices::Devices;
pub use host_file::FileError;
pub use mps2::{Board, Buffers, Memory, exit, read_file, restart, say};
pub use nor::{Flash, Nor};
pub use sleep::Sleep;
pub use uart::Uart;
pub use watchdog::Watchdog;

const CHOSEN: usize = cfg!(feature = "board-an386") as usize
    + cfg!(feature = "board-an500") as usize
    + cfg!(feature = "board-an505") as usize
    + cfg!(feature = "board-an547") as usize;
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
