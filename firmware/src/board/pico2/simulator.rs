//! The USB controller of an RP2350 as its datasheet describes it (12.7.3), and a host's tokens: for tests on a
//! desktop.
//!
//! In: what a driver writes to registers and dual-port memory, and tokens of a host. Out: what the driver
//! reads, and what the host gets. No part of the firmware: `shared/tests/rp2350_usb.rs` compiles it beside
//! `usb.rs`. It is strict where the chip is: a buffer's state must be written before the buffer is made
//! available, the order of DATA0 and DATA1 counts, a device answers to its own address only.

use std::cell::RefCell;

use super::serial_port::Handshake;
use super::usb::Uart;

const DPRAM: usize = 0x5010_0000;
const USB: usize = 0x5011_0000;
const AVAILABLE: u32 = 1 << 10;
const STALL: u32 = 1 << 11;
const DATA1: u32 = 1 << 13;
const FULL: u32 = 1 << 15;
const LENGTH: u32 = 0x3ff;
const SETUP_REC: u32 = 1 << 17;
const BUS_RESET: u32 = 1 << 19;

/// A host may end an answer before its last packet.
pub(crate) const TAKES_AN_EARLY_END: bool = true;

struct Chip {
    dpram: Vec<u32>,
    registers: Vec<u32>,
}

thread_local! {
    static CHIP: RefCell<Chip> = const { RefCell::new(Chip { dpram: Vec::new(), registers: Vec::new() }) };
}

fn with<T>(what: impl FnOnce(&mut Chip) -> T) -> T {
    CHIP.with_borrow_mut(what)
}

/// Registers that are the simulator's.
#[derive(Debug)]
pub(crate) struct Registers {
    base: usize,
}

impl Registers {
    /// # Safety
    /// None: it has the signature of the firmware's.
    pub(crate) const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    pub(crate) fn read(&self, offset: usize) -> u32 {
        with(|chip| match self.base {
            DPRAM => chip.dpram[offset / 4],
            USB if offset == 0x98 => chip.ints(),
            USB => chip.registers[offset / 4],
            base => panic!("nothing is at {base:#x}"),
        })
    }

    pub(crate) fn write(&mut self, offset: usize, value: u32) {
        with(|chip| match self.base {
            DPRAM => {
                let place = &mut chip.dpram[offset / 4];
                if (0x80..0x100).contains(&offset) && value & AVAILABLE != 0 {
                    let state = value & !(AVAILABLE | STALL);
                    assert_eq!(*place & !STALL, state, "state first, then available");
                }
                *place = value;
            }
            USB => match offset {
                // Ones clear.
                0x50 | 0x58 | 0x64 => chip.registers[offset / 4] &= !value,
                0x60 => {
                    chip.registers[0x60 / 4] = value;
                    chip.registers[0x64 / 4] |= value;
                }
                _ => chip.registers[offset / 4] = value,
            },
            base => panic!("nothing is at {base:#x}"),
        });
    }
}

impl Chip {
    fn ints(&self) -> u32 {
        let status = self.registers[0x50 / 4];
        let buffers = u32::from(self.registers[0x58 / 4] != 0) << 4;
        let reset = u32::from(status & BUS_RESET != 0) << 12;
        let setup = u32::from(status & SETUP_REC != 0) << 16;
        (buffers | reset | setup) & self.registers[0x90 / 4]
    }

    /// Whether the device hears a token.
    fn hears(&self, address: u32) -> bool {
        let (muxing, power) = (self.registers[0x74 / 4], self.registers[0x78 / 4]);
        let plugged = self.registers[0x4c / 4] & 1 << 16 != 0 && muxing & 9 == 9;
        // Enabled, a device, and its transceiver not isolated.
        plugged
            && power & 0xc == 0xc
            && self.registers[0x40 / 4] == 1
            && self.registers[0] & 0x7f == address
    }

    /// The place of an endpoint's buffer control, and the buffer; `None` when it is not enabled.
    fn endpoint(&self, number: usize, out: bool) -> Option<(usize, usize)> {
        let place = 0x20 + 2 * number + usize::from(out);
        if number == 0 {
            return Some((place, 0x100 / 4));
        }
        let control = self.dpram[2 * number + usize::from(out)];
        let kind = control >> 26 & 3;
        assert!(
            control >> 31 == 0 || kind == 2 || kind == 3,
            "bulk or interrupt"
        );
        (control >> 31 == 1).then_some((place, (control & 0xffff) as usize / 4))
    }

