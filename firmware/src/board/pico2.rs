//! The Raspberry Pi Pico 2: RP2350, Cortex-M33F at 150 MHz, 520 KiB of RAM, 4 MiB of flash. **Builds, not yet
//! run on hardware**: `docs/hardware.md` says what was checked and how.
//!
//! In: the chip as its boot ROM leaves it. Out: its drivers, which `board::hardware` hands out. They are our own,
//! on plain registers, because what is published for the chip can panic; they follow the RP2350 datasheet and
//! the maker's SDK.
//!
//! | file       | what it holds                                              |
//! |------------|------------------------------------------------------------|
//! | `boot`     | what the boot ROM looks for                                |
//! | `clocks`   | crystal, PLLs, ticks, resets                               |
//! | `pins`     | which pin does what                                        |
//! | `gpio`     | pins                                                       |
//! | `timer`    | the time, and delays                                       |
//! | `watchdog` | restarts                                                   |
//! | `rom`      | functions of the boot ROM                                  |
//! | `flash`, `page` | the flash that the program runs from                  |
//! | `spi`      | the camera's bus                                           |
//! | `usb`      | the USB controller, a serial port to the host              |
//! | `sleep`    | until something happens                                    |
//! | `simulator`, `spi_simulator` | for tests on a desktop; no part of the firmware |

use super::buffers::Aligned;
use super::devices::Devices;
use super::flash_map::SECTOR;
use super::map::SLOT;
use super::wire;

mod boot;
mod clocks;
pub(super) mod flash;
pub(super) mod gpio;
mod page;
pub mod pins;
mod rom;
mod sleep;
pub(super) mod spi;
pub(super) mod timer;
mod usb;
mod watchdog;

pub use sleep::Sleep;
pub use timer::Clock;
pub use usb::Uart;
pub use watchdog::{Watchdog, restart};

/// The board's name.
pub const NAME: &str = "pico2";
/// The longest poll is a picture of a camera that is about to fail: setting it up 5 s, two pictures 3 s each.
pub const WATCHDOG_MS: u32 = 15_000;
/// Cycles of the processor in a microsecond.
pub const CYCLES_PER_US: u64 = clocks::SYSTEM_HZ as u64 / 1_000_000;

/// The model that the board comes with.
pub(super) static FIRST_MODEL: &Aligned<[u8]> =
    &Aligned(*include_bytes!("../../../models/micro.onelook"));
const FIRST_MODEL_LEN: usize = include_bytes!("../../../models/micro.onelook").len();

/// The board may be sent it again.
const _: () = assert!(FIRST_MODEL_LEN <= (SLOT - SECTOR) as usize);

/// Starts what all drivers need.
///
/// # Safety
/// Called once, before any driver is made.
pub(super) unsafe fn start() {
    // SAFETY: called once; clocks come first, then pins.
    unsafe {
        clocks::start();
        gpio::start();
    }
}

/// So many cycles at least.
pub(super) fn wait_cycles(cycles: u32) {
    cortex_m::asm::delay(cycles);
}

/// Two words that outlive a reset by the watchdog, but not the power.
#[must_use]
pub fn notes(devices: &Devices) -> [u32; 2] {
    devices.watchdog.notes()
}

/// Writes them.
pub fn note(devices: &mut Devices, notes: [u32; 2]) {
    devices.watchdog.note(notes);
}
