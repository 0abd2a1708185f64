//! SPIM2 of an nRF52840 and a device on it: for tests on a desktop.
//!
//! In: what a driver writes to its registers and its window of RAM, and the level of chip select. Out: what the driver
//! reads, and what the device saw. No part of the firmware: `shared/tests/nrf52840_spi.rs` compiles it beside
//! `spi.rs`.

use std::cell::RefCell;

use super::spi::Spi;

/// Where the window is, and its bytes.
const RAM: u32 = 0x2000_0200;
pub(crate) const LEN: usize = 256;

/// The bus, and a device that adds one to every byte.
#[derive(Default)]
pub(crate) struct Bus {
    pub(crate) registers: Vec<u32>,
    ram: Vec<u8>,
    pub(crate) selected: bool,
    /// What the device saw: bytes, and where it was let go.
    pub(crate) seen: Vec<Option<u8>>,
    /// From here on nothing moves.
    pub(crate) stuck_after: Option<usize>,
    /// Whether a way of bytes that was stopped says so.
    pub(crate) stops: bool,
    pub(crate) outputs: Vec<u8>,
    pub(crate) inputs: Vec<u8>,
    pub(crate) waited_ns: u32,
    /// Looks until the end of the bytes that move.
    looks: u32,
}

thread_local! {
    static BUS: RefCell<Bus> = RefCell::default();
}

pub(crate) fn bus<T>(what: impl FnOnce(&mut Bus) -> T) -> T {
    BUS.with_borrow_mut(what)
}

/// Registers that are the simulator's.
#[derive(Debug)]
pub(crate) struct Registers;

impl Registers {
    /// # Safety
    /// None: it has the signature of the firmware's.
    pub(crate) const unsafe fn new(base: usize) -> Self {
        assert!(base == 0x4002_3000);
        Self
    }

    pub(crate) fn read(&self, offset: usize) -> u32 {
        bus(|bus| {
            assert!(
                matches!(offset, 0x104 | 0x118),
                "register {offset:#x} is not read"
            );
            bus.looks = bus.looks.saturating_sub(1);
            if bus.looks > 0 {
                0
            } else {
                bus.registers[offset / 4]
            }
        })
    }

    pub(crate) fn write(&mut self, offset: usize, value: u32) {
        bus(|bus| match offset {
            0x10 => bus.start(),
            0x14 => bus.registers[0x104 / 4] = u32::from(bus.stops),
            0x104 | 0x118 => {
                assert_eq!(value, 0, "events are cleared");
                bus.registers[offset / 4] = 0;
            }
            0x508..0x514 | 0x524 | 0x554 | 0x5c0 => {
                assert_eq!(bus.registers[0x500 / 4], 0, "set while it is off");
                bus.registers[offset / 4] = value;
            }
            0x308 | 0x500 | 0x534 | 0x538 | 0x540 | 0x544 | 0x548 | 0x550 => {
                bus.registers[offset / 4] = value;
            }
            other => panic!("register {other:#x} is not written"),
        });
    }
}

impl Bus {
    /// Moves as many bytes as the longer way has; what there is not to send is ORC.
    fn start(&mut self) {
        assert_eq!(self.registers[0x500 / 4], 7, "enabled");
        assert!(self.selected, "nobody listens");
        let [sent, received] = [0x544, 0x534].map(|place| {
            let (at, count) = (self.registers[place / 4], self.registers[place / 4 + 1]);
            assert!(at == RAM && count as usize <= LEN, "it reaches only RAM");
            count as usize
        });
        assert!(sent + received > 0, "nothing moves");
        for index in 0..sent.max(received) {
            if self
                .stuck_after
                .is_some_and(|count| self.seen.len() >= count)
            {
                return;
            }
            let orc = self.registers[0x5c0 / 4] as u8;
            let byte = if index < sent { self.ram[index] } else { orc };
            self.seen.push(Some(byte));
            if index < received {
                self.ram[index] = byte.wrapping_add(1);
            }
        }
        (self.registers[0x118 / 4], self.looks) = (1, 5);
    }
}

/// The driver's window.
#[derive(Debug)]
pub(crate) struct Window;

impl Window {
    /// # Safety
    /// None: it has the signature of the firmware's.
    pub(crate) const unsafe fn spi() -> Self {
        Self
    }

    pub(crate) const fn address(&self) -> u32 {
        RAM
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        bus(|bus| bus.ram[..bytes.len()].copy_from_slice(bytes));
    }

    pub(crate) fn get(&self, bytes: &mut [u8]) {
        bus(|bus| bytes.copy_from_slice(&bus.ram[..bytes.len()]));
    }
}

/// A bus as a boot loader may leave it, and the driver on it.
pub(crate) fn wire_up() -> Spi {
    bus(|bus| {
        *bus = Bus {
            registers: vec![0; 0x1000 / 4],
            ram: vec![0xee; LEN],
            stops: true,
            ..Bus::default()
        };
        bus.registers[0x500 / 4] = 7;
    });
    // SAFETY: the registers and pins are the simulator's, of this thread alone.
    unsafe { Spi::new() }
}
