//! SPI0 of an RP2350 (ARM PL022) and a device on it: for tests on a desktop.
//!
//! In: what a driver writes to its registers, and the level of chip select. Out: what the driver reads, and what
//! the device saw. No part of the firmware: `shared/tests/rp2350_spi.rs` compiles it beside `spi.rs`.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::spi::Spi;

/// The bus, and a device that adds one to every byte.
#[derive(Default)]
pub(crate) struct Bus {
    pub(crate) registers: [u32; 5],
    answers: VecDeque<u8>,
    pub(crate) selected: bool,
    /// What the device saw: bytes, and where it was let go.
    pub(crate) seen: Vec<Option<u8>>,
    /// From here on nothing comes back.
    pub(crate) stuck_after: Option<usize>,
    pub(crate) connected: Vec<u8>,
    pub(crate) waited_ns: u32,
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
        assert!(base == 0x4008_0000);
        Self
    }

    pub(crate) fn read(&self, offset: usize) -> u32 {
        bus(|bus| match offset {
            0x08 => u32::from(
                bus.answers
                    .pop_front()
                    .unwrap_or_else(|| panic!("read before it came")),
            ),
            // TNF always, RNE while there are answers.
            0x0c => 2 | u32::from(!bus.answers.is_empty()) << 2,
            other => panic!("register {other:#x} is not read"),
        })
    }

    pub(crate) fn write(&mut self, offset: usize, value: u32) {
        bus(|bus| {
            if offset != 0x08 {
                bus.registers[offset / 4] = value;
                return;
            }
            assert_eq!(bus.registers[1], 2, "enabled, as the master");
            assert!(bus.selected, "nobody listens");
            let byte = value as u8;
            if bus.stuck_after.is_none_or(|count| bus.seen.len() < count) {
                bus.answers.push_back(byte.wrapping_add(1));
            }
            bus.seen.push(Some(byte));
        });
    }
}

/// A bus as after power-on, and the driver on it.
pub(crate) fn wire_up() -> Spi {
    bus(|bus| *bus = Bus::default());
    // SAFETY: the registers and pins are the simulator's, of this thread alone.
    unsafe { Spi::new() }
}
