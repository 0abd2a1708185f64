//! The time since the start, by TIMER0, which counts microseconds.
//!
//! In: the ticks that `clocks` has started. Out: microseconds and milliseconds, and delays for the camera.
//! The counter has 64 bits, so it need not be read in time.

use embedded_hal::delay::DelayNs;

use crate::board::register::Registers;

const TIMER0: usize = 0x400b_0000;
const TIMERAWH: usize = 0x24;
const TIMERAWL: usize = 0x28;

/// The processor's cycle counter (Armv8-M Architecture Reference Manual: DEMCR, DWT_CTRL, DWT_CYCCNT).
const DEMCR: usize = 0xe000_edfc;
const TRCENA: u32 = 1 << 24;
const DWT: usize = 0xe000_1000;
const DWT_CTRL: usize = 0x0;
const DWT_CYCCNT: usize = 0x4;

/// A clock that runs.
#[derive(Debug)]
pub struct Clock(Counter);

impl Clock {
    /// Starts the count of cycles as well.
    ///
    /// # Safety
    /// Called once, after `clocks::start`.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the addresses are the processor's; called once, nobody else uses its cycle counter.
        let (mut demcr, mut dwt) = unsafe { (Registers::new(DEMCR), Registers::new(DWT)) };
        let others = demcr.read(0);
        demcr.write(0, others | TRCENA);
        let others = dwt.read(DWT_CTRL);
        dwt.write(DWT_CTRL, others | 1);
        // SAFETY: the timer runs.
        Self(unsafe { Counter::new() })
    }

    /// Milliseconds since the start; back to 0 after 49 days.
    pub fn milliseconds(&mut self) -> u32 {
        // The low 32 bits are what is meant.
        (self.0.now() / 1000) as u32
    }

    /// Microseconds since the start.
    pub fn microseconds(&mut self) -> u64 {
        self.0.now()
    }

    /// Whether it counts a crystal's periods: the program would not have come here without one.
    #[must_use]
    pub const fn is_crystal(&self) -> bool {
        true
    }

    /// Cycles of the processor, back to 0 after 28 s.
    #[must_use]
    pub fn cycles(&self) -> u32 {
        // SAFETY: reading a counter changes nothing, and `new` has started it.
        unsafe { Registers::new(DWT) }.read(DWT_CYCCNT)
    }
}

/// The timer, as many readers may have it.
#[derive(Debug)]
pub(crate) struct Counter(Registers);

impl Counter {
    /// # Safety
    /// Called after `clocks::start`.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the address is the chip's; reading the raw counter changes nothing, so that it may have
        // several readers.
        Self(unsafe { Registers::new(TIMER0) })
    }

    /// Microseconds. The two halves are read apart, so the upper one is read again.
    pub(crate) fn now(&self) -> u64 {
        loop {
            let high = self.0.read(TIMERAWH);
            let low = self.0.read(TIMERAWL);
            if high == self.0.read(TIMERAWH) {
                return u64::from(high) << 32 | u64::from(low);
            }
        }
    }
}

/// A delay is at least as long as it should be.
impl DelayNs for Counter {
    fn delay_ns(&mut self, nanoseconds: u32) {
        // One more, because the first microsecond has already begun.
        let microseconds = nanoseconds.div_ceil(1000) + 1;
        let start = self.now();
        while self.now().wrapping_sub(start) < u64::from(microseconds) {}
    }
}
