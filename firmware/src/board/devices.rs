//! All devices of the board, for a program that lives with them.
//!
//! In: nothing. Out: each device once. What waits, waits in the program: no device does.

use core::sync::atomic::{AtomicBool, Ordering};

use super::{Camera, Clock, Flash, Panel, Sleep, Uart, Watchdog, gather};

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
    /// What a person touches and sees.
    pub panel: Panel,
}

impl Devices {
    /// The devices; `None` the second time.
    #[must_use]
    pub fn take() -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: `TAKEN` lets one call come here.
        Some(unsafe { gather() })
    }
}
