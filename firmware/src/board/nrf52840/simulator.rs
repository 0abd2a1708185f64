//! The USB controller of an nRF52840 as its product specification describes it (USBD), and a host's tokens: for tests
//! on a desktop.
//!
//! In: what a driver writes to registers and to its window of RAM, and tokens of a host. Out: what the driver reads,
//! and what the host gets. No part of the firmware: `shared/tests/nrf52840_usb.rs` compiles it beside `usb.rs`. It is
//! strict where the chip is: it gets ready only with the workarounds of its errata, one packet moves at a time and a
//! task that is given meanwhile is lost, an address is its own affair, nothing is accepted that nobody has asked for.

use std::cell::RefCell;

use super::serial_port::Handshake;
use super::usb::Uart;

/// A host that ends an answer before its last packet is put off until it gives up.
pub(crate) const TAKES_AN_EARLY_END: bool = false;

const USBD: usize = 0x4002_7000;
const POWER: usize = 0x4000_0000;
const HIDDEN: usize = 0x4006_e000;
/// Where the window is.
pub(crate) const RAM: u32 = 0x2000_0100;
const N: usize = 8;
const USBRESET: usize = 0x100;
const EP0DATADONE: usize = 0x128;
const EP0SETUP: usize = 0x15c;
const EPDATA: usize = 0x160;
const EPDATASTATUS: usize = 0x46c;
const USBADDR: usize = 0x470;
const BMREQUESTTYPE: usize = 0x480;
const SIZE_EPOUT: usize = 0x4a0;
const ENABLE: usize = 0x500;
const USBPULLUP: usize = 0x504;
const EPINEN: usize = 0x510;
const EPOUTEN: usize = 0x514;

#[derive(Default)]
struct Chip {
    registers: Vec<u32>,
    hidden: Vec<u32>,
    ram: Vec<u8>,
    vbus: bool,
    output_ready: bool,
    crystal: bool,
    /// Packets in the controller.
    to_host: [Option<Vec<u8>>; N],
    from_host: [Option<Vec<u8>>; N],
    /// Whether an endpoint may take a packet.
    open: [bool; N],
    in_data1: [bool; N],
    out_data1: [bool; N],
    /// The endpoint that DTOGGLE is about.
    chosen: u32,
    status_open: bool,
    stalled: bool,
    new_address: Option<u32>,
    /// The event that ends a packet's way, and the looks until then.
    moving: Option<(usize, u32)>,
}

thread_local! {
    static CHIP: RefCell<Chip> = RefCell::default();
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
            USBD => chip.read(offset),
            POWER if offset == 0x438 => u32::from(chip.vbus) | u32::from(chip.output_ready) << 1,
            HIDDEN => chip.hidden[offset / 4],
            base => panic!("nothing is at {base:#x} + {offset:#x}"),
        })
    }

    pub(crate) fn write(&mut self, offset: usize, value: u32) {
        with(|chip| match (self.base, offset) {
            (USBD, _) => chip.write(offset, value),
            (HIDDEN, 0xc00) => {
                assert_eq!(value, 0x9375);
                chip.hidden[0xc00 / 4] ^= 1;
            }
            (HIDDEN, _) => {
                assert_eq!(chip.hidden[0xc00 / 4], 1, "locked");
                chip.hidden[offset / 4] = value;
            }
            (base, _) => panic!("nothing is at {base:#x} + {offset:#x}"),
        });
    }
}

/// The driver's window.
pub(crate) fn window<T>(what: impl FnOnce(&mut [u8]) -> T) -> T {
    with(|chip| what(&mut chip.ram))
}

impl Chip {
    fn read(&mut self, offset: usize) -> u32 {
        if let Some((event, looks)) = self.moving
            && event == offset
        {
            self.moving = Some((event, looks.saturating_sub(1)));
            if looks == 0 {
                self.moving = None;
                self.registers[event / 4] = 1;
            }
        }
        self.registers[offset / 4]
    }

