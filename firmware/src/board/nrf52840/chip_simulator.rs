//! The small devices of an nRF52840 as its product specification describes them (CLOCK, TIMER, WDT, POWER, GPIO,
//! FICR): for tests on a desktop.
//!
//! In: what drivers write to registers. Out: what they read. No part of the firmware: `shared/tests/nrf52840_chip.rs`
//! compiles it beside the drivers. A register that nobody has described panics.

use std::cell::RefCell;
use std::collections::HashMap;

use super::gpio::Pin;
use super::pins::{BUTTON, CAMERA_MISO, LED, MATCH};
use super::timer::{Clock, Counter};
use super::watchdog::Watchdog;
use super::{chip_id, clocks, timer};

const CLOCK: usize = 0x4000_0000;
const TIMER0: usize = 0x4000_8000;
const WDT: usize = 0x4001_0000;
const PORTS: [usize; 2] = [0x5000_0000, 0x5000_0300];

/// The chip.
#[derive(Default)]
pub(crate) struct Chip {
    registers: HashMap<usize, u32>,
    /// Microseconds: one goes by at each look.
    pub(crate) time: u32,
    /// Whether the crystal swings when it is started.
    pub(crate) swings: bool,
    /// What pulls at the pins of both ports from outside: these are low.
    pub(crate) low: [u32; 2],
    /// How often the watchdog was fed.
    pub(crate) fed: u32,
}

thread_local! {
    static CHIP: RefCell<Chip> = RefCell::default();
}

pub(crate) fn chip<T>(what: impl FnOnce(&mut Chip) -> T) -> T {
    CHIP.with_borrow_mut(what)
}

/// A chip as after power-on.
pub(crate) fn power_on() {
    chip(|chip| {
        *chip = Chip {
            swings: true,
            ..Chip::default()
        };
    });
}

impl Chip {
    pub(crate) fn get(&self, at: usize) -> u32 {
        self.registers.get(&at).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, at: usize, value: u32) {
        self.registers.insert(at, value);
    }

    /// What a port's pins have: what an output drives, what pulls from outside, else what pulls inside.
    fn levels(&self, port: usize) -> u32 {
        let (base, low) = (PORTS[port], self.low[port]);
        let level = |pin: usize| {
            let how = self.get(base + 0x700 + 4 * pin);
            assert_eq!(how & 2, 0, "the input is connected");
            match (how & 1, how >> 2 & 3) {
                (1, _) => self.get(base + 0x504) >> pin & 1 != 0,
                (_, 3) => low >> pin & 1 == 0,
                _ => false,
            }
        };
        (0..32).map(|pin| u32::from(level(pin)) << pin).sum()
    }

    fn is_watched(&self) -> bool {
        self.get(WDT + 0x400) != 0
    }
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
        chip(|chip| match (self.base, offset) {
            (0x5000_0000, 0x510) => chip.levels(0),
            (0x5000_0300, 0x510) => chip.levels(1),
            (CLOCK, 0x100 | 0x400 | 0x40c)
            | (TIMER0, 0x144 | 0x540)
            | (WDT, 0x400)
            | (0x1000_0000, 0x60 | 0x64 | 0x104)
            | (0xe000_edfc, 0)
            | (0xe000_1000, 0 | 4) => chip.get(self.base + offset),
            (base, _) => panic!("{base:#x} + {offset:#x} is not read"),
        })
    }

    pub(crate) fn write(&mut self, offset: usize, value: u32) {
        chip(|chip| match (self.base, offset) {
            (CLOCK, 0) => {
                chip.set(CLOCK + 0x100, u32::from(chip.swings));
                chip.set(CLOCK + 0x40c, 1 << 16 | u32::from(chip.swings));
            }
            // Ones clear.
            (CLOCK, 0x400) => chip.set(CLOCK + 0x400, chip.get(CLOCK + 0x400) & !value),
            (TIMER0, 0x40) => {
                chip.set(TIMER0 + 0x540, chip.time);
                chip.time = chip.time.wrapping_add(1);
            }
            (WDT, 0) => chip.set(WDT + 0x400, 1),
            (WDT, 0x504..=0x50c) if chip.is_watched() => panic!("it runs already"),
            (WDT, 0x600) => {
                assert_eq!(value, 0x6e52_4635);
                chip.fed += 1;
            }
            (base @ (0x5000_0000 | 0x5000_0300), 0x508 | 0x50c) => {
                let out = chip.get(base + 0x504);
                let out = if offset == 0x508 {
                    out | value
                } else {
                    out & !value
                };
                chip.set(base + 0x504, out);
            }
            (CLOCK, 0x100 | 0x558)
            | (TIMER0, 0 | 4 | 0xc | 0x144 | 0x304 | 0x504 | 0x508 | 0x510 | 0x544)
            | (WDT, 0x504..=0x50c)
            | (0x5000_0000 | 0x5000_0300, 0x700..0x780)
            | (0xe000_edfc | 0xe000_1000, 0) => chip.set(self.base + offset, value),
            (base, _) => panic!("{base:#x} + {offset:#x} is not written"),
        });
    }
}

/// Starts drivers, as the board does.
pub(crate) mod start {
    use super::{
        BUTTON, CAMERA_MISO, Clock, Counter, LED, MATCH, Pin, Watchdog, chip_id, clocks, timer,
    };

    pub(crate) fn clocks() {
        // SAFETY: the registers are the simulator's, of this thread alone; so they are below.
        unsafe { clocks::start() };
    }

    pub(crate) fn timer() -> (Clock, Counter) {
        // SAFETY: as above.
        unsafe {
            timer::start();
            (Clock::new(), Counter::new())
        }
    }

    pub(crate) fn watchdog() -> Watchdog {
        // SAFETY: as above.
        unsafe { Watchdog::new() }
    }

    /// The lamp, the match pin, the button, and one that the camera drives.
    pub(crate) fn pins() -> [Pin; 4] {
        // SAFETY: as above.
        unsafe {
            [
                Pin::output(LED),
                Pin::output(MATCH),
                Pin::input(BUTTON),
                Pin::floating(CAMERA_MISO),
            ]
        }
    }

    pub(crate) fn debugger() {
        // SAFETY: as above.
        unsafe { chip_id::let_debugger_in() };
    }
}
