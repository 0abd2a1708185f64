//! Pins.
//!
//! In: pin numbers of `pins`. Out: levels. Register names are those of the RP2350 datasheet (SIO, IO_BANK0,
//! PADS_BANK0). The button pulls to ground against the chip's pull-up: pull-downs of the first chips hold a
//! pin at 2 V (erratum RP2350-E9).

use super::clocks::{block, release};
use super::pins::LED;
use crate::board::register::Registers;

const SIO: usize = 0xd000_0000;
const GPIO_IN: usize = 0x04;
const GPIO_OUT_SET: usize = 0x18;
const GPIO_OUT_CLR: usize = 0x20;
const GPIO_OE_SET: usize = 0x38;

const IO_BANK0: usize = 0x4002_8000;
const PADS_BANK0: usize = 0x4003_8000;
const PAD_SCHMITT: u32 = 1 << 1;
const PAD_PULL_UP: u32 = 1 << 3;
const PAD_4_MA: u32 = 1 << 4;
const PAD_INPUT: u32 = 1 << 6;

/// What a pin is connected to inside the chip (FUNCSEL).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// F1: SPI.
    Spi = 1,
    /// F5: the processor.
    Processor = 5,
}

/// Makes pins usable.
///
/// # Safety
/// Called once, before any [`Pin`] is made, after `clocks::start`.
pub(super) unsafe fn start() {
    // SAFETY: nobody uses the pins yet.
    unsafe { release(block::IO_BANK0 | block::PADS_BANK0) };
}

/// A pin of the processor's.
#[derive(Debug)]
pub(crate) struct Pin {
    mask: u32,
    sio: Registers,
}

impl Pin {
    /// An output, low at first. Its level can be read back.
    ///
    /// # Safety
    /// Called once for a pin, after [`start`]; only `Pin` uses SIO.
    pub(crate) unsafe fn output(number: u8) -> Self {
        // SAFETY: the obligation is the same.
        let mut pin = unsafe { Self::new(number, 0) };
        pin.set(false);
        pin.sio.write(GPIO_OE_SET, pin.mask);
        pin
    }

    /// An input that is high when nothing pulls it down.
    ///
    /// # Safety
    /// As [`Self::output`].
    pub(crate) unsafe fn input(number: u8) -> Self {
        // SAFETY: the obligation is the same.
        unsafe { Self::new(number, PAD_PULL_UP) }
    }

    unsafe fn new(number: u8, pad: u32) -> Self {
        // SAFETY: the obligation makes this the pin's only owner. SIO is shared by all pins: each writes
        // its own bit, to registers that set or clear bits.
        unsafe {
            connect(number, Function::Processor, pad);
            Self {
                mask: 1 << (number & 31),
                sio: Registers::new(SIO),
            }
        }
    }

    pub(crate) fn set(&mut self, high: bool) {
        let register = if high { GPIO_OUT_SET } else { GPIO_OUT_CLR };
        self.sio.write(register, self.mask);
    }

    pub(crate) fn is_high(&self) -> bool {
        self.sio.read(GPIO_IN) & self.mask != 0
    }
}

/// Connects a pin, and lets its pad go, which is isolated until then.
///
/// # Safety
/// Nobody else uses the pin.
pub(super) unsafe fn connect(number: u8, function: Function, pad: u32) {
    let number = usize::from(number & 31);
    // SAFETY: the addresses are the chip's; a pin has two registers of its own, and the obligation covers
    // them.
    let (mut io, mut pads) = unsafe { (Registers::new(IO_BANK0), Registers::new(PADS_BANK0)) };
    io.write(8 * number + 4, function as u32);
    pads.write(4 * number + 4, PAD_INPUT | PAD_4_MA | PAD_SCHMITT | pad);
}

/// Lights the lamp for a program that cannot go on.
pub(crate) fn alarm() {
    // SAFETY: the program has ended, so nobody else uses the pin any more.
    let mut led = unsafe { Pin::output(LED) };
    led.set(true);
}
