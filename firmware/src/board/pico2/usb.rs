//! The USB controller as a serial port to the host.
//!
//! In and out: bytes, one at a time. Nothing waits: what is not there is not read, what the host does not take
//! is refused. What the device answers is `shared::usb`; here are only the controller's registers and its
//! dual-port memory, by the names of the RP2350 datasheet (12.7). It is polled: between two polls the
//! controller itself puts the host off. A host has 50 ms of patience where it gives the address, more elsewhere.
//! `shared/tests/rp2350_usb.rs` runs this file against a simulator of the controller.

use shared::usb::{Change, Control, DATA, Inbox, NOTIFY, Outbox, PACKET, Step};

use super::clocks::{block, release};
use super::rom;
use crate::board::register::Registers;

const DPRAM: usize = 0x5010_0000;
const USB: usize = 0x5011_0000;

const ADDR_ENDP: usize = 0x00;
const MAIN_CTRL: usize = 0x40;
const SIE_CTRL: usize = 0x4c;
const SIE_STATUS: usize = 0x50;
const BUFF_STATUS: usize = 0x58;
const EP_ABORT: usize = 0x60;
const EP_ABORT_DONE: usize = 0x64;
const EP_STALL_ARM: usize = 0x68;
const USB_MUXING: usize = 0x74;
const USB_PWR: usize = 0x78;
const INTE: usize = 0x90;
const INTS: usize = 0x98;

/// Bit 2 isolates the transceiver, so it is left out.
const CONTROLLER_EN: u32 = 1;
const EP0_INT_1BUF: u32 = 1 << 29;
const PULLUP_EN: u32 = 1 << 16;
const SETUP_REC: u32 = 1 << 17;
const BUS_RESET: u32 = 1 << 19;
const TO_PHY_SOFTCON: u32 = 1 | 1 << 3;
/// The board has power from USB, or the host is not there: no pin looks for it.
const VBUS_DETECT_OVERRIDE: u32 = 1 << 2 | 1 << 3;
const INT_BUFF_STATUS: u32 = 1 << 4;
const INT_BUS_RESET: u32 = 1 << 12;
const INT_SETUP_REQ: u32 = 1 << 16;
const STALL_BOTH: u32 = 3;

/// In the dual-port memory: the SETUP packet, the endpoints' control, their buffers' control, the buffers.
const SETUP: usize = 0x00;
const EP0_BUFFER: usize = 0x100;
const NOTIFY_BUFFER: usize = 0x180;
const IN_BUFFER: usize = 0x1c0;
const OUT_BUFFER: usize = 0x200;
const DPRAM_LEN: usize = 0x1000;
const EP_ENABLE: u32 = 1 << 31;
const EP_PER_BUFFER: u32 = 1 << 29;
const EP_BULK: u32 = 2 << 26;
const EP_INTERRUPT: u32 = 3 << 26;
const FULL: u32 = 1 << 15;
const DATA1: u32 = 1 << 13;
const STALL: u32 = 1 << 11;
const AVAILABLE: u32 = 1 << 10;
const LENGTH: u32 = 0x3ff;

/// A direction of an endpoint, as its registers are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the host.
    In = 0,
    /// From the host.
    Out = 1,
}

const fn endpoint_control(endpoint: u8, way: Way) -> usize {
    8 * endpoint as usize + 4 * way as usize
}

const fn buffer_control(endpoint: u8, way: Way) -> usize {
    0x80 + 8 * endpoint as usize + 4 * way as usize
}

/// The endpoint's bit in BUFF_STATUS, EP_ABORT and EP_ABORT_DONE.
const fn bit(endpoint: u8, way: Way) -> u32 {
    1 << (2 * endpoint as u32 + way as u32)
}

/// A serial port that is polled.
#[derive(Debug)]
pub struct Uart {
    usb: Registers,
    dpram: Registers,
    control: Control,
    /// Whether the next packet is DATA1: of endpoint 0, and of the data endpoint in both ways.
    control_data1: bool,
    in_data1: bool,
    out_data1: bool,
    out: Outbox,
    came: Inbox,
    /// Whether somebody reads at the other end.
    is_heard: bool,
}

