//! SPI0 (ARM PL022) with one device on it: the camera.
//!
//! In: `embedded_hal`'s transactions. Out: bytes, in mode 0, with chip select low from the first operation to
//! the last. Register names are those of ARM's PL022 manual. Every wait has an end. `shared/tests/rp2350_spi.rs`
//! runs this file against a simulator of them.

use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};

use super::clocks::{SYSTEM_HZ, block, release};
use super::gpio::{Function, Pin, connect};
use super::pins::{CAMERA_CS, CAMERA_MISO, CAMERA_MOSI, CAMERA_SCK};
use super::timer::Counter;
use crate::board::register::Registers;

const SPI0: usize = 0x4008_0000;
const SSPCR0: usize = 0x00;
const SSPCR1: usize = 0x04;
const SSPDR: usize = 0x08;
const SSPSR: usize = 0x0c;
const SSPCPSR: usize = 0x10;
const EIGHT_BITS: u32 = 7;
const SSPCR1_ENABLE: u32 = 1 << 1;
const SSPSR_NOT_FULL: u32 = 1 << 1;
const SSPSR_NOT_EMPTY: u32 = 1 << 2;

/// The camera takes 8 MHz at most.
const MOST_HZ: u32 = 8_000_000;
/// Even, 2 at least.
const PRESCALE: u32 = 2;
const RATE: u32 = SYSTEM_HZ.div_ceil(PRESCALE * MOST_HZ) - 1;
const _: () = {
    assert!(RATE <= 255);
    assert!(SYSTEM_HZ / (PRESCALE * (1 + RATE)) == 7_500_000);
};
/// Looks at the state until a byte must be over: more than 100 of its times.
const PATIENCE: u32 = 10_000;

/// Bytes that the block holds in each direction.
const QUEUE: u32 = 8;

/// The bus did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stuck;

impl embedded_hal::spi::Error for Stuck {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// The camera's end of SPI0.
#[derive(Debug)]
pub(crate) struct Spi {
    registers: Registers,
    select: Pin,
    delay: Counter,
}

impl Spi {
    /// # Safety
    /// Called once, after `clocks::start` and `gpio::start`.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: called once, this is the only owner of the block and its pins.
        let (mut registers, mut select, delay) = unsafe {
            release(block::SPI0);
            for pin in [CAMERA_MISO, CAMERA_SCK, CAMERA_MOSI] {
                connect(pin, Function::Spi, 0);
            }
            (Registers::new(SPI0), Pin::output(CAMERA_CS), Counter::new())
        };
        select.set(true);
        registers.write(SSPCPSR, PRESCALE);
        registers.write(SSPCR0, RATE << 8 | EIGHT_BITS);
        registers.write(SSPCR1, SSPCR1_ENABLE);
        Self {
            registers,
            select,
            delay,
        }
    }

    /// One byte out, one in.
    fn exchange(&mut self, byte: u8) -> Result<u8, Stuck> {
        self.wait_for(SSPSR_NOT_FULL)?;
        self.registers.write(SSPDR, u32::from(byte));
        self.wait_for(SSPSR_NOT_EMPTY)?;
        let [byte, ..] = self.registers.read(SSPDR).to_le_bytes();
        Ok(byte)
    }

    /// Throws away what came after the last operation had given up: at most what the queue holds.
    fn drain(&self) {
        for _ in 0..QUEUE {
            if self.registers.read(SSPSR) & SSPSR_NOT_EMPTY == 0 {
                break;
            }
            self.registers.read(SSPDR);
        }
    }

    fn wait_for(&self, state: u32) -> Result<(), Stuck> {
        let mut looks = 0..PATIENCE;
        match looks.any(|_| self.registers.read(SSPSR) & state != 0) {
            true => Ok(()),
            false => Err(Stuck),
        }
    }

    fn operate(&mut self, operation: &mut Operation<'_, u8>) -> Result<(), Stuck> {
        match operation {
            Operation::Read(bytes) => {
                for byte in bytes.iter_mut() {
                    *byte = self.exchange(0)?;
                }
            }
            Operation::Write(bytes) => {
                for &byte in *bytes {
                    self.exchange(byte)?;
                }
            }
            Operation::Transfer(read, write) => {
                for index in 0..read.len().max(write.len()) {
                    let got = self.exchange(write.get(index).copied().unwrap_or(0))?;
                    if let Some(place) = read.get_mut(index) {
                        *place = got;
                    }
                }
            }
            Operation::TransferInPlace(bytes) => {
                for byte in bytes.iter_mut() {
                    *byte = self.exchange(*byte)?;
                }
            }
            Operation::DelayNs(nanoseconds) => self.delay.delay_ns(*nanoseconds),
        }
        Ok(())
    }
}

impl ErrorType for Spi {
    type Error = Stuck;
}

impl SpiDevice for Spi {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Stuck> {
        self.drain();
        self.select.set(false);
        let mut operations = operations.iter_mut();
        let result = operations.try_for_each(|operation| self.operate(operation));
        self.select.set(true);
        result
    }
}
