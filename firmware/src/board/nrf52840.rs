//! The Adafruit Feather nRF52840 Express: nRF52840, Cortex-M4F at 64 MHz, 256 KiB of RAM, 1 MiB of flash. **Builds, not
//! yet run on hardware**: `docs/hardware.md` says what was checked and how.
//!
//! In: the chip as its boot loader leaves it. Out: its drivers, which `board::hardware` hands out. They are our own, on
//! plain registers, because what is published for the chip can panic or wants interrupts; they follow Nordic's
//! product specification, SVD file and nrfx. Nordic's radio software (S140) stays in flash and is never started, so all
//! devices are the program's; the vector table is switched to its own before its first line.
//!
//! | file       | what it holds                                              |
//! |------------|------------------------------------------------------------|
//! | `chip_id`  | serial number, debug port                                  |
//! | `clocks`   | crystal                                                    |
//! | `pins`     | which pin does what                                        |
//! | `gpio`     | pins                                                       |
//! | `timer`    | the time, and delays                                       |
//! | `watchdog` | restarts                                                   |
//! | `flash`    | the flash that the program runs from                       |
//! | `dma`      | memory that devices read and write by themselves           |
//! | `spi`      | the camera's bus                                           |
//! | `usb`, `usb_power` | the USB controller, a serial port to the host      |
//! | `sleep`    | until something happens                                    |
//! | `simulator` and what ends with it | for tests on a desktop; no part of the firmware |

use cortex_m::peripheral::SCB;
use embedded_storage::nor_flash::NorFlash;

use super::buffers::Aligned;
use super::devices::Devices;
use super::flash_map::SECTOR;
use super::map::SLOT;
use super::wire;

mod chip_id;
mod clocks;
mod dma;
pub(super) mod flash;
pub(super) mod gpio;
pub mod pins;
mod sleep;
pub(super) mod spi;
pub(super) mod timer;
mod usb;
mod usb_power;
mod watchdog;

pub use sleep::Sleep;
pub use timer::Clock;
pub use usb::Uart;
pub use watchdog::Watchdog;

/// The board's name.
pub const NAME: &str = "nrf52840";
/// The longest poll is a picture of a camera that is about to fail: setting it up 5 s, two pictures 3 s each.
pub const WATCHDOG_MS: u32 = 15_000;
/// Cycles of the processor in a microsecond.
pub const CYCLES_PER_US: u64 = clocks::SYSTEM_HZ as u64 / 1_000_000;

/// The model that the board comes with: the smaller one, see `flash_map`.
pub(super) static FIRST_MODEL: &Aligned<[u8]> =
    &Aligned(*include_bytes!("../../../models/nano.onelook"));
const FIRST_MODEL_LEN: usize = include_bytes!("../../../models/nano.onelook").len();

/// The board may be sent it again.
const _: () = assert!(FIRST_MODEL_LEN <= (SLOT - SECTOR) as usize);

/// Starts what all drivers need.
///
/// # Safety
/// Called once, before any driver is made.
pub(super) unsafe fn start() {
    // SAFETY: called once, and nothing else is in use yet.
    unsafe {
        chip_id::let_debugger_in();
        clocks::start();
        timer::start();
    }
}

/// So many cycles at least.
pub(super) fn wait_cycles(cycles: u32) {
    cortex_m::asm::delay(cycles);
}

/// Starts again, through the boot loader. The watchdog goes on.
pub fn restart() -> ! {
    SCB::sys_reset()
}

/// Two words that outlive a reset. They are in the last sector of flash: the watchdog's reset clears the registers that
/// others leave alone, and may spoil RAM ("Reset behavior" in the product specification).
#[must_use]
pub fn notes(devices: &Devices) -> [u32; 2] {
    let (words, _) = devices.flash.scratch.bytes().as_chunks::<4>();
    [0, 1].map(|index| words.get(index).map_or(0, |word| u32::from_le_bytes(*word)))
}

/// Writes them. What a flash that is broken does not take is not there at the next look.
pub fn note(devices: &mut Devices, notes: [u32; 2]) {
    let scratch = &mut devices.flash.scratch;
    let _ = scratch
        .erase(0, SECTOR)
        .and_then(|()| scratch.write(0, notes.map(u32::to_le_bytes).as_flattened()));
}
