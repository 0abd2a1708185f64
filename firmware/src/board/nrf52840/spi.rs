//! SPIM2 with one device on it: the camera.
//!
//! In: `embedded_hal`'s transactions. Out: bytes, in mode 0, with chip select low from the first operation to
//! the last. Register names are those of the nRF52840 product specification (SPIM). The block moves bytes by itself, to
//! and from a window of RAM. Every wait has an end. `shared/tests/nrf52840_spi.rs` runs this file against a simulator
//! of the block.

use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};

use super::dma::{SPI_LEN, Window};
use super::gpio::Pin;
use super::pins::{CAMERA_CS, CAMERA_MISO, CAMERA_MOSI, CAMERA_SCK};
use super::timer::Counter;
use crate::board::register::Registers;

const SPIM2: usize = 0x4002_3000;
const TASKS_START: usize = 0x10;
const TASKS_STOP: usize = 0x14;
const EVENTS_STOPPED: usize = 0x104;
const EVENTS_END: usize = 0x118;
const INTENCLR: usize = 0x308;
const ENABLE: usize = 0x500;
const PSEL_SCK: usize = 0x508;
const PSEL_MOSI: usize = 0x50c;
const PSEL_MISO: usize = 0x510;
const FREQUENCY: usize = 0x524;
const RXD_PTR: usize = 0x534;
const RXD_MAXCNT: usize = 0x538;
const RXD_LIST: usize = 0x540;
const TXD_PTR: usize = 0x544;
const TXD_MAXCNT: usize = 0x548;
const TXD_LIST: usize = 0x550;
const CONFIG: usize = 0x554;
/// What is sent behind the end of what there is to send.
const ORC: usize = 0x5c0;
const ENABLED: u32 = 7;
/// Half of what the camera takes: pins drive less here than a bus of 8 MHz wants.
const FREQUENCY_4_MHZ: u32 = 0x4000_0000;
/// Mode 0, highest bit first.
const MODE_0: u32 = 0;
/// Looks until a window must have gone: its time is 0.5 ms, 33,000 cycles, and a look takes several.
const PATIENCE: u32 = 100_000;

/// The bus did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stuck;

impl embedded_hal::spi::Error for Stuck {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// The camera's end of SPIM2.
#[derive(Debug)]
pub(crate) struct Spi {
    registers: Registers,
    window: Window,
    select: Pin,
    delay: Counter,
}

impl Spi {
    /// # Safety
    /// Called once, after the clocks and the timer were started.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: called once, this is the only owner of the block, its window and its pins.
        let (mut registers, window, mut select, delay) = unsafe {
            // The block takes these over; it wants them set like this while it is off.
            for pin in [CAMERA_SCK, CAMERA_MOSI] {
                Pin::output(pin);
            }
            Pin::floating(CAMERA_MISO);
            (
                Registers::new(SPIM2),
                Window::spi(),
                Pin::output(CAMERA_CS),
                Counter::new(),
            )
        };
        select.set(true);
        registers.write(ENABLE, 0);
        registers.write(INTENCLR, u32::MAX);
        registers.write(PSEL_SCK, u32::from(CAMERA_SCK));
        registers.write(PSEL_MOSI, u32::from(CAMERA_MOSI));
        registers.write(PSEL_MISO, u32::from(CAMERA_MISO));
        registers.write(FREQUENCY, FREQUENCY_4_MHZ);
        registers.write(CONFIG, MODE_0);
        registers.write(ORC, 0);
        registers.write(RXD_LIST, 0);
        registers.write(TXD_LIST, 0);
        registers.write(ENABLE, ENABLED);
        Self {
            registers,
            window,
            select,
            delay,
        }
    }

    /// Sends the window's first `sent` bytes, and receives as many as are wanted into it. The block reads a byte
    /// before it writes one there.
    fn exchange(&mut self, sent: usize, received: usize) -> Result<(), Stuck> {
        let address = self.window.address();
        self.registers.write(TXD_PTR, address);
        self.registers.write(TXD_MAXCNT, sent as u32);
        self.registers.write(RXD_PTR, address);
        self.registers.write(RXD_MAXCNT, received as u32);
        self.registers.write(EVENTS_END, 0);
        self.registers.write(TASKS_START, 1);
        if self.wait_for(EVENTS_END) {
            return Ok(());
        }
        self.registers.write(EVENTS_STOPPED, 0);
        self.registers.write(TASKS_STOP, 1);
        self.wait_for(EVENTS_STOPPED);
        Err(Stuck)
    }

    fn wait_for(&self, event: usize) -> bool {
        let mut looks = 0..PATIENCE;
        looks.any(|_| self.registers.read(event) != 0)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Stuck> {
        for piece in bytes.chunks_mut(SPI_LEN) {
            self.exchange(0, piece.len())?;
            self.window.get(piece);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Stuck> {
        for piece in bytes.chunks(SPI_LEN) {
            self.window.put(piece);
            self.exchange(piece.len(), 0)?;
        }
        Ok(())
    }

    fn transfer_in_place(&mut self, bytes: &mut [u8]) -> Result<(), Stuck> {
        for piece in bytes.chunks_mut(SPI_LEN) {
            self.window.put(piece);
            self.exchange(piece.len(), piece.len())?;
            self.window.get(piece);
        }
        Ok(())
    }

    /// As many bytes as the longer one has; zeros are sent and what comes is dropped where there is no more.
    fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Stuck> {
        let both = read.len().min(write.len());
        let (read, more_read) = read
            .split_at_mut_checked(both)
            .unwrap_or((&mut [], &mut []));
        let (write, more_write) = write.split_at_checked(both).unwrap_or((&[], &[]));
        for (to, from) in read.iter_mut().zip(write) {
            *to = *from;
        }
        self.transfer_in_place(read)?;
        self.read(more_read)?;
        self.write(more_write)
    }

    fn operate(&mut self, operation: &mut Operation<'_, u8>) -> Result<(), Stuck> {
        match operation {
            Operation::Read(bytes) => self.read(bytes),
            Operation::Write(bytes) => self.write(bytes),
            Operation::Transfer(read, write) => self.transfer(read, write),
            Operation::TransferInPlace(bytes) => self.transfer_in_place(bytes),
            Operation::DelayNs(nanoseconds) => {
                self.delay.delay_ns(*nanoseconds);
                Ok(())
            }
        }
    }
}

impl ErrorType for Spi {
    type Error = Stuck;
}

impl SpiDevice for Spi {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Stuck> {
        self.select.set(false);
        let mut operations = operations.iter_mut();
        let result = operations.try_for_each(|operation| self.operate(operation));
        self.select.set(true);
        result
    }
}
