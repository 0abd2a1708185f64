//! All devices of the board, for a program that lives with them.
//!
//! In: nothing. Out: each device once. What waits, waits in the program: no device does.

use core::sync::atomic::{AtomicBool, Ordering};

use super::camera::Camera;
use super::clock::Clock;
use super::nor::Flash;
use super::sleep::Sleep;
use super::uart::Uart;
use super::watchdog::Watchdog;

/// The devices.
#[derive(Debug)]
pub struct Devices {
    /// To the host.
    pub uart: Uart,
    /// What outlives the power.
    pub flash: Flash,
    /// What sees the mark.
    pub camera: Camera,
    /// The time since the start.
    pub clock: Clock,
    /// What ends a program that hangs.
    pub watchdog: Watchdog,
    /// What saves the battery.
    pub sleep: Sleep,
}

impl Devices {
    /// The devices; `None` the second time.
    #[must_use]
    pub fn take() -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        let camera = Camera::new();
        // SAFETY: `TAKEN` lets one call come here.
        Some(unsafe {
            Self {
                uart: Uart::new(),
                flash: Flash::new(),
                camera,
                clock: Clock::new(),
                watchdog: Watchdog::new(),
                sleep: Sleep::new(),
            }
        })
    }
}
