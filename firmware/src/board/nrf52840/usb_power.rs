//! The USB controller's power: on when a host gives it, off when it is gone.
//!
//! In: what the chip sees on VBUS. Out: what changed ([`Power`]); the controller switched on in the order that the
//! nRF52840 product specification wants (USBD, "USBD power-up sequence"), with the writes that its errata 171 and 187
//! ask for around it, as the maker's driver has them. Nothing waits: each look takes the next step.

use crate::board::register::Registers;

const POWER: usize = 0x4000_0000;
const USBREGSTATUS: usize = 0x438;
const VBUSDETECT: u32 = 1;
const OUTPUTRDY: u32 = 1 << 1;

/// Registers of USBD, whose owner hands them in.
const EVENTS: core::ops::Range<usize> = 0x100..0x164;
const SHORTS: usize = 0x200;
const INTENCLR: usize = 0x308;
const EVENTCAUSE: usize = 0x400;
const EVENTCAUSE_READY: u32 = 1 << 11;
const ENABLE: usize = 0x500;
const USBPULLUP: usize = 0x504;

/// Registers in no table, of the errata's workarounds: a lock, and two behind it.
const HIDDEN: usize = 0x4006_e000;
const LOCK: usize = 0xc00;
const UNLOCK: u32 = 0x9375;
const ERRATUM_171: (usize, u32) = (0xc14, 0xc0);
const ERRATUM_187: (usize, u32) = (0xd14, 0x3);

/// What a look gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// There is no host, or the controller is not ready yet.
    Off,
    /// From now on the controller works; it is not connected yet.
    Came,
    /// It works.
    On,
    /// The host has gone, and the controller is off again.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Off,
    /// Enabled; it says when it is ready.
    Waking,
    /// Ready; its own supply and the crystal must be as well.
    Ready,
    On,
}

/// The supply of the controller.
#[derive(Debug)]
pub(super) struct Supply {
    power: Registers,
    hidden: Registers,
    stage: Stage,
}

impl Supply {
    /// # Safety
    /// Called once.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the addresses are the chip's. Of POWER this only reads a state, and nobody else uses the hidden
        // registers.
        let (power, hidden) = unsafe { (Registers::new(POWER), Registers::new(HIDDEN)) };
        Self {
            power,
            hidden,
            stage: Stage::Off,
        }
    }

    /// Takes the next step.
    pub(super) fn follow(&mut self, usb: &mut Registers, has_crystal: bool) -> Power {
        let supply = self.power.read(USBREGSTATUS);
        let has_host = supply & VBUSDETECT != 0;
        match self.stage {
            Stage::Off if has_host => {
                usb.write(EVENTCAUSE, EVENTCAUSE_READY);
                for (place, value) in [ERRATUM_187, ERRATUM_171] {
                    self.write_hidden(place, value);
                }
                usb.write(ENABLE, 1);
                self.stage = Stage::Waking;
            }
            Stage::Off => {}
            _ if !has_host => {
                self.switch_off(usb);
                return Power::Gone;
            }
            Stage::Waking if usb.read(EVENTCAUSE) & EVENTCAUSE_READY != 0 => {
                usb.write(EVENTCAUSE, EVENTCAUSE_READY);
                for (place, _) in [ERRATUM_171, ERRATUM_187] {
                    self.write_hidden(place, 0);
                }
                usb.write(SHORTS, 0);
                for event in EVENTS.step_by(4) {
                    usb.write(event, 0);
                }
                self.stage = Stage::Ready;
            }
            Stage::Ready if supply & OUTPUTRDY != 0 && has_crystal => {
                self.stage = Stage::On;
                return Power::Came;
            }
            Stage::Waking | Stage::Ready => {}
            Stage::On => return Power::On,
        }
        Power::Off
    }

    /// Takes the controller off the bus and switches it off.
    pub(super) fn switch_off(&mut self, usb: &mut Registers) {
        usb.write(USBPULLUP, 0);
        usb.write(INTENCLR, u32::MAX);
        usb.write(ENABLE, 0);
        self.stage = Stage::Off;
    }

    fn write_hidden(&mut self, place: usize, value: u32) {
        let is_locked = self.hidden.read(LOCK) == 0;
        if is_locked {
            self.hidden.write(LOCK, UNLOCK);
        }
        self.hidden.write(place, value);
        if is_locked {
            self.hidden.write(LOCK, UNLOCK);
        }
    }
}
