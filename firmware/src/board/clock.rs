//! The time since the start, by a timer that runs freely.
//!
//! In: a 32-bit counter of the board, read at least once in two minutes. Out: milliseconds and microseconds.
//! No interrupt counts: one that comes late, because an emulator waits for its host, would lose time. In
//! QEMU the timers follow the host's clock, so times there say nothing of the hardware.

use super::addresses::TIMER_HZ;

const TICKS_PER_MILLISECOND: u64 = TIMER_HZ as u64 / 1_000;
const TICKS_PER_MICROSECOND: u64 = TIMER_HZ as u64 / 1_000_000;
const _: () = assert!(TICKS_PER_MILLISECOND == 1_000 * TICKS_PER_MICROSECOND);

/// A clock that runs.
#[derive(Debug)]
pub struct Clock {
    counter: counter::Counter,
    /// The counter when it was read last.
    before: u32,
    /// Ticks up to then.
    ticks: u64,
}

impl Clock {
    /// Starts it.
    ///
    /// # Safety
    /// Called once.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the obligation is the same.
        let counter = unsafe { counter::Counter::new() };
        let before = counter.now();
        Self {
            counter,
            before,
            ticks: 0,
        }
    }

    /// Milliseconds since the start; back to 0 after 49 days.
    pub fn milliseconds(&mut self) -> u32 {
        let milliseconds = self.ticks() / TICKS_PER_MILLISECOND;
        // The low 32 bits are what is meant.
        milliseconds as u32
    }

    /// Microseconds since the start.
    pub fn microseconds(&mut self) -> u64 {
        self.ticks() / TICKS_PER_MICROSECOND
    }

    fn ticks(&mut self) -> u64 {
        let now = self.counter.now();
        let gone = now.wrapping_sub(self.before);
        self.before = now;
        self.ticks = self.ticks.wrapping_add(u64::from(gone));
        self.ticks
    }
}

/// CMSDK timer 0, which counts down.
#[cfg(not(feature = "board-an547"))]
mod counter {
    use crate::board::addresses::TIMER;
    use crate::board::register::Registers;

    const CTRL: usize = 0x0;
    const VALUE: usize = 0x4;
    const RELOAD: usize = 0x8;

    #[derive(Debug)]
    pub(super) struct Counter {
        timer: Registers,
    }

    impl Counter {
        /// # Safety
        /// Called once.
        pub(super) unsafe fn new() -> Self {
            // SAFETY: `TIMER` is the board's, and called once this is its only owner.
            let mut timer = unsafe { Registers::new(TIMER) };
            timer.write(RELOAD, u32::MAX);
            timer.write(VALUE, u32::MAX);
            timer.write(CTRL, 1);
            Self { timer }
        }

        pub(super) fn now(&self) -> u32 {
            !self.timer.read(VALUE)
        }
    }
}

/// The system counter of SSE-300, which the timer shows.
#[cfg(feature = "board-an547")]
mod counter {
    use crate::board::addresses::{COUNTER, TIMER};
    use crate::board::register::Registers;

    /// Of the counter's control frame.
    const CNTCR: usize = 0x0;
    /// The low half of the count, of a timer's frame.
    const CNTPCT_LOW: usize = 0x0;

    #[derive(Debug)]
    pub(super) struct Counter {
        timer: Registers,
    }

    impl Counter {
        /// # Safety
        /// Called once.
        pub(super) unsafe fn new() -> Self {
            // SAFETY: `COUNTER` is the board's, and called once this is its only user.
            let mut counter = unsafe { Registers::new(COUNTER) };
            counter.write(CNTCR, 1);
            // SAFETY: as above, for `TIMER`.
            let timer = unsafe { Registers::new(TIMER) };
            Self { timer }
        }

        pub(super) fn now(&self) -> u32 {
            self.timer.read(CNTPCT_LOW)
        }
    }
}
