//! Pins.
//!
//! In: pin numbers of `pins`. Out: levels. Register names are those of the nRF52840 product specification (GPIO).

use super::pins::LED;
use crate::board::register::Registers;

/// Port 0; port 1 is behind it.
const P0: usize = 0x5000_0000;
const PORT_LEN: usize = 0x300;
const OUTSET: usize = 0x508;
const OUTCLR: usize = 0x50c;
const IN: usize = 0x510;
const PIN_CNF: usize = 0x700;

/// The output drives, the input is connected: a level can be read back. Standard drive, no pull.
const OUTPUT: u32 = 1;
const INPUT: u32 = 0;
const PULL_UP: u32 = 3 << 2;

/// A pin of the processor's.
#[derive(Debug)]
pub(crate) struct Pin {
    mask: u32,
    port: Registers,
}

impl Pin {
    /// An output, low at first. Its level can be read back.
    ///
    /// # Safety
    /// Called once for a pin; only `Pin` uses the ports.
    pub(crate) unsafe fn output(number: u8) -> Self {
        // SAFETY: the obligation is the same.
        let mut pin = unsafe { Self::new(number) };
        pin.set(false);
        pin.configure(number, OUTPUT);
        pin
    }

    /// An input that is high when nothing pulls it down.
    ///
    /// # Safety
    /// As [`Self::output`].
    pub(crate) unsafe fn input(number: u8) -> Self {
        // SAFETY: the obligation is the same.
        let mut pin = unsafe { Self::new(number) };
        pin.configure(number, INPUT | PULL_UP);
        pin
    }

    /// An input that follows what drives it.
    ///
    /// # Safety
    /// As [`Self::output`].
    pub(crate) unsafe fn floating(number: u8) -> Self {
        // SAFETY: the obligation is the same.
        let mut pin = unsafe { Self::new(number) };
        pin.configure(number, INPUT);
        pin
    }

    unsafe fn new(number: u8) -> Self {
        let port = P0 + PORT_LEN * usize::from(number >> 5 & 1);
        // SAFETY: the address is the chip's. A port is shared by its pins: each writes its own bit, to registers
        // that set or clear bits, and its own register for the rest.
        let port = unsafe { Registers::new(port) };
        Self {
            mask: 1 << (number & 31),
            port,
        }
    }

    fn configure(&mut self, number: u8, how: u32) {
        let place = PIN_CNF + 4 * usize::from(number & 31);
        self.port.write(place, how);
    }

    pub(crate) fn set(&mut self, high: bool) {
        let register = if high { OUTSET } else { OUTCLR };
        self.port.write(register, self.mask);
    }

    pub(crate) fn is_high(&self) -> bool {
        self.port.read(IN) & self.mask != 0
    }
}

/// Lights the lamp for a program that cannot go on.
pub(crate) fn alarm() {
    // SAFETY: the program has ended, so nobody else uses the pin any more.
    let mut led = unsafe { Pin::output(LED) };
    led.set(true);
}