    fn write(&mut self, offset: usize, value: u32) {
        match offset {
            0x0..0x60 => self.task(offset, value),
            0x100..0x164 => {
                assert_eq!(value, 0, "events are cleared");
                self.registers[offset / 4] = 0;
            }
            0x200 => assert_eq!(value, 0, "no shortcuts"),
            0x304 => self.registers[0x300 / 4] |= value,
            0x308 => self.registers[0x300 / 4] &= !value,
            // Ones clear.
            0x400 | EPDATASTATUS => self.registers[offset / 4] &= !value,
            SIZE_EPOUT..0x4c0 => {
                let number = (offset - SIZE_EPOUT) / 4;
                self.registers[offset / 4] = 0;
                (self.from_host[number], self.open[number]) = (None, true);
            }
            ENABLE => self.enable(value),
            USBPULLUP => {
                let hidden = self.hidden[0xc14 / 4] | self.hidden[0xd14 / 4];
                let ready = self.registers[ENABLE / 4] == 1 && self.registers[0x400 / 4] == 0;
                let powered = self.output_ready && self.crystal && hidden == 0;
                assert!(value == 0 || (ready && powered), "too early");
                self.registers[offset / 4] = value;
            }
            0x50c => match value >> 8 {
                0 => self.chosen = value,
                1 => {
                    assert_eq!(self.chosen, value & 0xff, "another endpoint was chosen");
                    let number = (value & 7) as usize;
                    match value & 0x80 {
                        0 => self.out_data1[number] = false,
                        _ => self.in_data1[number] = false,
                    }
                }
                other => panic!("toggle {other}"),
            },
            EPINEN | EPOUTEN => {
                assert_eq!(value & 1, 1, "endpoint 0 stays");
                self.registers[offset / 4] = value;
            }
            0x600..0x7a0 | 0x800 => self.registers[offset / 4] = value,
            0x804 => {
                let number = (self.registers[0x800 / 4] - 0x7b6) / 2 + 1;
                if value & 2 != 0 {
                    self.to_host[number as usize] = None;
                }
            }
            other => panic!("register {other:#x} is not written"),
        }
    }

    fn enable(&mut self, value: u32) {
        if value == 0 {
            // Whether it forgets its events nobody says, so here it does not.
            let events = self.registers[USBRESET / 4..0x164 / 4].to_vec();
            self.registers = vec![0; 0x1000 / 4];
            self.registers[USBRESET / 4..0x164 / 4].copy_from_slice(&events);
        } else {
            assert!(self.vbus, "there is no power");
            self.registers[ENABLE / 4] = 1;
            // Without the workarounds of errata 171 and 187 it never gets ready.
            if self.hidden[0xc14 / 4] == 0xc0 && self.hidden[0xd14 / 4] == 3 {
                self.registers[0x400 / 4] |= 1 << 11;
            }
        }
        self.forget();
    }

    /// What a reset of the bus leaves: endpoint 0.
    fn forget(&mut self) {
        (self.registers[EPINEN / 4], self.registers[EPOUTEN / 4]) = (1, 1);
        self.registers[USBADDR / 4] = 0;
        (self.to_host, self.from_host) = Default::default();
        self.open = [false; N];
        // A driver that does not set them finds out.
        (self.in_data1, self.out_data1) = ([true; N], [true; N]);
        (self.status_open, self.stalled, self.new_address) = (false, false, None);
    }

    fn task(&mut self, offset: usize, value: u32) {
        assert_eq!(value, 1);
        assert_eq!(self.registers[ENABLE / 4], 1, "it is off");
        assert!(self.moving.is_none(), "lost: a packet moves (erratum 199)");
        match offset {
            0x04..0x24 => {
                let number = offset / 4 - 1;
                let len = self.window(0x600, number);
                self.to_host[number] = Some(self.ram[..len].to_vec());
                self.moving = Some((0x108 + 4 * number, 2));
            }
            0x28..0x48 => {
                let number = offset / 4 - 10;
                let packet = self.from_host[number].take();
                let packet = packet.unwrap_or_else(|| panic!("no packet came to {number}"));
                assert_eq!(self.window(0x700, number), packet.len(), "MAXCNT is SIZE");
                self.ram[..packet.len()].copy_from_slice(&packet);
                self.moving = Some((0x130 + 4 * number, 2));
                // The next one may come; to endpoint 0 only by its own task.
                self.open[number] = number != 0;
            }
            0x4c => self.open[0] = true,
            0x50 => {
                assert!(self.new_address.is_none(), "the controller's own affair");
                self.status_open = true;
            }
            0x54 => self.stalled = true,
            other => panic!("no task {other:#x}"),
        }
    }

    /// How many bytes an endpoint moves.
    fn window(&self, registers: usize, number: usize) -> usize {
        let place = (registers + 0x14 * number) / 4;
        assert_eq!(self.registers[place], RAM, "it reaches only RAM");
        self.registers[place + 1] as usize
    }

    fn hears(&self, address: u32, number: usize, enabled: usize) -> bool {
        self.registers[USBPULLUP / 4] == 1
            && self.registers[USBADDR / 4] == address
            && self.registers[enabled / 4] & 1 << number != 0
    }

    fn is_answer(&self) -> bool {
        self.registers[BMREQUESTTYPE / 4] & 0x80 != 0
    }

    /// A packet of a data endpoint, or of endpoint 0, has gone or come.
    fn done(&mut self, number: usize, out: bool) {
        if number == 0 {
            self.registers[EP0DATADONE / 4] = 1;
        } else {
            self.registers[EPDATASTATUS / 4] |= 1 << (number + 16 * usize::from(out));
            self.registers[EPDATA / 4] = 1;
        }
    }
}