    fn done(&mut self, number: usize, out: bool) {
        let control = self.dpram[2 * number + usize::from(out)];
        // EP0_INT_1BUF, or the endpoint's own bit.
        let tells = match number {
            0 => self.registers[0x4c / 4] & 1 << 29 != 0,
            _ => control & 1 << 29 != 0,
        };
        self.registers[0x58 / 4] |= u32::from(tells) << (2 * number + usize::from(out));
    }

    fn is_stalled(&self, number: usize, out: bool, control: u32) -> bool {
        let armed = number != 0 || self.registers[0x68 / 4] & 1 << u32::from(out) != 0;
        control & STALL != 0 && armed
    }
}

/// A chip with a device that shows itself.
pub(crate) fn plug_in() -> Uart {
    with(|chip| {
        // What was there before counts for nothing; after a reset the transceiver is isolated.
        chip.dpram = vec![0xdead_beef; 1024];
        chip.registers = vec![0; 0x120 / 4];
        chip.registers[0x40 / 4] = 4;
    });
    // SAFETY: the registers are the simulator's, of this thread alone.
    unsafe { Uart::new() }
}

/// The host holds both lines low.
pub(crate) fn reset_bus() {
    with(|chip| chip.registers[0x50 / 4] |= BUS_RESET);
}

/// A SETUP packet, which a device can neither refuse nor put off.
pub(crate) fn setup(address: u32, packet: [u8; 8]) -> Handshake {
    with(|chip| {
        if !chip.hears(address) {
            return Handshake::Silent;
        }
        let (words, _) = packet.as_chunks::<4>();
        for (place, word) in chip.dpram.iter_mut().zip(words) {
            *place = u32::from_le_bytes(*word);
        }
        chip.registers[0x68 / 4] = 0;
        chip.registers[0x50 / 4] |= SETUP_REC;
        Handshake::Ack
    })
}

/// The host asks for a packet.
pub(crate) fn token_in(address: u32, number: usize) -> Handshake {
    with(|chip| {
        let Some((place, buffer)) = chip.endpoint(number, false).filter(|_| chip.hears(address))
        else {
            return Handshake::Silent;
        };
        let control = chip.dpram[place];
        if chip.is_stalled(number, false, control) {
            return Handshake::Stall;
        }
        if control & (AVAILABLE | FULL) != AVAILABLE | FULL {
            return Handshake::Nak;
        }
        let bytes = chip.dpram[buffer..]
            .iter()
            .flat_map(|word| word.to_le_bytes());
        let bytes = bytes.take((control & LENGTH) as usize).collect();
        chip.dpram[place] = control & !(AVAILABLE | FULL);
        chip.done(number, false);
        Handshake::Data(bytes, control & DATA1 != 0)
    })
}

/// The host sends a packet.
pub(crate) fn token_out(address: u32, number: usize, bytes: &[u8], data1: bool) -> Handshake {
    with(|chip| {
        let Some((place, buffer)) = chip.endpoint(number, true).filter(|_| chip.hears(address))
        else {
            return Handshake::Silent;
        };
        let control = chip.dpram[place];
        if control & (AVAILABLE | FULL) != AVAILABLE {
            return Handshake::Nak;
        }
        if chip.is_stalled(number, true, control) {
            return Handshake::Stall;
        }
        assert!(
            bytes.len() <= (control & LENGTH) as usize,
            "more than the buffer takes"
        );
        if (control & DATA1 != 0) != data1 {
            return Handshake::OutOfOrder;
        }
        for (word, piece) in chip.dpram[buffer..].iter_mut().zip(bytes.chunks(4)) {
            let mut four = [0; 4];
            four[..piece.len()].copy_from_slice(piece);
            *word = u32::from_le_bytes(four);
        }
        let kept = control & !(AVAILABLE | LENGTH);
        chip.dpram[place] = kept | FULL | bytes.len() as u32;
        chip.done(number, true);
        Handshake::Ack
    })
}

/// Whether the controller asks for the processor.
pub(crate) fn interrupts() -> bool {
    with(|chip| chip.ints() != 0)
}
