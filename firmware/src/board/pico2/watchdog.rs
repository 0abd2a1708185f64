//! The watchdog: starts the board anew when the program hangs, or when it is asked to.
//!
//! In: a time, and a call of [`Watchdog::feed`] within it, again and again. Out: a reset of everything but the
//! oscillators, if it does not come. It stands still while a debugger holds the processor. Register
//! names are those of the RP2350 datasheet (WATCHDOG, PSM).

use crate::board::register::Registers;

const WATCHDOG: usize = 0x400d_8000;
const CTRL: usize = 0x0;
const LOAD: usize = 0x4;
const REASON: usize = 0x8;
const SCRATCH: [usize; 2] = [0xc, 0x10];
/// Not 0 would tell the boot ROM to go somewhere else.
const SCRATCH4: usize = 0x1c;
const TRIGGER: u32 = 1 << 31;
const ENABLE: u32 = 1 << 30;
const PAUSE: u32 = 0b111 << 24;
/// The counter has 24 bits, of microseconds.
const MOST: u32 = (1 << 24) - 1;
const REASON_TIMER: u32 = 1;

const PSM: usize = 0x4001_8000;
const WDSEL: usize = 0x8;
/// Everything but ring and crystal oscillator.
const EVERYTHING: u32 = 0x01ff_ffff & !(1 << 2 | 1 << 3);

/// A watchdog, asleep until [`Watchdog::start`].
#[derive(Debug)]
pub struct Watchdog {
    registers: Registers,
    /// Microseconds.
    time: u32,
}

impl Watchdog {
    /// Leaves it asleep.
    ///
    /// # Safety
    /// Called once, after `clocks::start`.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the addresses are the chip's, and called once this is the only owner of both.
        let (registers, mut psm) = unsafe { (Registers::new(WATCHDOG), Registers::new(PSM)) };
        psm.write(WDSEL, EVERYTHING);
        Self {
            registers,
            time: MOST,
        }
    }

    /// From now on it must be fed once in `milliseconds`, 16,777 of which are the most.
    pub fn start(&mut self, milliseconds: u32) {
        self.time = milliseconds.saturating_mul(1000).clamp(1, MOST);
        self.registers.write(SCRATCH4, 0);
        self.registers.write(CTRL, PAUSE);
        self.feed();
        self.registers.write(CTRL, PAUSE | ENABLE);
    }

    /// The time begins again.
    pub fn feed(&mut self) {
        self.registers.write(LOAD, self.time);
    }

    /// Whether the last reset was its own, because it was not fed.
    #[must_use]
    pub fn has_bitten(&self) -> bool {
        self.registers.read(REASON) & REASON_TIMER != 0
    }

    /// Two words that outlive a reset by it, but not the power.
    #[must_use]
    pub(super) fn notes(&self) -> [u32; 2] {
        SCRATCH.map(|place| self.registers.read(place))
    }

    /// Writes them.
    pub(super) fn note(&mut self, notes: [u32; 2]) {
        for (place, note) in SCRATCH.into_iter().zip(notes) {
            self.registers.write(place, note);
        }
    }
}

/// Starts again, as after power-on.
pub fn restart() -> ! {
    // SAFETY: the addresses are the chip's, and nobody uses anything after this.
    let (mut watchdog, mut psm) = unsafe { (Registers::new(WATCHDOG), Registers::new(PSM)) };
    psm.write(WDSEL, EVERYTHING);
    watchdog.write(SCRATCH4, 0);
    watchdog.write(CTRL, TRIGGER);
    loop {
        core::hint::spin_loop();
    }
}
