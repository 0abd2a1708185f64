//! The link to the host: the first CMSDK UART of the board.
//!
//! In and out: bytes, one at a time. Nothing waits: what is not there is not read, and what the host does
//! not take is refused. QEMU connects it with `-serial unix:PATH,server=on,wait=off`, or with
//! `-serial tcp:…`, and loses no byte while the program reads slowly.

use super::addresses::UART;
use super::register::Registers;

const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const INT_CLEAR: usize = 0x0c;
const BAUDDIV: usize = 0x10;

const STATE_TX_FULL: u32 = 1;
const STATE_RX_FULL: u32 = 2;
const CTRL_TX_AND_RX: u32 = 3;
const CTRL_RX_INTERRUPT: u32 = 1 << 3;
const INT_RX: u32 = 1 << 1;
/// The least that the hardware takes, and so the fastest.
const FASTEST: u32 = 16;

/// A UART that is polled.
#[derive(Debug)]
pub struct Uart {
    registers: Registers,
}

impl Uart {
    /// Turns it on.
    ///
    /// # Safety
    /// Called once.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: `UART` is the board's, and called once this is its only owner.
        let mut registers = unsafe { Registers::new(UART) };
        registers.write(BAUDDIV, FASTEST);
        registers.write(CTRL, CTRL_TX_AND_RX | CTRL_RX_INTERRUPT);
        Self { registers }
    }

    /// The next byte of the host's, if one is there.
    pub fn read_byte(&mut self) -> Option<u8> {
        if !self.has_byte() {
            return None;
        }
        let [byte, ..] = self.registers.read(DATA).to_le_bytes();
        Some(byte)
    }

    /// Whether all bytes have left.
    pub fn is_empty(&mut self) -> bool {
        self.registers.read(STATE) & STATE_TX_FULL == 0
    }

    /// Whether a byte of the host's is there.
    pub(super) fn has_byte(&self) -> bool {
        self.registers.read(STATE) & STATE_RX_FULL != 0
    }

    /// The next byte raises the interrupt again.
    pub(super) fn clear_interrupt(&mut self) {
        self.registers.write(INT_CLEAR, INT_RX);
    }

    /// Sends a byte; `false` when the one before has not left yet.
    pub fn write_byte(&mut self, byte: u8) -> bool {
        if self.registers.read(STATE) & STATE_TX_FULL != 0 {
            return false;
        }
        self.registers.write(DATA, u32::from(byte));
        true
    }
}
