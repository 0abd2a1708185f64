//! The USB controller as a serial port to the host.
//!
//! In and out: bytes, one at a time. Nothing waits but for a packet's way between RAM and controller, some
//! microseconds: what is not there is not read, what the host does not take is refused. What the device answers is
//! `shared::usb`; here are only the controller's registers, by the names of the nRF52840 product specification
//! (USBD), in the order of the maker's driver (nrfx_usbd). It is polled: between two polls the controller itself puts
//! the host off. It also gives itself the address that the host wants.
//! `shared/tests/nrf52840_usb.rs` runs this file against a simulator of the controller.

use shared::usb::{Change, Control, DATA, Inbox, NOTIFY, Outbox, PACKET, Step};

use super::chip_id;
use super::clocks;
use super::dma::{USB_LEN, Window};
use super::usb_power::{Power, Supply};
use crate::board::register::Registers;

const USBD: usize = 0x4002_7000;
const TASKS_STARTEPIN: usize = 0x004;
const TASKS_STARTEPOUT: usize = 0x028;
const TASKS_EP0RCVOUT: usize = 0x04c;
const TASKS_EP0STATUS: usize = 0x050;
const TASKS_EP0STALL: usize = 0x054;
const EVENTS_USBRESET: usize = 0x100;
const EVENTS_ENDEPIN: usize = 0x108;
const EVENTS_EP0DATADONE: usize = 0x128;
const EVENTS_ENDEPOUT: usize = 0x130;
const EVENTS_EP0SETUP: usize = 0x15c;
const EVENTS_EPDATA: usize = 0x160;
const INTENSET: usize = 0x304;
const EPDATASTATUS: usize = 0x46c;
/// Eight registers, a byte of the SETUP packet in each.
const BMREQUESTTYPE: usize = 0x480;
const SIZE_EPOUT: usize = 0x4a0;
const USBPULLUP: usize = 0x504;
const DTOGGLE: usize = 0x50c;
const EPINEN: usize = 0x510;
const EPOUTEN: usize = 0x514;
const EPIN: usize = 0x600;
const EPOUT: usize = 0x700;
const EP_LEN: usize = 0x14;
const MAXCNT: usize = 0x4;
/// Of the maker's driver (`usbd_ep_abort`), in no table: takes a packet back from an IN endpoint.
const DISARM: [usize; 2] = [0x800, 0x804];

/// What the program wants to be woken by, as events and as bits of INTENSET.
const WAKES: [(usize, u32); 4] = [
    (EVENTS_USBRESET, 1),
    (EVENTS_EP0DATADONE, 1 << 10),
    (EVENTS_EP0SETUP, 1 << 23),
    (EVENTS_EPDATA, 1 << 24),
];
const TO_HOST: u32 = 1 << 7;
const DATA_0: u32 = 1 << 8;
const SET_ADDRESS: [u8; 2] = [0, 5];
/// Looks until a packet must have moved: its time is some microseconds.
const PATIENCE: u32 = 10_000;
const _: () = assert!(USB_LEN >= PACKET);

/// An endpoint's bit in EPINEN, EPOUTEN and the lower half of EPDATASTATUS.
const fn bit(endpoint: u8) -> u32 {
    1 << endpoint
}

/// Its bit in the upper half of EPDATASTATUS: from the host.
const fn out_bit(endpoint: u8) -> u32 {
    1 << (16 + endpoint)
}

/// A serial port that is polled.
#[derive(Debug)]
pub struct Uart {
    usb: Registers,
    supply: Supply,
    window: Window,
    control: Control,
    /// The host's last request has an answer, so packets of endpoint 0 go to it.
    answers: bool,
    /// The controller has a packet that the host has not taken.
    in_busy: bool,
    out: Outbox,
    came: Inbox,
    /// Whether somebody reads at the other end.
    is_heard: bool,
}

