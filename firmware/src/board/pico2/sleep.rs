//! Sleep: the processor stops until USB has something, or a hundredth of a second is over.
//!
//! In: a program that has nothing to do. Out: the same program, later. Interrupts stay masked: one that is
//! pending wakes the processor and is then cleared, so no handler ever runs beside the program, and the
//! flash may be left at any time.

use cortex_m::Peripherals;
use cortex_m::asm;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, SCB};

use super::clocks::SYSTEM_HZ;
use super::usb::Uart;

const TICK: u32 = SYSTEM_HZ / 100;
/// SysTick has 24 bits.
const _: () = assert!(TICK < 1 << 24);

/// USBCTRL_IRQ.
#[derive(Debug, Clone, Copy)]
struct UsbInterrupt;

// SAFETY: 14 is an interrupt of the chip (RP2350 datasheet, "Interrupts").
unsafe impl InterruptNumber for UsbInterrupt {
    fn number(self) -> u16 {
        14
    }
}

/// What puts the processor to sleep.
#[derive(Debug)]
pub struct Sleep(());

impl Sleep {
    /// Lets a tick and USB wake the processor.
    ///
    /// # Safety
    /// Called once, with interrupts masked for good, and nobody else uses the processor's timer.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: called once, this is the only owner of the timer; nothing else of them is used.
        let mut timer = unsafe { Peripherals::steal() }.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(TICK - 1);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        // SAFETY: interrupts are masked, so it breaks into nothing.
        unsafe { NVIC::unmask(UsbInterrupt) };
        Self(())
    }

    /// Until USB has something or a tick has come; not at all if there is something already.
    pub fn until_byte_or_tick(&mut self, uart: &mut Uart) {
        // First cleared, then looked for: what comes in between is seen, what comes behind the look wakes
        // the processor.
        NVIC::unpend(UsbInterrupt);
        SCB::clear_pendst();
        if !uart.has_something() {
            asm::wfi();
        }
    }
}