impl Uart {
    /// Shows itself to the host.
    ///
    /// # Safety
    /// Called once, after `clocks::start`.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the addresses are the chip's, and called once this is the only owner.
        let (mut usb, mut dpram) = unsafe {
            release(block::USBCTRL);
            (Registers::new(USB), Registers::new(DPRAM))
        };
        for word in (0..DPRAM_LEN).step_by(4) {
            dpram.write(word, 0);
        }
        usb.write(USB_MUXING, TO_PHY_SOFTCON);
        usb.write(USB_PWR, VBUS_DETECT_OVERRIDE);
        usb.write(MAIN_CTRL, CONTROLLER_EN);
        usb.write(INTE, INT_BUFF_STATUS | INT_BUS_RESET | INT_SETUP_REQ);
        usb.write(SIE_CTRL, EP0_INT_1BUF | PULLUP_EN);
        Self {
            usb,
            dpram,
            control: Control::new("Onelook on a Raspberry Pi Pico 2", rom::serial()),
            control_data1: false,
            in_data1: false,
            out_data1: false,
            out: Outbox::new(),
            came: Inbox::new(),
            is_heard: false,
        }
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
        let busy = self.dpram.read(buffer_control(DATA, Way::In)) & AVAILABLE != 0;
        !self.is_heard || (self.out.is_empty() && !busy)
    }

    /// Whether the controller or a byte of the host's waits to be looked at. What can be handed to the
    /// controller is handed over first.
    pub(crate) fn has_something(&mut self) -> bool {
        self.poll();
        !self.came.is_empty() || self.usb.read(INTS) != 0
    }

    /// Does what the controller has for it to do, and hands it the next packet.
    fn poll(&mut self) {
        let status = self.usb.read(SIE_STATUS);
        if status & BUS_RESET != 0 {
            self.usb.write(SIE_STATUS, BUS_RESET);
            self.usb.write(BUFF_STATUS, u32::MAX);
            self.usb.write(ADDR_ENDP, 0);
            self.control.reset();
            self.follow_change();
        }
        if status & SETUP_REC != 0 {
            self.take_setup();
        } else {
            self.go_on();
        }
        self.follow_change();
        self.take_packet();
        self.hand_over();
    }

    /// A SETUP packet ends whatever was under way on endpoint 0.
    fn take_setup(&mut self) {
        let words = [self.dpram.read(SETUP), self.dpram.read(SETUP + 4)];
        self.usb.write(SIE_STATUS, SETUP_REC);
        for way in [Way::In, Way::Out] {
            self.dpram.write(buffer_control(0, way), 0);
            self.usb.write(BUFF_STATUS, bit(0, way));
        }
        // What follows a SETUP packet begins with DATA1.
        self.control_data1 = true;
        let mut packet = [0; 8];
        let bytes = words.map(u32::to_le_bytes);
        for (place, byte) in packet.iter_mut().zip(bytes.as_flattened()) {
            *place = *byte;
        }
        let step = self.control.setup(packet);
        self.follow(step);
    }

    /// Packets of endpoint 0 that have gone or come.
    fn go_on(&mut self) {
        let done = self.usb.read(BUFF_STATUS);
        if done & bit(0, Way::In) != 0 {
            self.usb.write(BUFF_STATUS, bit(0, Way::In));
            let step = self.control.sent();
            self.follow(step);
        }
        if done & bit(0, Way::Out) != 0 {
            self.usb.write(BUFF_STATUS, bit(0, Way::Out));
            let mut bytes = [0; PACKET];
            let len = self.fetch(0, EP0_BUFFER, &mut bytes);
            let step = self.control.received(bytes.get(..len).unwrap_or(&[]));
            self.follow(step);
        }
        let others = bit(DATA, Way::In) | bit(NOTIFY, Way::In);
        self.usb.write(BUFF_STATUS, done & others);
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Wait => {}
            Step::Answer(packet) => {
                // The host's empty packet, which is DATA1 whenever it comes.
                self.expect(0, true);
                self.send_control(packet.bytes());
            }
            Step::Send(packet) => self.send_control(packet.bytes()),
            Step::Receive => self.expect(0, true),
            Step::Stall => {
                for way in [Way::In, Way::Out] {
                    self.dpram.write(buffer_control(0, way), 0);
                }
                super::wait_cycles(12);
                self.usb.write(EP_STALL_ARM, STALL_BOTH);
                self.dpram.write(buffer_control(0, Way::In), STALL);
                // A packet of the host's is refused only where it would be taken (12.7.3.8.3).
                self.dpram
                    .write(buffer_control(0, Way::Out), STALL | AVAILABLE);
            }
            Step::Address(address) => self.usb.write(ADDR_ENDP, u32::from(address)),
        }
    }

    fn send_control(&mut self, bytes: &[u8]) {
        self.store(EP0_BUFFER, bytes);
        self.arm(0, Way::In, FULL | bytes.len() as u32, self.control_data1);
        self.control_data1 = !self.control_data1;
    }

    fn follow_change(&mut self) {
        match self.control.change() {
            None => {}
            Some(Change::Configured) => {
                self.is_heard = false;
                self.forget();
                self.enable(NOTIFY, Way::In, EP_INTERRUPT, NOTIFY_BUFFER);
                self.enable(DATA, Way::In, EP_BULK, IN_BUFFER);
                self.enable(DATA, Way::Out, EP_BULK, OUT_BUFFER);
                self.expect(DATA, false);
            }
            Some(Change::Deconfigured) => {
                self.is_heard = false;
                self.forget();
                for (endpoint, way) in [(NOTIFY, Way::In), (DATA, Way::In), (DATA, Way::Out)] {
                    self.dpram.write(endpoint_control(endpoint, way), 0);
                    self.dpram.write(buffer_control(endpoint, way), 0);
                }
            }
            Some(Change::Restarted(DATA)) => {
                self.abort(DATA, Way::Out);
                self.usb.write(BUFF_STATUS, bit(DATA, Way::Out));
                self.out_data1 = false;
                self.expect(DATA, false);
            }
            Some(Change::Restarted(endpoint)) => {
                // A packet that was on its way is lost; frames have sums that show it.
                self.abort(endpoint & 0xf, Way::In);
                if endpoint == DATA | 0x80 {
                    self.in_data1 = false;
                }
            }
            Some(Change::Line { open }) => {
                self.is_heard = open;
                self.out.clear();
            }
        }
    }

    /// Forgets all that came and waits, and where the order of packets was.
    fn forget(&mut self) {
        self.out.clear();
        self.came.clear();
        (self.in_data1, self.out_data1) = (false, false);
    }

    fn enable(&mut self, endpoint: u8, way: Way, kind: u32, buffer: usize) {
        self.dpram.write(buffer_control(endpoint, way), 0);
        let control = EP_ENABLE | EP_PER_BUFFER | kind | buffer as u32;
        self.dpram.write(endpoint_control(endpoint, way), control);
    }

    /// Takes a buffer back from the controller.
    fn abort(&mut self, endpoint: u8, way: Way) {
        let bit = bit(endpoint, way);
        self.usb.write(EP_ABORT, bit);
        // At most one packet's time, some 50 µs.
        for _ in 0..10_000 {
            if self.usb.read(EP_ABORT_DONE) & bit != 0 {
                break;
            }
        }
        self.dpram.write(buffer_control(endpoint, way), 0);
        self.usb.write(EP_ABORT_DONE, bit);
        self.usb.write(EP_ABORT, 0);
    }

    /// Takes the host's next packet, when the one before was read.
    fn take_packet(&mut self) {
        let done = self.usb.read(BUFF_STATUS) & bit(DATA, Way::Out) != 0;
        if !done || !self.came.is_empty() || !self.control.is_configured() {
            return;
        }
        self.usb.write(BUFF_STATUS, bit(DATA, Way::Out));
        let mut bytes = [0; PACKET];
        let len = self.fetch(DATA, OUT_BUFFER, &mut bytes);
        self.came.put(bytes.get(..len).unwrap_or(&[]));
        // Not every program sets DTR; one that sends also reads.
        self.is_heard = true;
        self.out_data1 = !self.out_data1;
        self.expect(DATA, self.out_data1);
    }

    /// Gives the controller the next packet for the host, when the one before has gone.
    fn hand_over(&mut self) {
        let busy = self.dpram.read(buffer_control(DATA, Way::In)) & AVAILABLE != 0;
        if busy || !self.control.is_configured() {
            return;
        }
        let mut out = self.out;
        if let Some(packet) = out.take() {
            self.store(IN_BUFFER, packet);
            self.arm(DATA, Way::In, FULL | packet.len() as u32, self.in_data1);
            self.in_data1 = !self.in_data1;
            self.out = out;
        }
    }

    /// Lets the controller take a packet.
    fn expect(&mut self, endpoint: u8, data1: bool) {
        self.arm(endpoint, Way::Out, PACKET as u32, data1);
    }

    /// Gives a buffer to the controller. Its length must be there before it is available (12.7.3.7.4); the
    /// controller's clock is a third of the processor's.
    fn arm(&mut self, endpoint: u8, way: Way, state: u32, data1: bool) {
        let state = if data1 { state | DATA1 } else { state };
        let control = buffer_control(endpoint, way);
        self.dpram.write(control, state);
        super::wait_cycles(12);
        self.dpram.write(control, state | AVAILABLE);
    }

    /// Copies a packet of the host's; how long it is.
    fn fetch(&self, endpoint: u8, buffer: usize, bytes: &mut [u8; PACKET]) -> usize {
        let control = self.dpram.read(buffer_control(endpoint, Way::Out));
        for (place, at) in bytes.chunks_mut(4).zip((buffer..).step_by(4)) {
            let word = self.dpram.read(at).to_le_bytes();
            for (place, byte) in place.iter_mut().zip(word) {
                *place = byte;
            }
        }
        ((control & LENGTH) as usize).min(PACKET)
    }

    fn store(&mut self, buffer: usize, bytes: &[u8]) {
        for (piece, at) in bytes.chunks(4).zip((buffer..).step_by(4)) {
            let mut word = [0; 4];
            for (place, byte) in word.iter_mut().zip(piece) {
                *place = *byte;
            }
            self.dpram.write(at, u32::from_le_bytes(word));
        }
    }
}