impl Uart {
    /// Gets ready to show itself to the host, when there is one.
    ///
    /// # Safety
    /// Called once.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the address is the chip's, and called once this is the only owner.
        let (usb, supply, window) = unsafe { (Registers::new(USBD), Supply::new(), Window::usb()) };
        let mut uart = Self {
            usb,
            supply,
            window,
            control: Control::new("Onelook on a Feather nRF52840", chip_id::serial()),
            answers: false,
            in_busy: false,
            out: Outbox::new(),
            came: Inbox::new(),
            is_heard: false,
        };
        // The boot loader may have left it as it was.
        uart.supply.switch_off(&mut uart.usb);
        uart
    }

    /// The next byte of the host's, if there is one.
    pub fn read_byte(&mut self) -> Option<u8> {
        self.poll();
        self.came.take()
    }

    /// Takes a byte for the host; `false` when the ones before have not left yet. As on any serial line a byte
    /// that nobody listens to is gone.
    pub fn write_byte(&mut self, byte: u8) -> bool {
        if !self.is_heard || self.out.push(byte) {
            return true;
        }
        self.poll();
        self.out.push(byte)
    }

    /// Whether somebody reads at the other end: a program has opened the port, or has sent something.
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// Whether all bytes have left, or there is nobody to leave for.
    pub fn is_empty(&mut self) -> bool {
        self.poll();
        !self.is_heard || (self.out.is_empty() && !self.in_busy)
    }

    /// Whether the controller or a byte of the host's waits to be looked at. What can be handed to the
    /// controller is handed over first.
    pub(crate) fn has_something(&mut self) -> bool {
        self.poll();
        let mut events = WAKES.iter();
        !self.came.is_empty() || events.any(|(event, _)| self.usb.read(*event) != 0)
    }

    /// Does what the controller has for it to do, and hands it the next packet.
    fn poll(&mut self) {
        match self.supply.follow(&mut self.usb, clocks::is_crystal()) {
            Power::On => {}
            Power::Off => return,
            Power::Came => {
                for (_, bit) in WAKES {
                    self.usb.write(INTENSET, bit);
                }
                self.usb.write(USBPULLUP, 1);
            }
            Power::Gone => {
                // What it had to say is of no use any more, nor is the packet in it.
                for (event, _) in WAKES {
                    self.usb.write(event, 0);
                }
                self.in_busy = false;
                return self.lose_host();
            }
        }
        if self.take_event(EVENTS_USBRESET) {
            self.lose_host();
        }
        if self.take_event(EVENTS_EP0SETUP) {
            self.take_setup();
        } else if self.take_event(EVENTS_EP0DATADONE) {
            self.go_on();
        }
        // Only says that one of its bits has changed.
        self.take_event(EVENTS_EPDATA);
        self.take_packet();
        self.hand_over();
    }

    /// Whether an event has come; it is forgotten.
    fn take_event(&mut self, event: usize) -> bool {
        let came = self.usb.read(event) != 0;
        if came {
            self.usb.write(event, 0);
            // Read back, so that it has arrived before the interrupt is looked at: writes are buffered.
            self.usb.read(event);
        }
        came
    }

    /// The bus was reset, or there is none any more.
    fn lose_host(&mut self) {
        self.usb.write(EVENTS_EP0DATADONE, 0);
        self.usb.write(EPDATASTATUS, u32::MAX);
        self.control.reset();
        self.follow_change();
    }

    /// A SETUP packet ends whatever was under way on endpoint 0.
    fn take_setup(&mut self) {
        self.usb.write(EVENTS_EP0DATADONE, 0);
        let mut packet = [0; 8];
        for (place, at) in packet.iter_mut().zip((BMREQUESTTYPE..).step_by(4)) {
            *place = self.usb.read(at) as u8;
        }
        let [kind, ..] = packet;
        self.answers = kind & 0x80 != 0;
        let step = self.control.setup(packet);
        // The endpoints are as the host wants them before it is told so.
        self.follow_change();
        // The controller itself has dealt with a new address.
        if !packet.starts_with(&SET_ADDRESS) {
            self.follow(step);
        }
    }

    /// A packet of endpoint 0 has gone or come.
    fn go_on(&mut self) {
        if self.answers {
            match self.control.sent() {
                Step::Send(packet) => self.send_control(packet.bytes()),
                // That was all, so the host's empty packet may come.
                _ => self.usb.write(TASKS_EP0STATUS, 1),
            }
        } else {
            let mut bytes = [0; PACKET];
            let len = self.fetch(0, &mut bytes);
            let step = self.control.received(bytes.get(..len).unwrap_or(&[]));
            self.follow(step);
        }
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Wait | Step::Address(_) => {}
            Step::Answer(packet) => self.send_control(packet.bytes()),
            // Behind a request or its data an empty packet says that all is well. The controller sends it, and
            // does not tell when it has gone.
            Step::Send(_) => {
                self.usb.write(TASKS_EP0STATUS, 1);
                self.control.sent();
            }
            Step::Receive => self.usb.write(TASKS_EP0RCVOUT, 1),
            Step::Stall => self.usb.write(TASKS_EP0STALL, 1),
        }
    }

    fn send_control(&mut self, bytes: &[u8]) {
        self.send(0, bytes);
    }

    fn follow_change(&mut self) {
        match self.control.change() {
            None => {}
            Some(Change::Configured) => {
                self.is_heard = false;
                self.forget();
                self.usb.write(EPDATASTATUS, u32::MAX);
                self.usb.write(EPINEN, bit(0) | bit(NOTIFY) | bit(DATA));
                self.usb.write(EPOUTEN, bit(0) | bit(DATA));
                for endpoint in [NOTIFY as u32 | TO_HOST, DATA as u32 | TO_HOST, DATA as u32] {
                    self.begin_with_data0(endpoint);
                }
                self.accept(DATA);
            }
            Some(Change::Deconfigured) => {
                self.is_heard = false;
                self.forget();
                self.usb.write(EPINEN, bit(0));
                self.usb.write(EPOUTEN, bit(0));
            }
            Some(Change::Restarted(endpoint)) => {
                self.begin_with_data0(u32::from(endpoint));
                // A packet that was on its way is lost; frames have sums that show it.
                if endpoint == DATA {
                    self.usb.write(EPDATASTATUS, out_bit(DATA));
                    self.accept(DATA);
                } else if endpoint == DATA | 0x80 {
                    self.disarm();
                }
            }
            Some(Change::Line { open }) => {
                self.is_heard = open;
                self.out.clear();
            }
        }
    }

    /// Forgets all that came and waits.
    fn forget(&mut self) {
        self.out.clear();
        self.came.clear();
        self.disarm();
    }

    /// The endpoint must be chosen first, then its toggle set (`nrf_usbd_dtoggle_set`).
    fn begin_with_data0(&mut self, endpoint: u32) {
        self.usb.write(DTOGGLE, endpoint);
        self.usb.write(DTOGGLE, endpoint | DATA_0);
    }

    /// Takes the packet of the data endpoint back, when the host has not taken it.
    fn disarm(&mut self) {
        if !self.in_busy {
            return;
        }
        self.in_busy = false;
        let [choose, state] = DISARM;
        self.usb.write(choose, 0x7b6 + 2 * (u32::from(DATA) - 1));
        let others = self.usb.read(state);
        self.usb.write(state, others | 1 << 1);
        self.usb.read(state);
        self.usb.write(EPDATASTATUS, bit(DATA));
    }

    /// Lets the controller take a packet: any value does it.
    fn accept(&mut self, endpoint: u8) {
        self.usb.write(SIZE_EPOUT + 4 * usize::from(endpoint), 0);
    }

    /// Takes the host's next packet, when the one before was read.
    fn take_packet(&mut self) {
        let done = self.usb.read(EPDATASTATUS) & out_bit(DATA) != 0;
        if !done || !self.came.is_empty() || !self.control.is_configured() {
            return;
        }
        self.usb.write(EPDATASTATUS, out_bit(DATA));
        // Not every program sets DTR; one that sends also reads.
        self.is_heard = true;
        let mut bytes = [0; PACKET];
        let len = self.fetch(DATA, &mut bytes);
        self.came.put(bytes.get(..len).unwrap_or(&[]));
    }

    /// Gives the controller the next packet for the host, when the one before has gone.
    fn hand_over(&mut self) {
        if self.usb.read(EPDATASTATUS) & bit(DATA) != 0 {
            self.usb.write(EPDATASTATUS, bit(DATA));
            self.in_busy = false;
        }
        if self.in_busy || !self.control.is_configured() {
            return;
        }
        let mut out = self.out;
        if let Some(packet) = out.take() {
            self.in_busy = self.send(DATA, packet);
            self.out = out;
        }
    }

    /// Copies a packet to the controller, which gives it to the host when that asks.
    fn send(&mut self, endpoint: u8, bytes: &[u8]) -> bool {
        self.window.put(bytes);
        let number = usize::from(endpoint);
        let place = EPIN + EP_LEN * number;
        self.usb.write(place, self.window.address());
        self.usb.write(place + MAXCNT, bytes.len() as u32);
        self.move_packet(TASKS_STARTEPIN + 4 * number, EVENTS_ENDEPIN + 4 * number)
    }

    /// Copies a packet of the host's from the controller, which may then take the next; how long it is.
    fn fetch(&mut self, endpoint: u8, bytes: &mut [u8; PACKET]) -> usize {
        let number = usize::from(endpoint);
        let len = (self.usb.read(SIZE_EPOUT + 4 * number) as usize).min(PACKET);
        let place = EPOUT + EP_LEN * number;
        self.usb.write(place, self.window.address());
        self.usb.write(place + MAXCNT, len as u32);
        // Of an empty one there is nothing to copy.
        if len > 0 && self.move_packet(TASKS_STARTEPOUT + 4 * number, EVENTS_ENDEPOUT + 4 * number)
        {
            self.window.get(bytes);
            return len;
        }
        if endpoint != 0 {
            self.accept(endpoint);
        }
        0
    }

    /// Starts a way between RAM and controller and waits for its end: there may be one at a time, and tasks that are
    /// given meanwhile are lost (erratum 199).
    fn move_packet(&mut self, task: usize, end: usize) -> bool {
        self.usb.write(end, 0);
        self.usb.write(task, 1);
        let mut looks = 0..PATIENCE;
        let has_moved = looks.any(|_| self.usb.read(end) != 0);
        self.usb.write(end, 0);
        has_moved
    }
}
