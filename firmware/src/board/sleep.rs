//! Sleep: the processor stops until the host sends a byte, or a hundredth of a second is over.
//!
//! In: a program that has nothing to do. Out: the same program, later. Interrupts stay masked: one that is
//! pending wakes the processor and is then cleared, so no handler ever runs beside the program.

use cortex_m::Peripherals;
use cortex_m::asm;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, SCB};

use super::addresses::{TIMER_HZ, UART_INTERRUPTS};
use super::uart::Uart;

/// The processor's clock is that of the timers on all four boards.
const TICK: u32 = TIMER_HZ / 100;

/// One of the UART's two interrupts: for a byte that came, and for one that went. Releases of QEMU differ in
/// which is which on AN505 and AN547. The UART only raises that of a byte that came, so either may wake.
#[derive(Debug, Clone, Copy)]
struct UartInterrupt(u16);

// SAFETY: it is made of `UART_INTERRUPTS` alone, which are numbers of interrupts of the board.
unsafe impl InterruptNumber for UartInterrupt {
    fn number(self) -> u16 {
        self.0
    }
}

/// What puts the processor to sleep.
#[derive(Debug)]
pub struct Sleep(());

impl Sleep {
    /// Masks interrupts and lets a tick and a byte wake the processor.
    ///
    /// # Safety
    /// Called once, and nobody else uses the processor's timer or unmasks interrupts.
    pub(super) unsafe fn new() -> Self {
        cortex_m::interrupt::disable();
        // SAFETY: called once, this is the only owner of the timer; nothing else of them is used.
        let mut timer = unsafe { Peripherals::steal() }.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(TICK - 1);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        for number in UART_INTERRUPTS {
            // SAFETY: interrupts are masked, so it breaks into nothing.
            unsafe { NVIC::unmask(UartInterrupt(number)) };
        }
        Self(())
    }

    /// Until a byte is there or a tick has come; not at all if one is there already.
    pub fn until_byte_or_tick(&mut self, uart: &mut Uart) {
        // First cleared, then looked for: a byte that comes in between is seen, one that comes behind the
        // look wakes the processor.
        uart.clear_interrupt();
        for number in UART_INTERRUPTS {
            NVIC::unpend(UartInterrupt(number));
        }
        SCB::clear_pendst();
        if !uart.has_byte() {
            asm::wfi();
        }
    }
}
