//! The watchdog: starts the board anew when the program hangs.
//!
//! In: a time, and a call of [`Watchdog::feed`] within it, again and again. Out: a reset, if it does not
//! come. All four boards have ARM's CMSDK watchdog. It has two stages: when the time is over it raises the
//! NMI, where the program stops for good, and as long again later it resets the board.

use super::addresses::{WATCHDOG, WATCHDOG_HZ};
use super::register::Registers;

const LOAD: usize = 0x00;
const CTRL: usize = 0x08;
const INT_CLEAR: usize = 0x0c;
const LOCK: usize = 0xc00;

const CTRL_INTERRUPT_AND_RESET: u32 = 3;
const UNLOCK: u32 = 0x1acc_e551;

/// A watchdog, asleep until [`Watchdog::start`].
#[derive(Debug)]
pub struct Watchdog {
    registers: Registers,
}

impl Watchdog {
    /// Leaves it asleep.
    ///
    /// # Safety
    /// Called once.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: `WATCHDOG` is the board's, and called once this is its only owner.
        let registers = unsafe { Registers::new(WATCHDOG) };
        Self { registers }
    }

    /// From now on it must be fed once in `milliseconds`, at most 171,000 of which fit the fastest clock.
    pub fn start(&mut self, milliseconds: u32) {
        let ticks = u64::from(milliseconds) * u64::from(WATCHDOG_HZ) / 1000;
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX).max(1);
        self.unlocked(|registers| {
            registers.write(LOAD, ticks);
            registers.write(CTRL, CTRL_INTERRUPT_AND_RESET);
        });
    }

    /// The time begins again.
    pub fn feed(&mut self) {
        // Any value: the write itself is what reloads the counter.
        self.unlocked(|registers| registers.write(INT_CLEAR, 1));
    }

    /// A program that has lost its way does not write the magic word by chance.
    fn unlocked(&mut self, change: impl FnOnce(&mut Registers)) {
        self.registers.write(LOCK, UNLOCK);
        change(&mut self.registers);
        self.registers.write(LOCK, 0);
    }
}
