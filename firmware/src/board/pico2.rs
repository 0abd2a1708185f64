//! The Raspberry Pi Pico 2: RP2350, Cortex-M33F at 150 MHz, 520 KiB of RAM, 4 MiB of flash. **Builds, not yet
//! run on hardware**: `docs/hardware.md` says what was checked and how.
//!
//! In: the chip as its boot ROM leaves it. Out: the [`Devices`] that a program lives with. The drivers are our own,
//! on plain registers, because what is published for the chip can panic; they follow the RP2350 datasheet and
//! the maker's SDK.
//!
//! | file       | what it holds                                              |
//! |------------|------------------------------------------------------------|
//! | `boot`     | what the boot ROM looks for                                |
//! | `clocks`   | crystal, PLLs, ticks, resets                               |
//! | `pins`     | which pin does what                                        |
//! | `gpio`     | pins, button and lamp                                      |
//! | `timer`    | the time, and delays                                       |
//! | `watchdog` | restarts                                                   |
//! | `rom`      | functions of the boot ROM                                  |
//! | `flash`, `page` | the flash that the program runs from                  |
//! | `spi`, `camera` | the Arducam Mega                                      |
//! | `usb`      | the USB controller, a serial port to the host              |
//! | `sleep`    | until something happens                                    |
//! | `simulator`, `spi_simulator` | for tests on a desktop; no part of the firmware |

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use shared::model::ModelView;
use shared::support_set::MAX_CAPTURE;

use super::devices::Devices;
use super::slot::Slot;

mod boot;
mod camera;
mod clocks;
mod flash;
mod gpio;
mod page;
pub mod pins;
mod rom;
mod sleep;
mod spi;
mod timer;
mod usb;
mod watchdog;

pub use camera::{Camera, Picture};
pub use flash::{Flash, Nor};
pub use gpio::Panel;
pub use sleep::Sleep;
pub use timer::Clock;
pub use usb::Uart;
pub use watchdog::{Watchdog, restart};

/// The board's name.
pub const NAME: &str = "pico2";
/// The longest poll is a picture of a camera that is about to fail: setting it up 5 s, two pictures 3 s each.
pub const WATCHDOG_MS: u32 = 15_000;
/// Largest arena.
const ARENA_LEN: usize = 64 * 1024;

/// The buffers of the program that lives, all zero at first.
pub struct Buffers {
    /// For a model that is not read in place: there is none.
    pub model: &'static mut [u8],
    /// For activations.
    pub arena: &'static mut [u8],
    /// For the picture.
    pub pixels: &'static mut [u8],
}

impl Buffers {
    /// The buffers; `None` the second time.
    #[must_use]
    pub fn take() -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        static ARENA: Slot<[u8; ARENA_LEN]> = Slot::new();
        static PIXELS: Slot<[u8; MAX_CAPTURE]> = Slot::new();
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: `TAKEN` lets one call come here, and integers may be zero.
        Some(unsafe {
            Self {
                model: &mut [],
                arena: ARENA.take(),
                pixels: PIXELS.take(),
            }
        })
    }
}

/// All devices of the board.
///
/// # Safety
/// Called once.
pub(super) unsafe fn gather() -> Devices {
    // For good: nothing ever runs beside the program.
    cortex_m::interrupt::disable();
    // SAFETY: called once; clocks come first, then pins, then what needs them.
    unsafe {
        clocks::start();
        gpio::start();
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

/// So many cycles at least.
fn wait_cycles(cycles: u32) {
    cortex_m::asm::delay(cycles);
}

/// A model as a file, where its weights may be read as words.
#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

/// The model that ships, in the program's own flash: what a device has until it is sent another.
#[must_use]
pub fn first_model(_: &mut [u8]) -> Option<ModelView<'static>> {
    static MICRO: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../models/micro.onelook"));
    ModelView::new_checked(&MICRO.0).ok()
}

/// Says a line to nobody: the board has no terminal, and USB is the host's.
pub const fn say(_: &impl fmt::Display) {}

/// Ends the program: the lamp stays lit until the watchdog, if it runs, starts the board anew.
pub fn exit(_: Result<(), ()>) -> ! {
    gpio::alarm();
    loop {
        core::hint::spin_loop();
    }
}
