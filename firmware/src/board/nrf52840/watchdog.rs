//! The watchdog: starts the board anew when the program hangs.
//!
//! In: a time, and a call of [`Watchdog::feed`] within it, again and again. Out: a reset, if it does not come. It
//! stands still while a debugger holds the processor. Nothing stops it but its own reset, that of the reset pin, and the loss
//! of power: a program that is started by another kind of reset finds it running. Register names are those of the
//! nRF52840 product specification (WDT, POWER).

use crate::board::register::Registers;

const WDT: usize = 0x4001_0000;
const TASKS_START: usize = 0x0;
const RUNSTATUS: usize = 0x400;
const CRV: usize = 0x504;
const RREN: usize = 0x508;
const CONFIG: usize = 0x50c;
const RR_0: usize = 0x600;
/// What must be written to RR.
const RELOAD: u32 = 0x6e52_4635;
/// Goes on while the processor sleeps, stands still while a debugger holds it.
const RUN_IN_SLEEP: u32 = 1;
/// Counts per second, by the ring oscillator, which the watchdog starts when nothing else runs.
const HZ: u64 = 32_768;
/// The least that CRV takes.
const LEAST: u32 = 0xf;

const POWER: usize = 0x4000_0000;
const RESETREAS: usize = 0x400;
const REASON_PIN: u32 = 1;
const REASON_WATCHDOG: u32 = 1 << 1;

/// A watchdog, asleep until [`Watchdog::start`] unless it has outlived a reset.
#[derive(Debug)]
pub struct Watchdog {
    registers: Registers,
    reason: u32,
}

impl Watchdog {
    /// Leaves it as it is, and takes the reason of the last reset.
    ///
    /// # Safety
    /// Called once.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the addresses are the chip's, and called once this is the only owner of both.
        let (registers, mut power) = unsafe { (Registers::new(WDT), Registers::new(POWER)) };
        let reason = power.read(RESETREAS);
        // Reasons gather until they are cleared, which ones do.
        power.write(RESETREAS, reason);
        Self { registers, reason }
    }

    /// From now on it must be fed once in `milliseconds`. When it runs already its time stays what it was.
    pub fn start(&mut self, milliseconds: u32) {
        let counts = u64::from(milliseconds) * HZ / 1000;
        let counts = u32::try_from(counts).unwrap_or(u32::MAX).max(LEAST);
        if self.registers.read(RUNSTATUS) & 1 == 0 {
            self.registers.write(CONFIG, RUN_IN_SLEEP);
            self.registers.write(CRV, counts);
            self.registers.write(RREN, 1);
            self.registers.write(TASKS_START, 1);
        }
        self.feed();
    }

    /// The time begins again.
    pub fn feed(&mut self) {
        self.registers.write(RR_0, RELOAD);
    }

    /// Whether the last reset was its own, because it was not fed. Behind a reset by the pin the other reasons say
    /// nothing (erratum 136).
    #[must_use]
    pub const fn has_bitten(&self) -> bool {
        self.reason & (REASON_WATCHDOG | REASON_PIN) == REASON_WATCHDOG
    }
}
