//! Sleep: the processor stops until USB has something, or a hundredth of a second is over.
//!
//! In: a program that has nothing to do. Out: the same program, later. Interrupts stay masked: one that is
//! pending wakes the processor and is then cleared, so no handler ever runs beside the program. The processor's own
//! timer stands still while it sleeps, so the tick is TIMER0's.

use cortex_m::asm;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

use super::timer::Counter;
use super::usb::Uart;

const TICK_US: u32 = 10_000;

/// What may wake the processor (nRF52840 product specification, "Instantiation": the number of an interrupt is bits 12
/// to 17 of its device's address).
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
enum Wakes {
    Timer0 = 8,
    Usbd = 39,
}

// SAFETY: both are interrupts of the chip.
unsafe impl InterruptNumber for Wakes {
    fn number(self) -> u16 {
        self as u16
    }
}

/// What puts the processor to sleep.
#[derive(Debug)]
pub struct Sleep(Counter);

impl Sleep {
    /// Lets a tick and USB wake the processor.
    ///
    /// # Safety
    /// Called once, with interrupts masked for good, after the timer was started.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: interrupts are masked, so they break into nothing; the timer runs, and called once this is the
        // only owner of its interrupt.
        unsafe {
            NVIC::unmask(Wakes::Timer0);
            NVIC::unmask(Wakes::Usbd);
            Self(Counter::new())
        }
    }

    /// Until USB has something or a tick has come; not at all if there is something already.
    pub fn until_byte_or_tick(&mut self, uart: &mut Uart) {
        self.0.interrupt_in(TICK_US);
        // First cleared, then looked for: what comes in between is seen, what comes behind the look wakes
        // the processor.
        NVIC::unpend(Wakes::Timer0);
        NVIC::unpend(Wakes::Usbd);
        if !uart.has_something() {
            asm::wfi();
        }
    }
}