/// A chip with a device that shows itself.
pub(crate) fn plug_in() -> Uart {
    let mut uart = start();
    power(true, true);
    for _ in 0..4 {
        uart.read_byte();
    }
    assert!(is_shown());
    uart
}

/// A chip without a host, as a boot loader leaves it that was one's own device.
pub(crate) fn start() -> Uart {
    with(|chip| {
        *chip = Chip {
            registers: vec![0; 0x1000 / 4],
            hidden: vec![0; 0x1000 / 4],
            ram: vec![0; 64],
            crystal: true,
            ..Chip::default()
        };
        chip.registers[ENABLE / 4] = 1;
        chip.registers[USBPULLUP / 4] = 1;
        chip.registers[0x300 / 4] = u32::MAX;
    });
    // SAFETY: the registers are the simulator's, of this thread alone.
    unsafe { Uart::new() }
}

/// What the chip sees of the host's power, and whether its own supply of the controller is ready.
pub(crate) fn power(vbus: bool, output_ready: bool) {
    with(|chip| (chip.vbus, chip.output_ready) = (vbus, output_ready));
}

/// Whether the crystal swings.
pub(crate) fn crystal(swings: bool) {
    with(|chip| chip.crystal = swings);
}

pub(crate) fn is_crystal() -> bool {
    with(|chip| chip.crystal)
}

/// Whether a host sees the device.
pub(crate) fn is_shown() -> bool {
    with(|chip| chip.registers[USBPULLUP / 4] == 1)
}

/// The host holds both lines low.
pub(crate) fn reset_bus() {
    with(|chip| {
        chip.forget();
        chip.registers[USBRESET / 4] = 1;
    });
}

/// A SETUP packet, which a device can neither refuse nor put off.
pub(crate) fn setup(address: u32, packet: [u8; 8]) -> Handshake {
    with(|chip| {
        if !chip.hears(address, 0, EPINEN) {
            return Handshake::Silent;
        }
        for (index, byte) in packet.iter().enumerate() {
            chip.registers[BMREQUESTTYPE / 4 + index] = u32::from(*byte);
        }
        (chip.to_host[0], chip.from_host[0], chip.open[0]) = (None, None, false);
        (chip.status_open, chip.stalled) = (false, false);
        (chip.in_data1[0], chip.out_data1[0]) = (true, true);
        let is_address = packet[..2] == [0, 5];
        chip.new_address = is_address.then_some(u32::from(packet[2]));
        chip.registers[EP0SETUP / 4] = 1;
        Handshake::Ack
    })
}

/// The host asks for a packet.
pub(crate) fn token_in(address: u32, number: usize) -> Handshake {
    with(|chip| {
        if !chip.hears(address, number, EPINEN) {
            return Handshake::Silent;
        }
        if number == 0 && chip.stalled {
            return Handshake::Stall;
        }
        if number == 0 && !chip.is_answer() {
            if let Some(address) = chip.new_address.take() {
                chip.registers[USBADDR / 4] = address;
            } else if !core::mem::take(&mut chip.status_open) {
                return Handshake::Nak;
            }
            return Handshake::Data(Vec::new(), true);
        }
        match chip.to_host[number].take() {
            None => Handshake::Nak,
            Some(bytes) => {
                let data1 = chip.in_data1[number];
                chip.in_data1[number] = !data1;
                chip.done(number, false);
                Handshake::Data(bytes, data1)
            }
        }
    })
}

/// The host sends a packet.
pub(crate) fn token_out(address: u32, number: usize, bytes: &[u8], data1: bool) -> Handshake {
    with(|chip| {
        if !chip.hears(address, number, EPOUTEN) {
            return Handshake::Silent;
        }
        if number == 0 && chip.stalled {
            return Handshake::Stall;
        }
        if number == 0 && chip.is_answer() {
            assert!(bytes.is_empty() && data1, "the host's empty packet");
            return match core::mem::take(&mut chip.status_open) {
                true => Handshake::Ack,
                false => Handshake::Nak,
            };
        }
        if !chip.open[number] {
            return Handshake::Nak;
        }
        if chip.out_data1[number] != data1 {
            return Handshake::OutOfOrder;
        }
        chip.out_data1[number] = !data1;
        chip.open[number] = false;
        chip.from_host[number] = Some(bytes.to_vec());
        chip.registers[SIZE_EPOUT / 4 + number] = bytes.len() as u32;
        chip.done(number, true);
        Handshake::Ack
    })
}

/// Whether the controller asks for the processor.
pub(crate) fn interrupts() -> bool {
    with(|chip| {
        let enabled = chip.registers[0x300 / 4];
        (0..25).any(|bit| enabled & 1 << bit != 0 && chip.registers[USBRESET / 4 + bit] != 0)
    })
}
