//! The time since the start, by TIMER0, which counts microseconds.
//!
//! In: the clock that `clocks` has started. Out: microseconds and milliseconds, delays for the camera, and an interrupt
//! for `sleep`. Register names are those of the nRF52840 product specification (TIMER). The counter has 32 bits, so it
//! must be read once in 71 minutes.

use embedded_hal::delay::DelayNs;

use super::clocks;
use crate::board::register::Registers;

const TIMER0: usize = 0x4000_8000;
const TASKS_START: usize = 0x0;
const TASKS_STOP: usize = 0x4;
const TASKS_CLEAR: usize = 0xc;
/// Copies the counter to CC\[0\].
const TASKS_CAPTURE_0: usize = 0x40;
/// The counter has come to CC\[1\].
const EVENTS_COMPARE_1: usize = 0x144;
const INTENSET: usize = 0x304;
const COMPARE_1: u32 = 1 << 17;
const MODE: usize = 0x504;
const BITMODE: usize = 0x508;
const PRESCALER: usize = 0x510;
const CC: [usize; 2] = [0x540, 0x544];
const BITS_32: u32 = 3;
/// 16 MHz, divided by 2 to the power of this.
const TO_1_MHZ: u32 = 4;

/// The processor's cycle counter (Armv7-M Architecture Reference Manual: DEMCR, DWT_CTRL, DWT_CYCCNT).
const DEMCR: usize = 0xe000_edfc;
const TRCENA: u32 = 1 << 24;
const DWT: usize = 0xe000_1000;
const DWT_CTRL: usize = 0x0;
const DWT_CYCCNT: usize = 0x4;

/// Starts the timer.
///
/// # Safety
/// Called once, after `clocks::start`, before any [`Counter`] is made.
pub(super) unsafe fn start() {
    // SAFETY: the address is the chip's; called once, nobody else uses it yet.
    let mut timer = unsafe { Registers::new(TIMER0) };
    timer.write(TASKS_STOP, 1);
    timer.write(MODE, 0);
    timer.write(BITMODE, BITS_32);
    timer.write(PRESCALER, TO_1_MHZ);
    timer.write(TASKS_CLEAR, 1);
    timer.write(TASKS_START, 1);
}

/// A clock that runs.
#[derive(Debug)]
pub struct Clock {
    counter: Counter,
    /// The counter when it was read last.
    before: u32,
    /// Microseconds up to then.
    microseconds: u64,
}

impl Clock {
    /// Starts the count of cycles as well.
    ///
    /// # Safety
    /// Called once, after [`start`].
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the addresses are the processor's; called once, nobody else uses its cycle counter.
        let (mut demcr, mut dwt) = unsafe { (Registers::new(DEMCR), Registers::new(DWT)) };
        let others = demcr.read(0);
        demcr.write(0, others | TRCENA);
        let others = dwt.read(DWT_CTRL);
        dwt.write(DWT_CTRL, others | 1);
        Self {
            // SAFETY: the timer runs.
            counter: unsafe { Counter::new() },
            before: 0,
            microseconds: 0,
        }
    }

    /// Milliseconds since the start; back to 0 after 49 days.
    pub fn milliseconds(&mut self) -> u32 {
        // The low 32 bits are what is meant.
        (self.microseconds() / 1000) as u32
    }

    /// Microseconds since the start.
    pub fn microseconds(&mut self) -> u64 {
        let now = self.counter.now();
        let gone = now.wrapping_sub(self.before);
        self.before = now;
        self.microseconds = self.microseconds.wrapping_add(u64::from(gone));
        self.microseconds
    }

    /// Whether it counts a crystal's periods.
    #[must_use]
    pub fn is_crystal(&self) -> bool {
        clocks::is_crystal()
    }

    /// Cycles of the processor, back to 0 after 67 s.
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
    /// Called after [`start`].
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the address is the chip's. Several readers may share CC[0]: nothing runs beside the program, so
        // none comes between another's capture and its look.
        Self(unsafe { Registers::new(TIMER0) })
    }

    /// Microseconds.
    pub(super) fn now(&mut self) -> u32 {
        let [capture, _] = CC;
        self.0.write(TASKS_CAPTURE_0, 1);
        self.0.read(capture)
    }

    /// Lets the interrupt come so many microseconds from now, and forgets the last one. For one owner only.
    pub(super) fn interrupt_in(&mut self, microseconds: u32) {
        let [_, compare] = CC;
        let then = self.now().wrapping_add(microseconds);
        self.0.write(compare, then);
        self.0.write(EVENTS_COMPARE_1, 0);
        // Read back, so that it has arrived before the interrupt is looked at: writes are buffered.
        self.0.read(EVENTS_COMPARE_1);
        self.0.write(INTENSET, COMPARE_1);
    }
}

/// A delay is at least as long as it should be.
impl DelayNs for Counter {
    fn delay_ns(&mut self, nanoseconds: u32) {
        // One more, because the first microsecond has already begun.
        let microseconds = nanoseconds.div_ceil(1000) + 1;
        let start = self.now();
        while self.now().wrapping_sub(start) < microseconds {}
    }
}
