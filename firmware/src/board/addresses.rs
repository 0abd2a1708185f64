//! Where the devices of each board are, and how fast their clocks run.
//!
//! In: the chosen board. Out: constants. They are ARM's (application notes AN386, AN500, AN505 and AN547)
//! as QEMU has them. On the boards of ARMv8-M they are the secure aliases: the program runs in the
//! secure state, and out of reset the devices answer to nobody else.

#[cfg(any(feature = "board-an386", feature = "board-an500"))]
mod board {
    pub(super) const NAME: &str = if cfg!(feature = "board-an386") {
        "an386"
    } else {
        "an500"
    };
    pub(in super::super) const UART: usize = 0x4000_4000;
    pub(in super::super) const UART_INTERRUPTS: [u16; 2] = [0, 1];
    pub(in super::super) const WATCHDOG: usize = 0x4000_8000;
    pub(in super::super) const TIMER: usize = 0x4000_0000;
    pub(in super::super) const TIMER_HZ: u32 = 25_000_000;
    pub(in super::super) const WATCHDOG_HZ: u32 = TIMER_HZ;
}

#[cfg(feature = "board-an505")]
mod board {
    pub(super) const NAME: &str = "an505";
    pub(in super::super) const UART: usize = 0x5020_0000;
    pub(in super::super) const UART_INTERRUPTS: [u16; 2] = [32, 33];
    pub(in super::super) const WATCHDOG: usize = 0x5008_1000;
    pub(in super::super) const TIMER: usize = 0x5000_0000;
    pub(in super::super) const TIMER_HZ: u32 = 20_000_000;
    pub(in super::super) const WATCHDOG_HZ: u32 = TIMER_HZ;
}

#[cfg(feature = "board-an547")]
mod board {
    pub(super) const NAME: &str = "an547";
    pub(in super::super) const UART: usize = 0x5930_3000;
    pub(in super::super) const UART_INTERRUPTS: [u16; 2] = [33, 34];
    /// The one of the slow clock: QEMU has no other.
    pub(in super::super) const WATCHDOG: usize = 0x5802_e000;
    pub(in super::super) const TIMER: usize = 0x5800_0000;
    pub(in super::super) const COUNTER: usize = 0x5810_0000;
    pub(in super::super) const TIMER_HZ: u32 = 32_000_000;
    pub(in super::super) const WATCHDOG_HZ: u32 = 32_768;
}

#[cfg(feature = "board-an547")]
pub(super) use board::COUNTER;
pub(super) use board::{TIMER, TIMER_HZ, UART, UART_INTERRUPTS, WATCHDOG, WATCHDOG_HZ};

/// The board's name.
pub const NAME: &str = board::NAME;
